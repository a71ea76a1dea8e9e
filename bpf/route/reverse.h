/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* -m rpfilter (net/ipv4/netfilter/ipt_rpfilter.c; reverse6.h for IPv6): whether a packet to the source of this one
 * would leave by the interface it came in on. fib_lookup() (include/net/ip_fib.h) with the policy
 * rules of fib_rules_lookup() (net/core/fib_rules.c) is followed step by step, as in fib.h. */
#ifndef BPFTABLES_REVERSE_H
#define BPFTABLES_REVERSE_H

#include "facts/fill.h"
#include "route/addrtype.h"
#include "route/reverse6.h"

#define IFF_LOOPBACK 8
#define RT_TABLE_DEFAULT 253
#define RT_TABLE_MAIN 254
#define FIB_TABLE_HASHSZ 256
#define DSCP_OF_TOS 0x1c /* IPTOS_RT_MASK */

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct fib4_rule {
	struct fib_rule common;
	u8 dscp, dscp_mask, dscp_full;
	u32 src, srcmask, dst, dstmask;
};

struct netns_ipv4___rules {
	struct fib_rules_ops___6 *rules_ops;
	bool fib_has_custom_rules;
	struct fib_table *fib_main, *fib_default;
};

struct net___reverse {
	struct netns_ipv4___rules ipv4;
};

#pragma clang attribute pop

#define HAVE_RULES4 bpf_core_field_exists(struct netns_ipv4___rules, fib_has_custom_rules)

enum reverse_stage {
	REVERSE_RULE,  /* the next policy rule */
	REVERSE_TABLE, /* the table that it names */
	REVERSE_FIB,   /* a lookup in it */
	REVERSE_HOPS,  /* the next hops of the route found */
};

/* One lookup. */
struct reverse {
	struct fib_walk w;
	ulong net;
	ulong rule;  /* policy rule, a node of their list; 0: there are the default ones only */
	ulong at;    /* in a chain of tables */
	ulong dev;   /* that the packet came in on */
	u32 src;     /* the packet's destination, in network order */
	u32 mark;
	u32 table;
	u8 stage;
	u8 tos;
	u8 passes;
	u8 hop;
};

/* It lies where lookups of IPv6 do, for the same reasons (route6_take()). */
_Static_assert(sizeof(struct reverse) <= __builtin_offsetof(struct route6, taken), "");

static __always_inline ulong rule4_of(struct reverse *r)
{
	return r->rule - bpf_core_field_offset(struct fib_rule, list);
}

/* reverse_table begins a lookup in a table; false when there is none. */
static __always_inline bool reverse_table(struct reverse *r, ulong table)
{
	if (!table)
		return false;
	r->w.info = 0;
	r->w.fa = 0;
	r->w.cindex = 0;
	r->w.missed = false;
	r->w.pn = pointer_at(table + bpf_core_field_offset(struct fib_table, tb_data));
	r->w.n = fib_child(r->w.pn, 0);
	r->w.phase = r->w.n ? FIB_DESCEND : FIB_BACKTRACE;
	if (!r->w.n)
		r->w.missed = true;
	r->stage = REVERSE_FIB;
	return true;
}

static __always_inline ulong ipv4_of(struct reverse *r)
{
	return r->net + bpf_core_field_offset(struct net___reverse, ipv4);
}

/* rule4_matches is fib4_rule_match() and fib_rule_match(), for a packet that enters by lo, without a
 * protocol. */
static __always_inline bool rule4_matches(struct reverse *r, ulong rule)
{
	s32 in = get(rule, struct fib_rule, iifindex), out = get(rule, struct fib_rule, oifindex);
	u8 dscp = get(rule, struct fib4_rule, dscp), mask = 0xff;
	bool full = false;

	if ((in && in != LOOPBACK_IFINDEX) || out)
		return false;
	if ((get(rule, struct fib_rule, mark) ^ r->mark) & get(rule, struct fib_rule, mark_mask))
		return false;
	if (get(rule, struct fib_rule, tun_id) || get(rule, struct fib_rule, l3mdev) ||
	    get(rule, struct fib_rule, uid_range.start.val))
		return false;
	if ((r->src ^ get(rule, struct fib4_rule, src)) & get(rule, struct fib4_rule, srcmask))
		return false;
	if ((bpf_htonl(r->w.key) ^ get(rule, struct fib4_rule, dst)) & get(rule, struct fib4_rule, dstmask))
		return false;
	if (bpf_core_field_exists(struct fib4_rule, dscp_full))
		full = get(rule, struct fib4_rule, dscp_full);
	if (bpf_core_field_exists(struct fib4_rule, dscp_mask))
		mask = get(rule, struct fib4_rule, dscp_mask);
	if (full ? (dscp ^ r->tos) & 0xfc & mask : dscp && dscp != (r->tos & DSCP_OF_TOS))
		return false;
	return !get(rule, struct fib_rule, ip_proto) && !get(rule, struct fib_rule, sport_range.start) &&
	       !get(rule, struct fib_rule, dport_range.start);
}

