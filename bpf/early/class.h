/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Classified chains in the early stage: the same lookup, in the same maps of the generation,
 * on chains of its own. Their rows have the version that the generation began with; when
 * rules were changed in place since, packets go up. */
#ifndef BPFTABLES_EARLY_CLASS_H
#define BPFTABLES_EARLY_CLASS_H

#include "early/early.h"
#include "early/addr.h"
#include "lookup/index.h"

/* The version for which the rows were made; 0: the generation has no classified chains. */
const volatile u32 first_version;

static __always_inline struct early_packet *this_packet(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&early_packets, &zero);
}

/* count_packet notes that the packet has passed a rule, which gets its credit if the packet is
 * dropped. More rules than there is room for are counted, and let it go up in the end. */
static __always_inline void count_packet(struct facts *f, u32 rule)
{
	struct early_packet *e = this_packet();
	u32 n;

	if (!e)
		return;
	n = e->n;
	if (n < EARLY_RULES)
		e->ids[n & (EARLY_RULES - 1)] = rule;
	e->n = n + 1;
}

/* early_length compares the length of the packet; see early_len(). */
static __always_inline enum answer early_length(struct facts *f, const u32 *range)
{
	if (BEFORE_GRO && f->proto == IPPROTO_UDP)
		return A_HOTDROP;
	return within(range, f->len);
}

/* early_type answers -m addrtype --dst-type LOCAL. */
static __always_inline enum answer early_type(CTX *ctx)
{
	u32 local = early_local(ctx, this_packet(), 0);

	return local == V_UP ? A_HOTDROP : (enum answer)local;
}

#define CLASS_EARLY
#include "lookup/classify.h"

/* rules_same says whether the rules are still those that the stage was made of. */
static __always_inline bool rules_same(struct early_packet *e)
{
	const u32 *index;

	if (!first_version)
		return true;
	index = class_words();
	e->f.version = first_version;
	e->f.begun = BEGUN_NOT;
	return index[HDR_VERSION] == first_version;
}

#endif
