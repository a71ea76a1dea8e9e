/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Per-rule counters, as ADD_COUNTER() of include/linux/netfilter/x_tables.h. */
#ifndef BPFTABLES_COUNT_H
#define BPFTABLES_COUNT_H

#include "facts/facts.h"
#include "netfilter/maps.h"

/* Set where a program may be interrupted by itself on the same CPU: LOCAL_OUT runs in
 * process context with softirqs enabled. */
const volatile u32 atomic;

static __always_inline void count_packet(struct facts *f, u32 rule)
{
	struct counter *c = counter_of(rule);

	if (!c)
		return;
	if (atomic) {
		__sync_fetch_and_add(&c->packets, 1);
		__sync_fetch_and_add(&c->bytes, f->len);
	} else {
		c->packets++;
		c->bytes += f->len;
	}
}

/* count credits a rule that does not end the traversal. */
__noinline int count(struct bpf_nf_ctx *ctx, struct facts *f, u32 rule)
{
	takes(ctx);
	if (!f)
		return 0;
	count_packet(f, rule);
	return 0;
}

#endif
