/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is asked too rarely to be kept in struct facts. */
#ifndef BPFTABLES_FIELDS_H
#define BPFTABLES_FIELDS_H

#include "facts/bridge.h"
#include "conntrack/conntrack.h"
#include "facts/facts.h"
#include "facts/packet.h"
#include "facts/fill.h"
#include "facts/numbers.h"
#include "facts/world.h"

#define PACKET_BROADCAST 1
#define PACKET_MULTICAST 2
#define PACKET_LOOPBACK 5

#define TCP_TIME_WAIT 6
#define TCP_NEW_SYN_RECV 12

#define SKB_DST_PTRMASK (~1UL)

/* expires_in is nf_ct_expires() / HZ; the entry's clock is jiffies, 32 bits of it. */
static __always_inline u64 expires_in(ulong ct)
{
	s32 left = (s32)(load4(conn_at(ct, timeout)) - (u32)bpf_jiffies64());

	return left > 0 ? left / hz : 0;
}

/* conn_port reads a port, in network order the first two of four bytes. */
#define conn_port(ct, member) bpf_ntohs((u16)load4(conn_at(ct, member)))

static __always_inline u64 conn_field(struct bpf_nf_ctx *ctx, u32 field)
{
	struct sk_buff *skb = ctx->skb;
	ulong ct = conn_of(skb);

	if (!ct)
		return 0;
	switch (field) {
	case FIELD_CT_STATUS:
		return load8(conn_at(ct, status));
	case FIELD_CT_DIR: /* CTINFO2DIR() */
		return (skb->_nfct & NFCT_INFOMASK) >= IP_CT_IS_REPLY;
	case FIELD_CT_PROTO:
		return load4(conn_at(ct, tuplehash[0].tuple.dst.protonum)) & 0xff;
	case FIELD_CT_ORIG_SPORT:
		return conn_port(ct, tuplehash[0].tuple.src.u.all);
	case FIELD_CT_ORIG_DPORT:
		return conn_port(ct, tuplehash[0].tuple.dst.u.all);
	case FIELD_CT_REPL_SPORT:
		return conn_port(ct, tuplehash[1].tuple.src.u.all);
	case FIELD_CT_REPL_DPORT:
		return conn_port(ct, tuplehash[1].tuple.dst.u.all);
	case FIELD_CT_EXPIRE:
		return expires_in(ct);
	}
	return 0;
}

/* full_sock is skb_to_full_sk() (include/net/inet_sock.h). */
static __always_inline struct sock *full_sock(struct bpf_nf_ctx *ctx)
{
	ulong at = (ulong)skb_of(ctx)->sk;
	struct sock *sk;

	if (!at)
		return NULL;
	sk = cast_to(struct sock, at);
	if (sk->__sk_common.skc_state == TCP_NEW_SYN_RECV) {
		at = (ulong)sk->__sk_common.skc_listener; /* of the struct request_sock */
		return at ? cast_to(struct sock, at) : NULL;
	}
	return sk->__sk_common.skc_state == TCP_TIME_WAIT ? NULL : sk;
}

/* owner_field reads what owner_mt() of net/netfilter/xt_owner.c looks at. */
static __always_inline u64 owner_field(struct bpf_nf_ctx *ctx, u32 field)
{
	struct sock *sk = full_sock(ctx);
	struct socket *socket;
	struct file *file;

	if (!sk || (ulong)sk->__sk_common.skc_net.net != (ulong)state_of(ctx)->net)
		return 0;
	socket = sk->sk_socket;
	if (!socket)
		return 0;
	file = socket->file;
	if (!file)
		return field == FIELD_SOCKET;
	if (field == FIELD_SOCKET)
		return 2;
	return field == FIELD_UID ? file->f_cred->fsuid.val : file->f_cred->fsgid.val;
}

/* packet_type is pkttype_mt() of net/netfilter/xt_pkttype.c. */
static __always_inline u64 packet_type(struct bpf_nf_ctx *ctx, struct facts *f)
{
	u32 type = BPF_CORE_READ_BITFIELD(ctx->skb, pkt_type);

	if (type != PACKET_LOOPBACK)
		return type;
	if (family == 6 || (f->l3[16] & 0xf0) == 0xe0)
		return PACKET_MULTICAST;
	return PACKET_BROADCAST;
}