static __always_inline void next_rule4(struct reverse *r)
{
	r->rule = load8(r->rule);
	r->stage = REVERSE_RULE;
}

/* reverse_rule looks at one policy rule; true ends the lookup without a route. */
static __always_inline bool reverse_rule(struct reverse *r)
{
	ulong ops = get(r->net, struct net___reverse, ipv4.rules_ops);
	ulong rule = rule4_of(r), target;
	u32 table;

	if (r->rule == inside(ops, struct fib_rules_ops___6, rules_list))
		return true;
	if (rule4_matches(r, rule) == !!(get(rule, struct fib_rule, flags) & FIB_RULE_INVERT)) {
		next_rule4(r);
		return false;
	}
	switch (get(rule, struct fib_rule, action)) {
	case FR_ACT_GOTO:
		target = get(rule, struct fib_rule, ctarget);
		if (target)
			r->rule = inside(target, struct fib_rule, list);
		else
			next_rule4(r);
		return false;
	case FR_ACT_NOP:
		next_rule4(r);
		return false;
	case FR_ACT_TO_TBL:
		table = get(rule, struct fib_rule, table);
		r->table = table ? table : RT_TABLE_MAIN;
		r->at = load8(get(r->net, struct net___ipv4, ipv4.fib_table_hash) +
			      (r->table & (FIB_TABLE_HASHSZ - 1)) * sizeof(ulong));
		r->stage = REVERSE_TABLE;
		return false;
	}
	return true;
}

/* reverse_find is fib_get_table(). */
static __always_inline void reverse_find(struct reverse *r)
{
	ulong table = r->at - bpf_core_field_offset(struct fib_table, tb_hlist);

	if (!r->at)
		next_rule4(r);
	else if (get(table, struct fib_table, tb_id) != r->table)
		r->at = load8(r->at);
	else
		reverse_table(r, table);
}

/* suppressed4 is fib4_rule_suppress(). */
static __always_inline bool suppressed4(struct reverse *r)
{
	ulong rule = rule4_of(r), dev;
	s32 group = get(rule, struct fib_rule, suppress_ifgroup);

	fib_paths(&r->w, r->w.info);
	dev = get(fib_path_nhc(&r->w), struct fib_nh_common, nhc_dev);
	if ((s32)(KEYLENGTH - r->w.slen) <= (s32)get(rule, struct fib_rule, suppress_prefixlen))
		return true;
	return group != -1 && dev && cast_to(struct net_device, dev)->group == group;
}

/* reverse_looked goes on when a table has been asked; true ends the lookup. */
static __always_inline bool reverse_looked(struct reverse *r)
{
	if (!r->w.info && !r->w.missed)
		return true; /* the route says that there is none */
	if (r->rule) {
		if (!r->w.info || suppressed4(r)) {
			next_rule4(r);
			return false;
		}
	} else if (!r->w.info) {
		if (r->table == RT_TABLE_DEFAULT || !HAVE_RULES4)
			return true;
		r->table = RT_TABLE_DEFAULT;
		return !reverse_table(r, load8(ipv4_of(r) + bpf_core_field_offset(struct netns_ipv4___rules, fib_default)));
	}
	if (r->w.type != RTN_UNICAST && !(r->w.type == RTN_LOCAL && r->passes & REVERSE_ACCEPT_LOCAL))
		return true;
	if (r->passes & REVERSE_LOOSE) {
		r->hop = 1;
		return true;
	}
	fib_paths(&r->w, r->w.info);
	r->stage = REVERSE_HOPS;
	return false;
}

