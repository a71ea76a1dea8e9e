/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which of the routes of a node is taken: rt6_select() (net/ipv6/route.c), by metric, next hops
 * and their neighbours. */
#ifndef BPFTABLES_HOPS6_H
#define BPFTABLES_HOPS6_H

#include "route/fib6.h"

/* States of neighbours (include/uapi/linux/neighbour.h, include/net/neighbour.h). */
#define NUD_FAILED 0x20
#define NUD_VALID 0xde

/* CONFIG_IPV6_ROUTER_PREF */
#define HAVE_ROUTER_PREF bpf_core_field_exists(struct fib6_nh, last_probe)

static __always_inline void pass_begin(struct route6 *w, enum route6_pass pass, ulong route)
{
	w->pass = pass;
	w->route = route;
	w->phase = R6_ROUTE;
}

static __always_inline void pass_end(struct route6 *w)
{
	if (w->pass == PASS_HEAD)
		pass_begin(w, PASS_FIRST, get(w->node, struct fib6_node, leaf));
	else if (w->pass == PASS_FIRST && !w->found && w->rest)
		pass_begin(w, PASS_REST, w->rest);
	else
		w->phase = w->found ? R6_FOUND : R6_BACK;
}

/* routes6 is the begin of rt6_select(). */
static __always_inline void routes6(struct route6 *w)
{
	ulong leaf = get(w->node, struct fib6_node, leaf);
	u32 len = 0;

	w->phase = R6_BACK;
	if (!leaf || leaf == get(w->net, struct net___ipv6, ipv6.fib6_null_entry))
		return;
	w->head = get(w->node, struct fib6_node, rr_ptr);
	if (!w->head)
		w->head = leaf;
	if (HAVE_SUBTREES)
		len = get(w->head, struct fib6_info, fib6_src.plen);
	if (!len)
		len = get(w->head, struct fib6_info, fib6_dst.plen);
	if (len != get(w->node, struct fib6_node, fn_bit))
		return;
	w->metric = get(w->head, struct fib6_info, fib6_metric);
	w->rest = 0;
	w->best = 0;
	pass_begin(w, PASS_HEAD, w->head);
}

/* is_blackhole is nexthop_is_blackhole(). */
static __always_inline bool is_blackhole(ulong nexthop)
{
	ulong group;

	if (get(nexthop, struct nexthop, is_group)) {
		group = get(nexthop, struct nexthop, nh_grp);
		if (get(group, struct nh_group, num_nh) > 1)
			return false;
		return get(fib_group_nhc(group, 0) - bpf_core_field_offset(struct nh_info, fib_nhc), struct nh_info, reject_nh);
	}
	return get(get(nexthop, struct nexthop, nh_info), struct nh_info, reject_nh);
}

/* hop6 is the next hop of a route with the number path; 0: it has no more. */
static __always_inline ulong hop6(ulong route, u32 path)
{
	ulong nexthop = get(route, struct fib6_info, nh), group;

	if (nexthop && get(nexthop, struct nexthop, is_group)) {
		group = get(nexthop, struct nexthop, nh_grp);
		return path < get(group, struct nh_group, num_nh) ? fib_group_nhc(group, path) : 0;
	}
	if (path)
		return 0;
	return nexthop ? nexthop_nhc(nexthop) : inside(route, struct fib6_info, fib6_nh);
}

/* one_route6 looks at one route of a node, as __find_rr_leaf() does. */
static __always_inline void one_route6(struct route6 *w)
{
	ulong nexthop;

	if (!w->route || (w->pass == PASS_FIRST && w->route == w->head)) {
		pass_end(w);
		return;
	}
	if (w->pass != PASS_REST && get(w->route, struct fib6_info, fib6_metric) != w->metric) {
		w->rest = w->route;
		pass_end(w);
		return;
	}
	if (get(w->route, struct fib6_info, fib6_flags) & RTF_EXPIRES &&
	    (s64)(get(w->route, struct fib6_info, expires) - bpf_jiffies64()) < 0) {
		w->route = get(w->route, struct fib6_info, fib6_next);
		return;
	}
	w->path = 0;
	w->phase = R6_HOP;
	nexthop = get(w->route, struct fib6_info, nh);
	if (nexthop && is_blackhole(nexthop)) {
		w->found = w->route;
		w->chosen = hop6(w->route, 0);
		w->flags = RTF_REJECT;
		w->type = RTN_BLACKHOLE;
		pass_end(w);
	}
}

