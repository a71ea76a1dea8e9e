/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The kernel's conntrack entry of a packet, read in place. */
#ifndef BPFTABLES_CONNTRACK_H
#define BPFTABLES_CONNTRACK_H

#include "facts/facts.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

union nf_inet_addr {
	u32 all[4];
};

union nf_conntrack_man_proto {
	u16 all;
};

struct nf_conntrack_man {
	union nf_inet_addr u3;
	union nf_conntrack_man_proto u;
	u16 l3num;
};

struct nf_conntrack_tuple {
	struct nf_conntrack_man src;
	struct {
		union nf_inet_addr u3;
		union {
			u16 all;
		} u;
		u8 protonum;
		u8 dir;
	} dst;
};

struct nf_conntrack_tuple_hash {
	struct nf_conntrack_tuple tuple;
};

struct nf_conn {
	u32 timeout;
	struct nf_conntrack_tuple_hash tuplehash[2];
	unsigned long status;
	struct nf_conn *master;
	u32 mark;
	struct nf_ct_ext *ext;
};

enum nf_ct_ext_id {
	NF_CT_EXT_HELPER,
	NF_CT_EXT_ACCT,
	NF_CT_EXT_LABELS,
};

struct nf_ct_ext {
	u8 offset[1];
};

struct nf_conn_help {
	struct nf_conntrack_helper *helper;
};

struct nf_conn_labels {
	unsigned long bits[2];
};

struct nf_conntrack_helper {
	char name[16];
};

enum nf_hook_ops_type {
	NF_HOOK_OP_UNDEFINED, /* what is neither nf_tables nor BPF */
};

struct nf_hook_ops {
	enum nf_hook_ops_type hook_ops_type : 8;
	int priority;
};

struct nf_hook_entry {
	void *hook;
	void *priv;
};

struct nf_hook_entries {
	u16 num_hook_entries;
	struct nf_hook_entry hooks[];
};

struct netns_nf {
	struct nf_hook_entries *hooks_ipv4[5];
	struct nf_hook_entries *hooks_ipv6[5];
};

struct net___hooks {
	struct netns_nf nf;
};

#pragma clang attribute pop

#define NFCT_INFOMASK 7UL
#define IP_CT_NEW 2
#define IP_CT_IS_REPLY 3
#define IP_CT_UNTRACKED 7

#define IPS_SRC_NAT (1 << 4)
#define IPS_DST_NAT (1 << 5)

#define STATE_INVALID (1 << 0)
/* The bit of an entry's state, 1 << (info % IP_CT_IS_REPLY + 1), without a division. */
#define STATE_BIT(info) (0x42842842U >> 4 * (info) & 15)
#define STATE_SNAT (1 << 6)
#define STATE_DNAT (1 << 7)
#define STATE_UNTRACKED (1 << 8)
/* Beside INVALID: netfilter has attached something that is no entry, as REJECT does to its answer
 * to an untracked packet (nf_conntrack_attach(), net/netfilter/nf_conntrack_core.c). CT leaves
 * such a packet as it is (xt_ct_target(), net/netfilter/xt_CT.c). */
#define STATE_MET (1 << 9)

/* conn_of gives the address of the entry; 0 for INVALID, UNTRACKED and not tracked
 * yet. */
static __always_inline ulong conn_of(struct sk_buff *skb)
{
	return skb->_nfct & ~NFCT_INFOMASK;
}

/* The address of a member of the entry (struct nf_conn may be in a module). */
#define conn_at(ct, member) ((ct) + bpf_core_field_offset(struct nf_conn, member))

/* extension_of is nf_ct_ext_find() (include/net/netfilter/nf_conntrack_extend.h): the address of an
 * extension of an entry; 0 where it has none. */
static __always_inline ulong extension_of(ulong ct, u32 id)
{
	ulong ext = load8(conn_at(ct, ext));
	u32 off = ext ? load1(ext + bpf_core_field_offset(struct nf_ct_ext, offset) + id) : 0;

	return off ? ext + off : 0;
}

