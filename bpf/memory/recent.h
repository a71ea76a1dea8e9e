/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* -m recent, as net/netfilter/xt_recent.c: lists of addresses with the times at which
 * they were seen. A list is one map value with a lock; all rules of the namespace that
 * name it share it, in both families. */
#ifndef BPFTABLES_RECENT_H
#define BPFTABLES_RECENT_H

#include "facts/facts.h"
#include "facts/fill.h"
#include "facts/numbers.h"
#include "facts/world.h"

#define RECENT_TOTAL 100 /* module parameter ip_list_tot */
#define RECENT_STAMPS 256 /* at most, for each address */
#define RECENT_NONE RECENT_TOTAL

struct recent_config {
	enum recent_op op;
	u32 dst;
	u32 seconds;
	u32 hits;
	u32 ttl;
	u32 reap;
	u32 negate;
};

struct recent_entry {
	u32 addr[4];
	u64 touched; /* the list's clock at the last update; 0: unused */
	u32 nstamps;
	u32 index;
	u8 family;
	u8 ttl;
	u8 pad[6];
};

struct recent_list {
	struct bpf_spin_lock lock;
	u32 stamp_mask;
	u32 mask[4];
	u64 clock;
	/* Results of the loops take a way through memory, where the verifier does not
	 * follow single values. */
	u32 found, oldest, free, hits;
	struct recent_entry entries[RECENT_TOTAL + 1]; /* the last one is never used */
	u64 stamps[(RECENT_TOTAL + 1) * RECENT_STAMPS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct recent_config);
} recent_configs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct recent_list);
} recent_list SEC(".maps");

/* The list of each slot. Its inner maps are like recent_list: the loader says so, as
 * the compiler leaves out the type of what is only mentioned here. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} recent_lists SEC(".maps");

/* What is asked about one packet. */
struct recent_ask {
	u32 addr[4];
	u64 now;
	u64 since;
	u8 ttl;
	u8 asked_ttl; /* 0: any */
};

/* recent_find is recent_entry_lookup(); it also finds the entry that was not touched
 * for the longest time and a free one. */
static __always_inline void recent_find(struct recent_list *l, struct recent_ask *a)
{
	u64 least = ~0ULL;
	u32 i;

	l->found = l->oldest = l->free = RECENT_NONE;
	for (i = 0; i < RECENT_TOTAL; i++) {
		struct recent_entry *e = &l->entries[i];

		if (!e->touched) {
			l->free = i;
			continue;
		}
		if (e->touched < least) {
			least = e->touched;
			l->oldest = i;
		}
		if (e->family == family && e->addr[0] == a->addr[0] && e->addr[1] == a->addr[1] &&
		    e->addr[2] == a->addr[2] && e->addr[3] == a->addr[3] &&
		    (a->asked_ttl == e->ttl || !a->asked_ttl || !e->ttl))
			l->found = i;
	}
}

/* recent_index bounds an index so that the verifier sees it: the barriers keep the
 * compiler from taking its own knowledge for the comparison. */
static __always_inline u32 recent_index(u32 i)
{
	barrier_var(i);
	if (i > RECENT_NONE)
		i = RECENT_NONE;
	barrier_var(i);
	return i;
}

/* recent_stamp is the index of a time stamp. */
static __always_inline u64 *recent_stamp(struct recent_list *l, u32 i, u32 index)
{
	index &= RECENT_STAMPS - 1;
	barrier_var(index);
	return &l->stamps[recent_index(i) * RECENT_STAMPS + index];
}

/* recent_add is recent_entry_init(). */
static __always_inline void recent_add(struct recent_list *l, struct recent_ask *a)
{
	u32 i = recent_index(l->free == RECENT_NONE ? l->oldest : l->free);
	struct recent_entry *e = &l->entries[i];

	e->addr[0] = a->addr[0];
	e->addr[1] = a->addr[1];
	e->addr[2] = a->addr[2];
	e->addr[3] = a->addr[3];
	e->family = family;
	e->ttl = a->ttl;
	e->nstamps = 1;
	e->index = 1;
	e->touched = ++l->clock;
	*recent_stamp(l, i, 0) = a->now;
}

/* recent_touch is recent_entry_update(). */
static __always_inline void recent_touch(struct recent_list *l, u32 i, struct recent_ask *a)
{
	struct recent_entry *e = &l->entries[recent_index(i)];
	u32 index = e->index & l->stamp_mask;

	*recent_stamp(l, i, index) = a->now;
	e->index = index + 1;
	if (e->index > e->nstamps)
		e->nstamps = e->index;
	e->ttl = a->ttl;
	e->touched = ++l->clock;
}

/* recent_hits says whether enough stamps are young enough. */
static __always_inline bool recent_hits(struct recent_list *l, struct recent_config *c, u32 i, struct recent_ask *a)
{
	u32 nstamps = l->entries[recent_index(i)].nstamps, k;

	l->hits = 0;
	for (k = 0; k < RECENT_STAMPS; k++) {
		if (k >= nstamps)
			break;
		if (c->seconds && (s64)(*recent_stamp(l, i, k) - a->since) < 0)
			continue;
		l->hits++;
		if (!c->hits || l->hits >= c->hits)
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
