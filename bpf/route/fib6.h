/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Lookups in a routing table of IPv6: fib6_table_lookup() (net/ipv6/route.c) and
 * fib6_node_lookup() (net/ipv6/ip6_fib.c), step by step on the kernel's own tree, for a packet
 * that has a destination, perhaps an output interface, and no source. The kernel's readers
 * take no lock and do not look twice, either: it changes pointers one at a time, and frees
 * after a grace period. */
#ifndef BPFTABLES_FIB6_H
#define BPFTABLES_FIB6_H

#include "facts/world.h"
#include "route/fib.h"
#include "route/fib6_kernel.h"

/* Flags of nodes (include/net/ip6_fib.h). */
#define RTN_TL_ROOT 1
#define RTN_ROOT 2
#define RTN_RTINFO 4

/* Flags of routes (include/uapi/linux/ipv6_route.h, ipv6.h). */
#define RTF_GATEWAY 0x2
#define RTF_REJECT 0x200
#define RTF_ANYCAST 0x100000
#define RTF_NONEXTHOP 0x200000
#define RTF_EXPIRES 0x400000
#define RTF_PREF_SHIFT 27
#define RTF_LOCAL 0x80000000

/* States of neighbours (include/uapi/linux/neighbour.h, include/net/neighbour.h). */
#define NUD_FAILED 0x20
#define NUD_VALID 0xde

#define HAVE_SUBTREES bpf_core_field_exists(struct fib6_node, subtree)
/* CONFIG_IPV6_ROUTER_PREF */
#define HAVE_ROUTER_PREF bpf_core_field_exists(struct fib6_nh, last_probe)

enum route6_phase {
	R6_RULE,	/* the next policy rule (rules6.h) */
	R6_TABLE,	/* the table that it names */
	R6_DESCEND,	/* to the longest prefix */
	R6_UP,		/* to a shorter prefix */
	R6_SRC_DESCEND, /* routes with a source: in a tree of their own */
	R6_SRC_UP,
	R6_SELECT,	/* the routes of a node */
	R6_ROUTE,	/* one of them */
	R6_HOP,		/* one of its next hops */
	R6_NEIGHBOUR,	/* the gateway's neighbour entry */
	R6_BACK,	/* the node had none */
	R6_MISS,	/* the table had none */
	R6_FOUND,	/* a route was found (rules6.h) */
	R6_PATH,	/* what it says by way of one of its next hops */
	R6_CACHED,	/* a copy of the route for this address */
	R6_DONE,
};

/* The three passes of find_rr_leaf() over the routes of a node. */
enum route6_pass {
	PASS_HEAD,  /* from the one whose turn it is */
	PASS_FIRST, /* from the first to there */
	PASS_REST,  /* those of higher metrics */
};

/* The next hops of the route found that the kernel may choose. */
enum route6_by {
	BY_CHOSEN,   /* the one that was found */
	BY_GROUP,    /* one of a group */
	BY_SIBLINGS, /* that of one of several routes */
};

/* One lookup; addresses of kernel objects are plain numbers. */
struct route6 {
	u64 hi, lo;	/* the address, in host order */
	ulong net;
	ulong rule;	/* policy rule, a node of their list; 0: there are the default ones only */
	ulong node;
	ulong first;	/* where the address led */
	ulong head;	/* of the routes of the node */
	ulong route;
	ulong rest;	/* those of higher metrics */
	ulong found;
	ulong chosen;	/* next hop of the route found */
	ulong at;	/* in a chain: tables, neighbours, copies */
	s32 oif;
	u32 asked;	/* which types are */
	u32 types;	/* what was found out (rules6.h) */
	u32 flags;	/* of the route found */
	u32 metric;	/* of the first pass; number of the table */
	u8 phase, pass, by;
	u8 type;	/* of the route found */
	u8 score;	/* of a next hop */
	u8 best;	/* 1 more than the best score; 0: none */
	bool reachable; /* only next hops that answer */
	bool source;	/* the tree of sources is searched for a shorter prefix */
	bool local;	/* the table is "local", the next one is "main" */
	u16 path;	/* number of a next hop */
	u16 chain;	/* number of a chain of copies */
	u32 taken;	/* the slot belongs to a lookup */
} __attribute__((aligned(64)));

/* Lookups do not lie on the stack, where there is no room for them, and where the verifier
 * would know too much of them: it would follow the phases through all their orders. A lookup
 * may be interrupted by another one, and go on on another CPU, so it takes a slot that is free. */
#define ROUTE6_SLOTS 64 /* a power of two */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, ROUTE6_SLOTS);
	__type(key, u32);
	__type(value, struct route6);
} route6_slots SEC(".maps");

static __always_inline struct route6 *route6_take(void)
{
	u32 cpu = bpf_get_smp_processor_id();

	for (u32 i = 0; i < ROUTE6_SLOTS; i++) {
		u32 slot = (cpu + i) & (ROUTE6_SLOTS - 1);
		struct route6 *w = bpf_map_lookup_elem(&route6_slots, &slot);

		if (w && !__sync_lock_test_and_set(&w->taken, 1))
			return w;
	}
	return NULL;
}

