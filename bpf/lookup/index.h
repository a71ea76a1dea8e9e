/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Reading the index of classified chains, and numbers of the facts. */
#ifndef BPFTABLES_INDEX_H
#define BPFTABLES_INDEX_H

#include "facts/facts.h"
#include "facts/loop.h"
#include "lookup/rows.h"

words_map(class_index, class_words, HDR_SIZE)

/* Words of the index, a power of two, less one. */
const volatile u32 index_mask;

static __always_inline const u32 *index_at(const u32 *index, u32 off)
{
	return index + (off & index_mask);
}

/* fact reads a number of 1, 2 or 4 bytes of the facts. */
static __always_inline u32 fact(const struct facts *f, u32 off, u32 how)
{
	const u8 *at;

	if (off > sizeof(*f) - 4)
		return 0;
	at = (const u8 *)f + off;
	switch (how) {
	case 1:
		return *at;
	case 2:
		return *(u16 *)at;
	case 2 | OP_WIRE:
		return __builtin_bswap16(*(u16 *)at);
	case 4:
		return *(u32 *)at;
	}
	return __builtin_bswap32(*(u32 *)at);
}

static __always_inline bool within(const u32 *range, u32 v)
{
	v &= range[0];
	return range[1] <= v && v <= range[2];
}

/* The instructions (1 << kind) that programs may have, and those from number 32 on: what is
 * not among them costs the verifier nothing. */
const volatile u32 program_ops;
const volatile u32 program_more_ops;

static __always_inline bool has(enum class_op op)
{
	return op < 32 ? program_ops >> op & 1 : program_more_ops >> (op - 32) & 1;
}

#endif