#define PRIORITY_CONNTRACK (-200) /* NF_IP_PRI_CONNTRACK, NF_IP6_PRI_CONNTRACK */
#define HOOKS_MOST 64		  /* more than anybody has before conntrack */

/* hook_kind is the member hook_ops_type, which the verifier does not let programs read in
 * place: it shares its four bytes with others. */
static __always_inline u64 hook_kind(ulong at)
{
	struct nf_hook_ops *ops = NULL;
	u64 bits = load4(at + __CORE_RELO(ops, hook_ops_type, BYTE_OFFSET));

	return bits << __CORE_RELO(ops, hook_ops_type, LSHIFT_U64) >> __CORE_RELO(ops, hook_ops_type, RSHIFT_U64);
}

/* What bpf_loop carries from hook to hook: in a loop of its own the verifier would walk each
 * turn, which takes it longer than a small ruleset. */
struct hooks_walk {
	ulong ops; /* where their addresses are */
	u32 n;
	int found;
};

static long hook_turn(u64 turn, struct hooks_walk *w)
{
	struct nf_hook_ops *one;
	ulong at;

	if (turn >= w->n)
		return 1;
	at = load8(w->ops + 8 * turn);
	if (!at)
		return 1;
	one = cast_to(struct nf_hook_ops, at);
	if (one->priority > PRIORITY_CONNTRACK)
		return 1;
	if (one->priority == PRIORITY_CONNTRACK && hook_kind(at) == NF_HOOK_OP_UNDEFINED) {
		w->found = 1;
		return 1;
	}
	return 0;
}

/* conntrack_on says whether the kernel tracks connections in this namespace: its hook stands
 * among those of PREROUTING, which are sorted by priority. The list of what was registered
 * lies behind that of the functions (nf_hook_entries_get_hook_ops(),
 * include/linux/netfilter.h). A chain of nf_tables at the same priority is not it. */
__noinline int conntrack_on(struct bpf_nf_ctx *ctx)
{
	struct netns_nf *nf = &cast_to(struct net___hooks, state_of(ctx)->net)->nf;
	struct hooks_walk w = {};
	ulong entries;

#ifdef BPFTABLES_PROBE
	return 1; /* the state is given */
#endif
	entries = family == 4 ? (ulong)nf->hooks_ipv4[HOOK_PREROUTING] : (ulong)nf->hooks_ipv6[HOOK_PREROUTING];
	if (!entries)
		return 0;
	w.n = cast_to(struct nf_hook_entries, entries)->num_hook_entries;
	w.ops = entries + bpf_core_field_offset(struct nf_hook_entries, hooks) +
		w.n * bpf_core_type_size(struct nf_hook_entry);
	bpf_loop(HOOKS_MOST, hook_turn, &w, 0);
	return w.found;
}

/* fill_conntrack computes the state bits as conntrack_mt()
 * (net/netfilter/xt_conntrack.c). False: a packet has no entry because nobody keeps
 * conntrack on any more, which the rules need: our wish for it was removed. */
static __always_inline bool fill_conntrack(struct bpf_nf_ctx *ctx, struct sk_buff *skb, struct facts *f)
{
	u32 info = skb->_nfct & NFCT_INFOMASK;
	ulong ct = conn_of(skb);
	u64 status;

	f->hasconn = 0;
	if (needs & NEED_CT_MARK)
		f->ctmark = 0;
	if (!ct) {
		f->ctstate = info == IP_CT_UNTRACKED ? STATE_UNTRACKED : info ? STATE_INVALID | STATE_MET : STATE_INVALID;
		return !asks(ctx, NEED_TRACKED) || info == IP_CT_UNTRACKED || conntrack_on(ctx);
	}
	f->hasconn = 1;
	f->ctstate = STATE_BIT(info);
	if (needs & NEED_CT_NAT) {
		status = load8(conn_at(ct, status));
		if (status & IPS_SRC_NAT)
			f->ctstate |= STATE_SNAT;
		if (status & IPS_DST_NAT)
			f->ctstate |= STATE_DNAT;
	}
	if (needs & NEED_CT_MARK && bpf_core_field_exists(struct nf_conn, mark))
		f->ctmark = load4(conn_at(ct, mark));
	return true;
}

#endif