static __always_inline void route6_give(struct route6 *w)
{
	__sync_lock_test_and_set(&w->taken, 0);
}

/* same_prefix is ipv6_prefix_equal(); the key lies at an address. */
static __always_inline bool same_prefix(u64 hi, u64 lo, ulong key)
{
	u32 len = get(key, struct rt6key, plen);

	hi ^= bpf_be64_to_cpu(load8(key));
	if (len < 64)
		return !len || !(hi >> (64 - len));
	if (hi || len == 64)
		return !hi;
	lo ^= bpf_be64_to_cpu(load8(key + 8));
	return !(lo >> ((128 - len) & 63));
}

static __always_inline ulong subtree_of(ulong node)
{
	return HAVE_SUBTREES ? get(node, struct fib6_node, subtree) : 0;
}

static __always_inline void table6_begin(struct route6 *w, ulong table)
{
	w->node = inside(table, struct fib6_table, tb6_root);
	w->reachable = !get(get(w->net, struct net___ipv6, ipv6.devconf_all), struct ipv6_devconf, forwarding);
	w->found = 0;
	w->phase = R6_DESCEND;
}

static __always_inline void select6(struct route6 *w, bool is_first)
{
	if (is_first)
		w->first = w->node;
	w->phase = R6_SELECT;
}

/* descend6 goes down some levels of the tree. */
static __always_inline void descend6(struct route6 *w)
{
	ulong node = w->node, next;

#pragma unroll
	for (int i = 0; i < 4; i++) {
		u32 bit = get(node, struct fib6_node, fn_bit);
		u64 word = bit < 64 ? w->hi : w->lo;
		bool right = word >> (~bit & 63) & 1;

		next = load8(node + (right ? bpf_core_field_offset(struct fib6_node, right) :
					     bpf_core_field_offset(struct fib6_node, left)));
		if (!next) {
			w->phase = R6_UP;
			break;
		}
		node = next;
	}
	w->node = node;
}

/* up6: the root is the node that has the flag, if no prefix is left (fib6_node_lookup()). */
static __always_inline void up6(struct route6 *w)
{
	u32 flags = get(w->node, struct fib6_node, fn_flags);
	ulong subtree = subtree_of(w->node), leaf;

	if (subtree || flags & RTN_RTINFO) {
		leaf = get(w->node, struct fib6_node, leaf);
		if (leaf && same_prefix(w->hi, w->lo, inside(leaf, struct fib6_info, fib6_dst))) {
			if (!subtree) {
				select6(w, true);
				return;
			}
			w->node = subtree;
			w->source = false;
			w->phase = R6_SRC_DESCEND;
			return;
		}
	}
	if (flags & RTN_ROOT)
		select6(w, true);
	else
		w->node = get(w->node, struct fib6_node, parent);
}

/* source_descend6: the source is ::, all bits are 0. */
static __always_inline void source_descend6(struct route6 *w)
{
	ulong next = get(w->node, struct fib6_node, left);

	if (next)
		w->node = next;
	else
		w->phase = R6_SRC_UP;
}

static __always_inline void source_up6(struct route6 *w)
{
	u32 flags = get(w->node, struct fib6_node, fn_flags);
	ulong leaf = get(w->node, struct fib6_node, leaf);

	if (flags & RTN_RTINFO && leaf && same_prefix(0, 0, inside(leaf, struct fib6_info, fib6_src))) {
		select6(w, !w->source);
		return;
	}
	if (!(flags & RTN_ROOT)) {
		w->node = get(w->node, struct fib6_node, parent);
		return;
	}
	if (w->source) {
		w->phase = flags & RTN_RTINFO ? R6_SELECT : R6_BACK;
		return;
	}
	w->node = get(w->node, struct fib6_node, parent);
	if (get(w->node, struct fib6_node, fn_flags) & RTN_ROOT) {
		select6(w, true);
		return;
	}
	w->node = get(w->node, struct fib6_node, parent);
	w->phase = R6_UP;
}

/* back6 is fib6_backtrack(), and what fib6_table_lookup() does without a node. */
static __always_inline void back6(struct route6 *w)
{
	ulong parent, subtree;

	if (get(w->node, struct fib6_node, fn_flags) & RTN_TL_ROOT) {
		if (w->reachable) {
			w->reachable = false;
			w->node = w->first;
			w->phase = R6_SELECT;
		} else {
			w->phase = R6_MISS;
		}
		return;
	}
	parent = get(w->node, struct fib6_node, parent);
	subtree = subtree_of(parent);
	if (subtree && subtree != w->node) {
		w->node = subtree;
		w->source = true;
		w->phase = R6_SRC_DESCEND;
		return;
	}
	w->node = parent;
	if (get(parent, struct fib6_node, fn_flags) & RTN_RTINFO)
		w->phase = R6_SELECT;
}

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
