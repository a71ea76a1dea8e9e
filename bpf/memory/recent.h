/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* -m recent, as net/netfilter/xt_recent.c. */
#ifndef BPFTABLES_RECENT_H
#define BPFTABLES_RECENT_H

#include "facts/facts.h"
#include "facts/fill.h"
#include "facts/numbers.h"
#include "facts/world.h"
#include "memory/recent_list.h"

struct recent_config {
	enum recent_op op;
	u32 dst;
	u32 seconds;
	u32 hits;
	u32 ttl;
	u32 reap;
	u32 negate;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct recent_config);
} recent_configs SEC(".maps");

/* The list of each slot. Its inner maps are like recent_list: the loader says so, as
 * the compiler leaves out the type of what is only mentioned here. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} recent_lists SEC(".maps");

/* recent_young counts one stamp if it is young enough, and says whether there are enough then. */
static __always_inline bool recent_young(struct recent_list *l, struct recent_config *c, u32 i, u32 k, struct recent_ask *a)
{
	if (c->seconds && (s64)(*recent_stamp(l, i, k) - a->since) < 0)
		return false;
	l->hits++;
	return !c->hits || l->hits >= c->hits;
}

/* recent_hits says whether enough stamps are young enough; see recent_find(). */
static __always_inline bool recent_hits(struct recent_list *l, struct recent_config *c, u32 i, struct recent_ask *a)
{
	u32 nstamps = l->entries[recent_index(i)].nstamps, k;

	l->hits = 0;
	if (!loops) {
		for (k = 0; k < RECENT_STAMPS && k < nstamps; k++)
			if (recent_young(l, c, i, k, a))
				return true;
		return false;
	}
	l->free = 0; /* it is not asked for any more */
	for (;;) {
		may_break;
		k = l->free++;
		if (k >= RECENT_STAMPS || k >= nstamps)
			return false;
		if (recent_young(l, c, i, k, a))
			return true;
	}
	return false;
}

/* recent_reap is recent_entry_reap(): the oldest entry goes when its last stamp is
 * too old, unless it is about to be updated. */
static __always_inline void recent_reap(struct recent_list *l, u32 working, bool update, struct recent_ask *a)
{
	u32 i = recent_index(l->oldest);
	struct recent_entry *e = &l->entries[i];

	if (i == RECENT_NONE || (i == working && update))
		return;
	if ((s64)(*recent_stamp(l, i, e->index - 1) - a->since) < 0)
		e->touched = 0;
}

/* recent_answer is the locked part of recent_mt(). */
static __always_inline bool recent_answer(struct recent_list *l, struct recent_config *c, struct recent_ask *a)
{
	bool yes = c->negate;
	u32 i;

	recent_find(l, a);
	i = recent_index(l->found);
	if (i == RECENT_NONE) {
		if (c->op != RECENT_SET)
			return yes;
		recent_add(l, a);
		return !yes;
	}
	if (c->op == RECENT_SET || c->op == RECENT_REMOVE) {
		yes = !yes;
	} else {
		if (recent_hits(l, c, i, a))
			yes = !yes;
		if (c->reap)
			recent_reap(l, i, c->op == RECENT_UPDATE && yes, a);
	}
	if (c->op == RECENT_REMOVE)
		l->entries[i].touched = 0;
	if (c->op == RECENT_SET || (c->op == RECENT_UPDATE && yes))
		recent_touch(l, i, a);
	return yes;
}

/* recent_prepare reads the packet. The TTL is the one before forwarding. */
static __always_inline void recent_prepare(struct bpf_nf_ctx *ctx, struct facts *f, struct recent_list *l,
					   struct recent_config *c, struct recent_ask *a)
{
	u32 *from = (u32 *)(f->l3 + (c->dst ? 16 : 12));

	if (family == 4) {
		a->addr[0] = from[0] & l->mask[0];
		a->ttl = f->l3[8];
	} else {
		from = (u32 *)(f->l3 + (c->dst ? 24 : 8));
		a->addr[0] = from[0] & l->mask[0];
		a->addr[1] = from[1] & l->mask[1];
		a->addr[2] = from[2] & l->mask[2];
		a->addr[3] = from[3] & l->mask[3];
		a->ttl = f->l3[7];
	}
	if (world_forwarded(ctx))
		a->ttl++;
	a->asked_ttl = c->ttl ? a->ttl : 0;
	a->now = world_jiffies();
	a->since = a->now - (u32)(c->seconds * hz);
}

/* recent is recent_mt(). */
__noinline int recent(struct bpf_nf_ctx *ctx, struct facts *f, u32 slot)
{
	struct recent_config *c = bpf_map_lookup_elem(&recent_configs, &slot);
	void *map = bpf_map_lookup_elem(&recent_lists, &slot);
	struct recent_ask a = {};
	struct recent_list *l;
	u32 zero = 0;
	bool yes;

	takes(ctx);
	if (!f || !c || !map)
		return A_HOTDROP;
	l = bpf_map_lookup_elem(map, &zero);
	if (!l)
		return A_HOTDROP;
	recent_prepare(ctx, f, l, c, &a);
	bpf_spin_lock(&l->lock);
	yes = recent_answer(l, c, &a);
	bpf_spin_unlock(&l->lock);
	return yes;
}

#endif