/* grouped_sock is the socket that cgroup_mt_v2() of net/netfilter/xt_cgroup.c looks at; NULL: there is none. */
static __always_inline struct sock *grouped_sock(struct bpf_nf_ctx *ctx)
{
	struct sock *sk = skb_of(ctx)->sk;
	u8 state;

	if (!sk || (ulong)sk->__sk_common.skc_net.net != (ulong)state_of(ctx)->net)
		return NULL;
	state = sk->__sk_common.skc_state;
	return state == TCP_TIME_WAIT || state == TCP_NEW_SYN_RECV ? NULL : sk;
}

static __always_inline u64 class_field(struct bpf_nf_ctx *ctx, u32 field)
{
	struct sock *sk = grouped_sock(ctx);

	if (!sk)
		return 0;
	if (field == FIELD_CLASSED)
		return 1;
	if (!bpf_core_field_exists(struct sock_cgroup_data, classid))
		return 0;
	return cast_to(struct sock, sk)->sk_cgrp_data.classid;
}

static __always_inline u64 realm_field(struct sk_buff *skb)
{
	ulong dst = skb->_skb_refdst & SKB_DST_PTRMASK;

	if (!dst || !bpf_core_field_exists(struct dst_entry, tclassid))
		return 0;
	return cast_to(struct dst_entry, dst)->tclassid;
}

struct group_config {
	u32 lo;
	u32 hi;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct group_config);
} group_configs SEC(".maps");

#define GROUPS_MOST 65536 /* NGROUPS_MAX */

struct group_walk {
	struct group_config *c;
	ulong at;
	u32 n;
	u32 found;
};

static long group_turn(u64 turn, struct group_walk *w)
{
	u32 group;

	if (turn >= w->n)
		return 1;
	group = load4(w->at + turn * sizeof(group));
	w->found = w->c->lo <= group && group <= w->c->hi;
	return w->found;
}

struct control_group_config {
	u64 id; /* 0: the group is not there any more */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct control_group_config);
} control_group_configs SEC(".maps");

struct control_group_walk {
	ulong at; /* in the list of groups, from the root to that of the socket */
	u64 id;
	u32 n;
	u32 found;
};

static long control_group_turn(u64 turn, struct control_group_walk *w)
{
	ulong group, node;

	if (turn >= w->n)
		return 1;
	group = load8(w->at + turn * sizeof(ulong));
	node = load8(group + bpf_core_field_offset(struct cgroup, kn));
	w->found = load8(node + bpf_core_field_offset(struct kernfs_node, id)) == w->id;
	return w->found;
}

#define CONTROL_GROUPS_MOST (1 << 20) /* how deep they may be in each other */

#ifndef BPFTABLES_PROBE

/* control_group asks whether a group is that of the socket, or has it in itself (cgroup_is_descendant(),
 * include/linux/cgroup.h). The kernel's rule knows the group by its address; its number is given once. */
__noinline int control_group(struct bpf_nf_ctx *ctx, struct facts *f, u32 slot)
{
	struct control_group_config *c = bpf_map_lookup_elem(&control_group_configs, &slot);
	struct sock *sk = grouped_sock(ctx);
	struct control_group_walk w = {};
	ulong group;

	if (!f || !c)
		return A_HOTDROP;
	if (!sk || !c->id)
		return A_NO;
	group = (ulong)cast_to(struct sock, sk)->sk_cgrp_data.cgroup;
	if (!group)
		return A_NO;
	w.id = c->id;
	w.at = group + bpf_core_field_offset(struct cgroup, ancestors);
	w.n = cast_to(struct cgroup, group)->level + 1;
	bpf_loop(CONTROL_GROUPS_MOST, control_group_turn, &w, 0);
	return w.found;
}

/* groups asks for the supplementary groups of the socket's owner, as owner_mt() does
 * (net/netfilter/xt_owner.c). */
__noinline int groups(struct bpf_nf_ctx *ctx, struct facts *f, u32 slot)
{
	struct group_config *c = bpf_map_lookup_elem(&group_configs, &slot);
	struct sock *sk = full_sock(ctx);
	struct group_walk w = {};
	struct socket *socket;
	struct file *file;
	ulong info;

	if (!f || !c)
		return A_HOTDROP;
	if (!sk || (ulong)sk->__sk_common.skc_net.net != (ulong)state_of(ctx)->net)
		return A_NO;
	socket = sk->sk_socket;
	file = socket ? socket->file : NULL;
	if (!file)
		return A_NO;
	info = (ulong)file->f_cred->group_info;
	if (!info)
		return A_NO;
	w.c = c;
	w.n = cast_to(struct group_info, info)->ngroups;
	w.at = info + bpf_core_field_offset(struct group_info, gid);
	bpf_loop(GROUPS_MOST, group_turn, &w, 0);
	return w.found;
}