/* hop_end ends the look at one next hop; its score decides, if it is usable. */
static __always_inline void hop_end(struct route6 *w, bool usable, u8 score)
{
	if (usable && score >= w->best) {
		w->best = score + 1;
		w->found = w->route;
		w->chosen = hop6(w->route, w->path);
		w->flags = get(w->route, struct fib6_info, fib6_flags);
		w->type = get(w->route, struct fib6_info, fib6_type);
	}
	w->path++;
	w->phase = R6_HOP;
}

/* ignores_linkdown is ip6_ignore_linkdown() (include/net/addrconf.h). */
static __always_inline bool ignores_linkdown(ulong dev)
{
	ulong inet6 = get(dev, struct net_device___ip6, ip6_ptr);

	return !inet6 || get(inet6, struct inet6_dev, cnf.ignore_routes_with_linkdown);
}

static __always_inline u32 hash32(ulong p)
{
	return p ^ p >> 32;
}

/* neighbour_chain is where the neighbour of a device and a gateway would be, as
 * __ipv6_neigh_lookup_noref() finds it (include/net/ndisc.h). */
static __always_inline ulong neighbour_chain(ulong dev, ulong gateway)
{
	ulong inet6 = get(dev, struct net_device___ip6, ip6_ptr);
	ulong table, heads, random;
	u32 hash;

	if (!inet6)
		return 0;
	table = get(get(inet6, struct inet6_dev, nd_parms), struct neigh_parms, tbl);
	table = get(table, struct neigh_table, nht);
	random = inside(table, struct neigh_hash_table, hash_rnd);
	hash = (load4(gateway) ^ hash32(dev)) * load4(random) + load4(gateway + 4) * load4(random + 4) +
	       load4(gateway + 8) * load4(random + 8) + load4(gateway + 12) * load4(random + 12);
	hash >>= (32 - get(table, struct neigh_hash_table, hash_shift)) & 31;
	if (bpf_core_field_exists(struct neigh_hash_table, hash_heads))
		heads = get(table, struct neigh_hash_table, hash_heads);
	else
		heads = get(table, struct neigh_hash_table___old, hash_buckets);
	return load8(heads + hash * sizeof(ulong));
}

/* neighbour6 looks at one neighbour, as rt6_check_neigh() does. */
static __always_inline void neighbour6(struct route6 *w)
{
	bool chained = bpf_core_field_exists(struct neighbour, hash);
	ulong hop = hop6(w->route, w->path), n = w->at, key, gateway;
	u8 state;

	if (!n) {
		/* A kernel without router preferences takes turns. */
		hop_end(w, true, HAVE_ROUTER_PREF ? w->score : 0);
		return;
	}
	if (chained)
		n -= bpf_core_field_offset(struct neighbour, hash);
	key = inside(n, struct neighbour, primary_key);
	gateway = inside(hop, struct fib_nh_common, nhc_gw);
	if (get(n, struct neighbour, dev) != get(hop, struct fib_nh_common, nhc_dev) ||
	    load8(key) != load8(gateway) || load8(key + 8) != load8(gateway + 8)) {
		w->at = chained ? load8(w->at) : get(n, struct neighbour___old, next);
		return;
	}
	state = get(n, struct neighbour, nud_state);
	hop_end(w, state & NUD_VALID || (HAVE_ROUTER_PREF && !(state & NUD_FAILED)), w->score);
}

/* next_hop6 looks at one next hop, as find_match() and rt6_score_route() do. */
static __always_inline void next_hop6(struct route6 *w)
{
	ulong hop = hop6(w->route, w->path), dev;
	u32 flags;
	u8 state;

	if (!hop) {
		w->route = get(w->route, struct fib6_info, fib6_next);
		w->phase = R6_ROUTE;
		return;
	}
	dev = get(hop, struct fib_nh_common, nhc_dev);
	state = get(hop, struct fib_nh_common, nhc_flags);
	flags = get(w->route, struct fib6_info, fib6_flags);
	/* An output interface without a source is asked for strictly (ip6_route_output_flags()). */
	if (state & RTNH_F_DEAD || (state & RTNH_F_LINKDOWN && ignores_linkdown(dev)) ||
	    (w->oif && cast_to(struct net_device, dev)->ifindex != w->oif)) {
		hop_end(w, false, 0);
		return;
	}
	w->score = 2;
	if (HAVE_ROUTER_PREF)
		w->score |= ((flags >> RTF_PREF_SHIFT & 3) ^ 2) << 2;
	if (!w->reachable || flags & RTF_NONEXTHOP || !get(hop, struct fib_nh_common, nhc_gw_family)) {
		hop_end(w, true, w->score);
		return;
	}
	w->at = neighbour_chain(dev, inside(hop, struct fib_nh_common, nhc_gw));
	w->phase = R6_NEIGHBOUR;
}

#endif
