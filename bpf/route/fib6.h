/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Lookups in the tree of a routing table of IPv6: fib6_table_lookup() (net/ipv6/route.c) and
 * fib6_node_lookup() (net/ipv6/ip6_fib.c), step by step on the kernel's own tree, for a packet
 * that has a destination, perhaps an output interface and a source. The kernel's readers
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

#define HAVE_SUBTREES bpf_core_field_exists(struct fib6_node, subtree)

enum route6_phase {
	R6_RULE,	/* the next policy rule (rules6.h) */
	R6_TABLE,	/* the table that it names */
	R6_DESCEND,	/* to the longest prefix */
	R6_UP,		/* to a shorter prefix */
	R6_SRC_DESCEND, /* routes with a source: in a tree of their own */
	R6_SRC_UP,
	R6_SELECT,	/* the routes of a node (hops6.h) */
	R6_ROUTE,	/* one of them */
	R6_HOP,		/* one of its next hops */
	R6_NEIGHBOUR,	/* the gateway's neighbour entry */
	R6_BACK,	/* the node had none */
	R6_MISS,	/* the table had none */
	R6_FOUND,	/* a route was found (types6.h) */
	R6_PATH,	/* what it says by way of one of its next hops */
	R6_CACHED,	/* a copy of the route for this address */
	R6_DEVICE,	/* does a next hop use the interface? (reverse6.h) */
	R6_OWN,		/* is the source an address of this interface? */
	R6_OWNED,	/* is it one of any interface? */
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
	u64 src_hi, src_lo; /* the source; 0: none */
	ulong in;	/* the interface that a packet came in on */
	ulong net;
	ulong rule;	/* policy rule, a node of their list; 0: there are the default ones only */
	ulong node;
	ulong first;	/* where the address led */
	ulong addrs;	/* of an interface */
	ulong head;	/* of the routes of the node */
	ulong route;
	ulong rest;	/* those of higher metrics */
	ulong found;
	ulong chosen;	/* next hop of the route found */
	ulong at;	/* in a chain: tables, neighbours, copies */
	s32 oif;
	u32 asked;	/* which types are */
	u32 types;	/* what was found out (types6.h) */
	u32 flags;	/* of the route found */
	u32 metric;	/* of the first pass; number of the table */
	u32 mark;
	u32 class;	/* traffic class and flow label */
	u8 protocol;
	u8 options;	/* of rpfilter */
	bool strict;	/* no route by another interface (RT6_LOOKUP_F_IFACE) */
	bool owned;	/* the source is an address of some interface */
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
#define ROUTE6_SLOTS 8 /* for each CPU: the loader multiplies */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, ROUTE6_SLOTS);
	__type(key, u32);
	__type(value, struct route6);
} route6_slots SEC(".maps");

static __always_inline struct route6 *route6_take(void)
{
	u32 first = bpf_get_smp_processor_id() * ROUTE6_SLOTS;

	for (u32 i = 0; i < ROUTE6_SLOTS; i++) {
		u32 slot = first + i;
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

/* child6 is the next node on the way down to an address. */
static __always_inline ulong child6(ulong node, u64 hi, u64 lo)
{
	u32 bit = get(node, struct fib6_node, fn_bit);
	u64 word = bit < 64 ? hi : lo;
	bool right = word >> (~bit & 63) & 1;

	return load8(node + (right ? bpf_core_field_offset(struct fib6_node, right) :
				     bpf_core_field_offset(struct fib6_node, left)));
}

/* descend6 goes down some levels of the tree. */
static __always_inline void descend6(struct route6 *w)
{
	ulong node = w->node, next;

#pragma unroll
	for (int i = 0; i < 4; i++) {
		next = child6(node, w->hi, w->lo);
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

static __always_inline void source_descend6(struct route6 *w)
{
	ulong next = child6(w->node, w->src_hi, w->src_lo);

	if (next)
		w->node = next;
	else
		w->phase = R6_SRC_UP;
}

static __always_inline void source_up6(struct route6 *w)
{
	u32 flags = get(w->node, struct fib6_node, fn_flags);
	ulong leaf = get(w->node, struct fib6_node, leaf);

	if (flags & RTN_RTINFO && leaf && same_prefix(w->src_hi, w->src_lo, inside(leaf, struct fib6_info, fib6_src))) {
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

#endif