/* get_field reads one of the numbers of enum field. */
__noinline u64 get_field(struct bpf_nf_ctx *ctx, struct facts *f, enum field field)
{
	const struct nf_hook_state *state = state_of(ctx);
	struct net_device *in = state->in, *out = state->out;

	if (!f)
		return 0;
	switch (field) {
	case FIELD_SOCKET:
	case FIELD_UID:
	case FIELD_GID:
		return owner_field(ctx, field);
	case FIELD_PKTTYPE:
		return packet_type(ctx, f);
	case FIELD_CPU:
		return bpf_get_smp_processor_id();
	case FIELD_REALM:
		return realm_field(ctx->skb);
	case FIELD_IIF_GROUP:
		return in ? in->group : 0;
	case FIELD_OIF_GROUP:
		return out ? out->group : 0;
	case FIELD_HAS_IIF:
		return in != NULL;
	case FIELD_HAS_OIF:
		return out != NULL;
	case FIELD_BRIDGED:
		return bridged_field(ctx);
	case FIELD_CLASSID:
	case FIELD_CLASSED:
		return class_field(ctx, field);
	default:
		return conn_field(ctx, field);
	}
}

/* get_addr copies an address of the conntrack entry to f->tmp, as it is on the wire. */
__noinline int get_addr(struct bpf_nf_ctx *ctx, struct facts *f, u32 which)
{
	ulong ct = conn_of(ctx->skb), at;
	u32 *to;

	if (!f)
		return 0;
	to = (u32 *)f->tmp;
	to[0] = to[1] = to[2] = to[3] = 0;
	if (!ct)
		return 0;
	if (which == ADDR_CT_ORIG_SRC)
		at = conn_at(ct, tuplehash[0].tuple.src.u3);
	else if (which == ADDR_CT_ORIG_DST)
		at = conn_at(ct, tuplehash[0].tuple.dst.u3);
	else if (which == ADDR_CT_REPL_SRC)
		at = conn_at(ct, tuplehash[1].tuple.src.u3);
	else
		at = conn_at(ct, tuplehash[1].tuple.dst.u3);
	bpf_probe_read_kernel(to, 16, (void *)at);
	return 1;
}

/* Where the name of a helper is found. The types are in a module that is loaded when the first rule wants
 * conntrack: where it is not there yet, the offsets are those that all kernels have had since Linux 2.6.19. */
#define helper_at(type, member, otherwise)                                                  \
	(bpf_core_type_exists(type) ? bpf_core_field_offset(type, member) : (otherwise))

/* helper_name copies the name of the helper that follows the master of a connection, as
 * helper_mt() finds it (net/netfilter/xt_helper.c). */
static __always_inline void helper_name(struct sk_buff *skb, u8 *to)
{
	ulong ct = conn_of(skb), help, helper;

	__builtin_memset(to, 0, 16);
	if (!ct || !bpf_core_enum_value_exists(enum nf_ct_ext_id, NF_CT_EXT_HELPER))
		return;
	ct = load8(conn_at(ct, master));
	if (!ct)
		return;
	help = extension_of(ct, bpf_core_enum_value(enum nf_ct_ext_id, NF_CT_EXT_HELPER));
	if (!help)
		return;
	helper = load8(help + helper_at(struct nf_conn_help, helper, 0));
	if (helper)
		bpf_probe_read_kernel(to, 16, (void *)(helper + helper_at(struct nf_conntrack_helper, name, sizeof(struct hlist_node))));
}

/* get_name copies a name to f->tmp. */
__noinline int get_name(struct bpf_nf_ctx *ctx, struct facts *f, u32 which)
{
	const struct nf_hook_state *state = state_of(ctx);
	struct nf_bridge_info *b;
	ulong dev;

	if (!f)
		return 0;
	if (which == NAME_HELPER) {
		helper_name(ctx->skb, f->tmp);
		return 1;
	}
	if (which == NAME_IIF || which == NAME_OIF) {
		fill_name(which == NAME_IIF ? state->in : state->out, f->tmp);
		return 1;
	}
	__builtin_memset(f->tmp, 0, 16);
	b = bridge_info(ctx->skb);
	if (!b)
		return 0;
	dev = which == NAME_PHYSIN ? phys_in(ctx, b) : (ulong)b->physoutdev;
	if (!dev)
		return 0;
	bpf_probe_read_kernel(f->tmp, 16, &cast_to(struct net_device, dev)->name);
	return 1;
}

#endif

#endif
