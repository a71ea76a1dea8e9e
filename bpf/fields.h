/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is asked too rarely to be kept in struct facts. */
#ifndef BPFTABLES_FIELDS_H
#define BPFTABLES_FIELDS_H

#include "conntrack.h"
#include "facts.h"
#include "packet.h"
#include "fill.h"

/* Numbers of pred.Field; a test compares them. */
enum field {
	FIELD_CT_STATUS = 9,
	FIELD_CT_DIR,
	FIELD_CT_PROTO,
	FIELD_CT_ORIG_SPORT,
	FIELD_CT_ORIG_DPORT,
	FIELD_CT_REPL_SPORT,
	FIELD_CT_REPL_DPORT,
	FIELD_CT_EXPIRE,
	FIELD_SOCKET,
	FIELD_UID,
	FIELD_GID,
	FIELD_PKTTYPE,
	FIELD_CPU,
	FIELD_REALM,
	FIELD_IN_GROUP,
	FIELD_OUT_GROUP,
	FIELD_HAS_IN,
	FIELD_HAS_OUT,
	FIELD_BRIDGED = 30,
};

/* Numbers of pred.AddrField and pred.NameField. */
enum { ADDR_SRC, ADDR_DST, ADDR_CT_ORIG_SRC, ADDR_CT_ORIG_DST, ADDR_CT_REPL_SRC, ADDR_CT_REPL_DST };
enum { NAME_IN, NAME_OUT, NAME_PHYS_IN, NAME_PHYS_OUT };

#define PACKET_BROADCAST 1
#define PACKET_MULTICAST 2
#define PACKET_LOOPBACK 5

#define TCP_TIME_WAIT 6
#define TCP_NEW_SYN_RECV 12

#define SKB_DST_PTRMASK (~1UL)

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct hlist_node {
	struct hlist_node *next, **pprev;
};

struct hlist_head {
	struct hlist_node *first;
};

/* A kernel before 6.8 keeps a pointer to the bridge port. */
struct nf_bridge_info___old {
	struct net_device *physindev;
};

enum skb_ext_id {
	SKB_EXT_BRIDGE_NF,
};

struct net_device___byindex {
	int ifindex;
	struct hlist_node index_hlist;
	char name[16];
};

struct net {
	struct hlist_head *dev_index_head;
};

#pragma clang attribute pop

/* expires_in is nf_ct_expires() / HZ; the entry's clock is jiffies, 32 bits of it. */
static __always_inline u64 expires_in(struct nf_conn *ct)
{
	s32 left = (s32)(ct->timeout - (u32)bpf_jiffies64());

	return left > 0 ? left / hz : 0;
}

static __always_inline u64 conn_field(struct bpf_nf_ctx *ctx, u32 field)
{
	struct sk_buff *skb = ctx->skb;
	struct nf_conn *ct = conn_of(skb);

	if (!ct)
		return 0;
	switch (field) {
	case FIELD_CT_STATUS:
		return ct->status;
	case FIELD_CT_DIR: /* CTINFO2DIR() */
		return (skb->_nfct & NFCT_INFOMASK) >= IP_CT_IS_REPLY;
	case FIELD_CT_PROTO:
		return ct->tuplehash[0].tuple.dst.protonum;
	case FIELD_CT_ORIG_SPORT:
		return bpf_ntohs(ct->tuplehash[0].tuple.src.u.all);
	case FIELD_CT_ORIG_DPORT:
		return bpf_ntohs(ct->tuplehash[0].tuple.dst.u.all);
	case FIELD_CT_REPL_SPORT:
		return bpf_ntohs(ct->tuplehash[1].tuple.src.u.all);
	case FIELD_CT_REPL_DPORT:
		return bpf_ntohs(ct->tuplehash[1].tuple.dst.u.all);
	case FIELD_CT_EXPIRE:
		return expires_in(ct);
	}
	return 0;
}

