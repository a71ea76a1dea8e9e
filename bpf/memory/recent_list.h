/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Lists of addresses with the times at which they were seen, as net/netfilter/xt_recent.c
 * keeps them. A list is one map value with a lock; all rules of the namespace that name it
 * share it, in both families. */
#ifndef BPFTABLES_RECENT_LIST_H
#define BPFTABLES_RECENT_LIST_H

#include "facts/loop.h"

#define RECENT_TOTAL 100 /* module parameter ip_list_tot */
#define RECENT_STAMPS 256 /* at most, for each address */
#define RECENT_NONE RECENT_TOTAL

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
	__type(value, struct recent_list);
} recent_list SEC(".maps");

/* What is asked about one packet. */
struct recent_ask {
	u32 addr[4];
	u64 now;
	u64 since;
	u8 ttl;
	u8 asked_ttl; /* 0: any */
};

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

/* recent_look looks at one entry for recent_find(). */
static __always_inline void recent_look(struct recent_list *l, struct recent_ask *a, u32 i, u64 *least)
{
	struct recent_entry *e = &l->entries[i];

	if (!e->touched) {
		l->free = i;
		return;
	}
	if (e->touched < *least) {
		*least = e->touched;
		l->oldest = i;
	}
	if (e->family == family && e->addr[0] == a->addr[0] && e->addr[1] == a->addr[1] &&
	    e->addr[2] == a->addr[2] && e->addr[3] == a->addr[3] &&
	    (a->asked_ttl == e->ttl || !a->asked_ttl || !e->ttl))
		l->found = i;
}

/* recent_find is recent_entry_lookup(); it also finds the entry that was not touched
 * for the longest time and a free one. Where the kernel ends loops itself, the turn is counted in
 * the list, where the verifier does not follow it: it would walk every turn. */
static __always_inline void recent_find(struct recent_list *l, struct recent_ask *a)
{
	u64 least = ~0ULL;
	u32 i;

	l->found = l->oldest = l->free = RECENT_NONE;
	if (!loops) {
		for (i = 0; i < RECENT_TOTAL; i++)
			recent_look(l, a, i, &least);
		return;
	}
	l->hits = 0;
	for (;;) {
		may_break;
		i = recent_index(l->hits++);
		if (i >= RECENT_TOTAL)
			return;
		recent_look(l, a, i, &least);
	}
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

#endif
