/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Matches with a memory of one number, and chance. */
#ifndef BPFTABLES_LIMIT_H
#define BPFTABLES_LIMIT_H

#include "facts/facts.h"
#include "facts/loop.h"
#include "facts/world.h"

struct limit_state {
	u64 prev; /* jiffies; 0: not asked yet. Of a quota: bytes that are used up */
	u32 credit;
	u32 cap; /* of a quota: the lower half of its bytes */
	u32 cost; /* the upper half */
	u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct limit_state);
} limits SEC(".maps");

struct nth_state {
	u32 count;
	u32 every;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct nth_state);
} nths SEC(".maps");

/* CREDITS_PER_JIFFY of net/netfilter/xt_limit.c for this kernel's HZ. */
const volatile u32 credits_per_jiffy = 32;

/* An exchange that other processors keep winning is given up after this many tries, or when the
 * kernel's budget for loops is used up. */
#define TRIES 64

/* limit is limit_mt() of net/netfilter/xt_limit.c. */
__noinline int limit(struct bpf_nf_ctx *ctx, struct facts *f, u32 slot)
{
	struct limit_state *s = bpf_map_lookup_elem(&limits, &slot);
	u32 old, credit, increase = 0, turn = 0;
	u64 now = world_jiffies(), before;
	bool yes;

	takes(ctx);
	if (!f || !s)
		return A_NO;
	if (*(volatile u32 *)&s->credit < s->cost && *(volatile u64 *)&s->prev == now)
		return A_NO;
	for (;;) {
		may_turn(turn, TRIES);
		now = world_jiffies();
		before = __sync_lock_test_and_set(&s->prev, now);
		if (before)
			increase += (u32)(now - before) * credits_per_jiffy;
		old = *(volatile u32 *)&s->credit;
		credit = old + increase;
		if (credit > s->cap)
			credit = s->cap;
		yes = credit >= s->cost;
		if (yes)
			credit -= s->cost;
		if (__sync_val_compare_and_swap(&s->credit, old, credit) == old)
			return yes;
	}
	return A_NO;
}

/* quota is quota_mt() of net/netfilter/xt_quota.c: a packet for which too little is left takes all
 * of it. */
__noinline int quota(struct bpf_nf_ctx *ctx, struct facts *f, u32 slot)
{
	struct limit_state *s = bpf_map_lookup_elem(&limits, &slot);
	u64 bytes, used, next;
	u32 turn = 0;

	takes(ctx);
	if (!f || !s)
		return A_NO;
	bytes = s->cap | (u64)s->cost << 32;
	for (;;) {
		may_turn(turn, TRIES);
		used = *(volatile u64 *)&s->prev;
		next = bytes - used < f->len ? bytes : used + f->len;
		if (__sync_val_compare_and_swap(&s->prev, used, next) == used)
			return bytes - used >= f->len;
	}
	return A_NO;
}

/* nth is statistic_mt() of net/netfilter/xt_statistic.c with --mode nth. */
__noinline int nth(struct bpf_nf_ctx *ctx, struct facts *f, u32 slot)
{
	struct nth_state *s = bpf_map_lookup_elem(&nths, &slot);
	u32 old, next, turn = 0;

	takes(ctx);
	if (!f || !s)
		return A_NO;
	for (;;) {
		may_turn(turn, TRIES);
		old = *(volatile u32 *)&s->count;
		next = old == s->every ? 0 : old + 1;
		if (__sync_val_compare_and_swap(&s->count, old, next) == old)
			return next == 0;
	}
	return A_NO;
}

/* random31 is the same with --mode random. */
__noinline int random31(struct bpf_nf_ctx *ctx, struct facts *f, u32 threshold)
{
	takes(ctx);
	if (!f)
		return A_NO;
	return (world_random() & 0x7fffffff) < threshold;
}

#endif