/* full_sock is skb_to_full_sk() (include/net/inet_sock.h). */
static __always_inline struct sock *full_sock(struct sk_buff *skb)
{
	ulong at = (ulong)skb->sk;
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
	struct sock *sk = full_sock(ctx->skb);
	struct socket *socket;
	struct file *file;

	if (!sk || (ulong)sk->__sk_common.skc_net.net != (ulong)ctx->state->net)
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

/* bridge_info is nf_bridge_info_get() (include/linux/netfilter_bridge.h). */
static __always_inline struct nf_bridge_info *bridge_info(struct sk_buff *skb)
{
	u32 id = bpf_core_enum_value(enum skb_ext_id, SKB_EXT_BRIDGE_NF);
	struct skb_ext *ext;

	if (!bpf_core_enum_value_exists(enum skb_ext_id, SKB_EXT_BRIDGE_NF) || id > 7)
		return NULL;
	if (!(skb->active_extensions & (1 << id)))
		return NULL;
	ext = cast_to(struct skb_ext, skb->extensions);
	return cast_to(struct nf_bridge_info, (ulong)ext + ((u32)ext->offset[id & 7] << 3));
}

struct device_walk {
	ulong node; /* address of the hlist_node */
	ulong dev;  /* address of the device found */
	s32 ifindex;
};

static long device_turn(u64 turn, struct device_walk *w)
{
	ulong dev;

	if (!w->node)
		return 1;
	dev = w->node - bpf_core_field_offset(struct net_device___byindex, index_hlist);
	if (cast_to(struct net_device, dev)->ifindex == w->ifindex) {
		w->dev = dev;
		return 1;
	}
	w->node = (ulong)cast_to(struct hlist_node, w->node)->next;
	return 0;
}

/* phys_in gives the address of the bridge port the packet came in on:
 * nf_bridge_get_physindev(), with dev_get_by_index_rcu() (net/core/dev.c). */
static __always_inline ulong phys_in(struct bpf_nf_ctx *ctx, struct nf_bridge_info *b)
{
	struct device_walk w = {};
	ulong head;

	if (bpf_core_field_exists(struct nf_bridge_info___old, physindev))
		return (ulong)((struct nf_bridge_info___old *)b)->physindev;
	w.ifindex = b->physinif;
	head = (ulong)cast_to(struct net, ctx->state->net)->dev_index_head;
	if (!w.ifindex || !head)
		return 0;
	head += (w.ifindex & 255) * sizeof(struct hlist_head); /* NETDEV_HASHENTRIES */
	w.node = (ulong)cast_to(struct hlist_head, head)->first;
	bpf_loop(65536, device_turn, &w, 0);
	return w.dev;
}

/* bridged_field gives the bits of pred.FieldBridged, for physdev_mt()
 * (net/netfilter/xt_physdev.c). */
static __always_inline u64 bridged_field(struct bpf_nf_ctx *ctx)
{
	struct nf_bridge_info *b = bridge_info(ctx->skb);
	u64 bits = 1;

	if (!b)
		return 0;
	if (phys_in(ctx, b))
		bits |= 2;
	if (b->physoutdev)
		bits |= 4 | 8;
	return bits;
}

static __always_inline u64 realm_field(struct sk_buff *skb)
{
	ulong dst = skb->_skb_refdst & SKB_DST_PTRMASK;

	if (!dst || !bpf_core_field_exists(struct dst_entry, tclassid))
		return 0;
	return cast_to(struct dst_entry, dst)->tclassid;
}

#ifndef BPFTABLES_PROBE

/* get_field reads one of the numbers of enum field. */
__noinline u64 get_field(struct bpf_nf_ctx *ctx, struct facts *f, u32 field)
{
	struct net_device *in = ctx->state->in, *out = ctx->state->out;

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
	case FIELD_IN_GROUP:
		return in ? in->group : 0;
	case FIELD_OUT_GROUP:
		return out ? out->group : 0;
	case FIELD_HAS_IN:
		return in != NULL;
	case FIELD_HAS_OUT:
		return out != NULL;
	case FIELD_BRIDGED:
		return bridged_field(ctx);
	}
	return conn_field(ctx, field);
}

/* get_addr copies an address of the conntrack entry to f->tmp, as it is on the wire. */
__noinline int get_addr(struct bpf_nf_ctx *ctx, struct facts *f, u32 which)
{
	struct nf_conn *ct = conn_of(ctx->skb);
	const union nf_inet_addr *a;
	u32 *to;

	if (!f)
		return 0;
	to = (u32 *)f->tmp;
	to[0] = to[1] = to[2] = to[3] = 0;
	if (!ct)
		return 0;
	if (which == ADDR_CT_ORIG_SRC)
		a = &ct->tuplehash[0].tuple.src.u3;
	else if (which == ADDR_CT_ORIG_DST)
		a = &ct->tuplehash[0].tuple.dst.u3;
	else if (which == ADDR_CT_REPL_SRC)
		a = &ct->tuplehash[1].tuple.src.u3;
	else
		a = &ct->tuplehash[1].tuple.dst.u3;
	bpf_probe_read_kernel(to, 16, a);
	return 1;
}

/* get_name copies the name of a bridge port to f->tmp. */
__noinline int get_name(struct bpf_nf_ctx *ctx, struct facts *f, u32 which)
{
	struct nf_bridge_info *b = bridge_info(ctx->skb);
	ulong dev;

	if (!f)
		return 0;
	__builtin_memset(f->tmp, 0, 16);
	if (!b)
		return 0;
	dev = which == NAME_PHYS_IN ? phys_in(ctx, b) : (ulong)b->physoutdev;
	if (!dev)
		return 0;
	bpf_probe_read_kernel(f->tmp, 16, &cast_to(struct net_device, dev)->name);
	return 1;
}

#endif

/* ext_size is the size of the extension header in f->tmp by its own account. */
static __always_inline u32 ext_size(struct facts *f, u32 header)
{
	if (f->tmplen < 2)
		return 2;
	return header == NEXTHDR_AUTH ? ((u32)f->tmp[1] + 2) * 4 : ((u32)f->tmp[1] + 1) * 8;
}

/* find_ext looks for an IPv6 extension header as ipv6_find_hdr(); want is the header
 * number, plus 256 if a broken header on the way is hotdrop, plus 512 if the header found
 * must be whole, too. */
__noinline int find_ext(struct bpf_nf_ctx *ctx, struct facts *f, u32 want)
{
	struct walk w;
	u32 n, there;

	if (!f)
		return A_NO;
	__builtin_memset(f->tmp, 0, EXT_MAX);
	f->tmplen = 0;
	walk_ipv6(ctx, f, &w, want & 255);
	if (w.result == WALK_BROKEN)
		return want & 256 ? A_HOTDROP : A_NO;
	if (w.result < 0)
		return A_NO;
	there = f->len > w.off ? f->len - w.off : 0;
	n = there < EXT_MAX ? there : EXT_MAX;
	f->tmplen = n;
	if (n)
		read_packet(ctx, f->tmp, w.off, n);
	if (want & 512 && there < ext_size(f, want & 255))
		return want & 256 ? A_HOTDROP : A_NO;
	return A_YES;
}

/* load_be32 is the word at an offset from the IP header, -1 when it is not all
 * there (net/netfilter/xt_u32.c). */
__noinline s64 load_be32(struct bpf_nf_ctx *ctx, struct facts *f, u32 off)
{
	u8 word[4];

	if (!f || f->len < 4 || off > f->len - 4 || read_packet(ctx, word, off, 4))
		return -1;
	return be32_at(word);
}

#endif
