/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Policy rules of IPv6: fib6_rule_lookup() (net/ipv6/fib6_rules.c) and fib_rules_lookup()
 * (net/core/fib_rules.c), for a packet of which match_lookup_rt6() (net/netfilter/xt_addrtype.c)
 * says the destination and perhaps the output interface, and rpfilter_lookup_reverse6()
 * (net/ipv6/netfilter/ip6t_rpfilter.c) more, but no ports. */
#ifndef BPFTABLES_RULES6_H
#define BPFTABLES_RULES6_H

#include "route/hops6.h"

#define RT6_TABLE_MAIN 254
#define LOOPBACK_IFINDEX 1

#define FR_ACT_TO_TBL 1
#define FR_ACT_GOTO 2
#define FR_ACT_NOP 3
#define FIB_RULE_INVERT 2
#define FIB_RULE_FIND_SADDR 0x10000

/* What a lookup finds out: types of the address (1 << RTN_*) and one of these. */
#define TYPES_KNOWN (1 << 16)
#define TYPES_AGAIN (1 << 17)	/* the next rule decides */
#define TYPES_UNKNOWN (1 << 18) /* it depends on what cannot be read */

static __always_inline void done6(struct route6 *w, u32 types)
{
	w->types = types;
	w->phase = R6_DONE;
}

static __always_inline void unreachable6(struct route6 *w)
{
	done6(w, TYPES_KNOWN | 1 << RTN_UNREACHABLE);
}

/* CONFIG_IPV6_MULTIPLE_TABLES */
#define HAVE_RULES bpf_core_field_exists(struct netns_ipv6, fib6_has_custom_rules)

/* by_rule says whether a policy rule named the table. */
static __always_inline bool by_rule(struct route6 *w)
{
	return HAVE_RULES && w->rule;
}

static __always_inline ulong rule_of(struct route6 *w)
{
	return w->rule - bpf_core_field_offset(struct fib_rule, list);
}

static __always_inline void next_rule6(struct route6 *w)
{
	w->rule = load8(w->rule);
	w->phase = R6_RULE;
}

/* again6 goes on where a table has no answer. */
static __always_inline void again6(struct route6 *w)
{
	if (by_rule(w)) {
		next_rule6(w);
	} else if (w->local) {
		w->local = false;
		table6_begin(w, get(w->net, struct net___ipv6, ipv6.fib6_main_tbl));
	} else {
		unreachable6(w);
	}
}

/* source_matches: a rule that wants the kernel to choose the source is asked again when it has. */
static __always_inline bool source_matches(struct route6 *w, ulong rule)
{
	if (!get(rule, struct fib6_rule, src.plen))
		return true;
	if (w->src_hi | w->src_lo)
		return same_prefix(w->src_hi, w->src_lo, inside(rule, struct fib6_rule, src));
	return get(rule, struct fib_rule, flags) & FIB_RULE_FIND_SADDR;
}

/* rule6_matches is fib6_rule_match(). */
static __always_inline bool rule6_matches(struct route6 *w, ulong rule)
{
	u32 dscp = get(rule, struct fib6_rule, dscp), differs, protocol;

	if (!same_prefix(w->hi, w->lo, inside(rule, struct fib6_rule, dst)))
		return false;
	if (!source_matches(w, rule))
		return false;
	differs = dscp ^ (w->class >> 20 & 0xfc);
	if (bpf_core_field_exists(struct fib6_rule, dscp_mask))
		differs &= get(rule, struct fib6_rule, dscp_mask);
	else if (!dscp)
		differs = 0;
	protocol = get(rule, struct fib_rule, ip_proto);
	if (differs || (protocol && protocol != w->protocol))
		return false;
	if (bpf_core_field_exists(struct fib6_rule, flowlabel_mask) &&
	    (get(rule, struct fib6_rule, flowlabel) ^ bpf_htonl(w->class & 0xfffff)) &
		    get(rule, struct fib6_rule, flowlabel_mask))
		return false;
	return !get(rule, struct fib_rule, sport_range.start) && !get(rule, struct fib_rule, dport_range.start);
}

/* rule_matches is fib_rule_match(), for a packet without a user that enters by lo. */
static __always_inline bool rule_matches(struct route6 *w, ulong rule)
{
	s32 in = get(rule, struct fib_rule, iifindex), out = get(rule, struct fib_rule, oifindex);

	if (in && in != LOOPBACK_IFINDEX)
		return false;
	if (in && bpf_core_field_exists(struct fib_rule, iif_is_l3_master) &&
	    get(rule, struct fib_rule, iif_is_l3_master))
		return false;
	if (out && out != w->oif)
		return false;
	if (out && bpf_core_field_exists(struct fib_rule, oif_is_l3_master) &&
	    get(rule, struct fib_rule, oif_is_l3_master))
		return false;
	if ((get(rule, struct fib_rule, mark) ^ w->mark) & get(rule, struct fib_rule, mark_mask))
		return false;
	if (get(rule, struct fib_rule, tun_id) || get(rule, struct fib_rule, l3mdev) ||
	    get(rule, struct fib_rule, uid_range.start.val))
		return false;
	return rule6_matches(w, rule);
}

static __always_inline void rule6(struct route6 *w)
{
	ulong ops = get(w->net, struct net___ipv6, ipv6.fib6_rules_ops);
	ulong rule = rule_of(w), target;
	u32 table;

	if (w->rule == inside(ops, struct fib_rules_ops___6, rules_list)) {
		unreachable6(w);
		return;
	}
	if (rule_matches(w, rule) == !!(get(rule, struct fib_rule, flags) & FIB_RULE_INVERT)) {
		next_rule6(w);
		return;
	}
	switch (get(rule, struct fib_rule, action)) {
	case FR_ACT_GOTO:
		target = get(rule, struct fib_rule, ctarget);
		if (target)
			w->rule = inside(target, struct fib_rule, list);
		else
			next_rule6(w);
		return;
	case FR_ACT_NOP:
		next_rule6(w);
		return;
	case FR_ACT_TO_TBL:
		table = get(rule, struct fib_rule, l3mdev) ? 0 : get(rule, struct fib_rule, table);
		w->metric = table ? table : RT6_TABLE_MAIN;
		w->at = load8(get(w->net, struct net___ipv6, ipv6.fib_table_hash) + (w->metric & 255) * sizeof(ulong));
		w->phase = R6_TABLE;
		return;
	}
	unreachable6(w);
}

/* table6 is fib6_get_table(). */
static __always_inline void table6(struct route6 *w)
{
	ulong table = w->at - bpf_core_field_offset(struct fib6_table, tb6_hlist);

	if (!w->at)
		again6(w);
	else if (get(table, struct fib6_table, tb6_id) == w->metric)
		table6_begin(w, table);
	else
		w->at = load8(w->at);
}

#endif