/* reverse_hop looks at one next hop of the route, as fib_info_nh_uses_dev(); true ends. */
static __always_inline bool reverse_hop(struct reverse *r)
{
	ulong nhc;

	if (r->w.path >= r->w.paths)
		return true;
	nhc = fib_path_nhc(&r->w);
	r->w.path++;
	r->hop = get(nhc, struct fib_nh_common, nhc_dev) == r->dev;
	return r->hop;
}

static long reverse_turn(u64 turn, struct reverse **lookup)
{
	struct reverse *r = *lookup;

	switch (r->stage) {
	case REVERSE_RULE:
		return HAVE_RULES4 ? reverse_rule(r) : 1;
	case REVERSE_TABLE:
		reverse_find(r);
		return 0;
	case REVERSE_FIB:
		return fib_step(&r->w) ? reverse_looked(r) : 0;
	}
	return reverse_hop(r);
}

/* reverse_begin fills a lookup. */
static __always_inline bool reverse_begin(struct bpf_nf_ctx *ctx, struct facts *f, struct reverse *r, u32 options)
{
	u32 dst = be32_at(f->l3 + 16);

	r->net = (ulong)state_of(ctx)->net;
	r->dev = (ulong)state_of(ctx)->in;
	r->passes = options;
	r->hop = 0;
	r->rule = 0;
	r->table = RT_TABLE_MAIN;
	r->tos = f->l3[1];
	r->mark = options & REVERSE_VALID_MARK ? f->mark : 0;
	r->w.key = be32_at(f->l3 + 12);
	r->w.tos = r->tos & DSCP_OF_TOS;
	r->w.any_link = true;
	/* rpfilter_get_saddr() */
	r->src = dst >= 0xe0000000 && (dst < 0xf0000000 || dst == 0xffffffff) ? 0 : bpf_htonl(dst);
	if (!(dst >> 24))
		r->src = 0;
	if (!HAVE_RULES4) { /* there is one table for all, in the first of two chains */
		r->table = RT_TABLE_DEFAULT;
		r->at = load8(get(r->net, struct net___ipv4, ipv4.fib_table_hash));
		return r->at && reverse_table(r, r->at - bpf_core_field_offset(struct fib_table, tb_hlist));
	}
	if (!get(r->net, struct net___reverse, ipv4.fib_has_custom_rules)) {
		if (reverse_table(r, load8(ipv4_of(r) + bpf_core_field_offset(struct netns_ipv4___rules, fib_main))))
			return true;
		r->table = RT_TABLE_DEFAULT;
		return reverse_table(r, load8(ipv4_of(r) + bpf_core_field_offset(struct netns_ipv4___rules, fib_default)));
	}
	r->rule = load8(inside(get(r->net, struct net___reverse, ipv4.rules_ops), struct fib_rules_ops___6, rules_list));
	r->stage = REVERSE_RULE;
	return true;
}

#ifndef BPFTABLES_PROBE

/* reverse4 looks the way back up, of a packet from the network. */
static __always_inline int reverse4(struct bpf_nf_ctx *ctx, struct facts *f, u32 options)
{
	struct reverse *r;
	u32 src, dst;
	int yes = A_NO;

	src = be32_at(f->l3 + 12);
	dst = be32_at(f->l3 + 16);
	if (!(src >> 24) && (dst == 0xffffffff || dst >> 8 == 0xe00000))
		return A_YES;
	r = (struct reverse *)route6_take();
	if (!r)
		return A_HOTDROP;
	if (reverse_begin(ctx, f, r, options)) {
		bpf_loop(1 << 23, reverse_turn, &r, 0);
		yes = r->hop;
	}
	route6_give((struct route6 *)r);
	return yes;
}

/* reverse_path is rpfilter_mt() without --invert. A device of a VRF has tables of its own, which
 * cannot be found from here. */
__noinline int reverse_path(struct bpf_nf_ctx *ctx, struct facts *f, u32 options)
{
	const struct net_device *in = state_of(ctx)->in;
	struct sk_buff *skb = ctx->skb;

	if (!f)
		return A_HOTDROP;
	if (!in || in_vrf(in))
		return A_HOTDROP;
	if (BPF_CORE_READ_BITFIELD(skb, pkt_type) == PACKET_LOOPBACK || in->flags & IFF_LOOPBACK)
		return A_YES;
	return family == 4 ? reverse4(ctx, f, options) : reverse6(ctx, f, options);
}

#endif

#endif
