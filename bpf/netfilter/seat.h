/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a program knows of the seat that it stands at.
 *
 * Programs with code of rules, and those of one base chain, have it in constants. A program of rows
 * alone has no rule in it: it serves all seats of a level, and reads from the index of classified
 * chains what is asked of it at each, where a change of the rules may write at any time. */
#ifndef BPFTABLES_SEAT_H
#define BPFTABLES_SEAT_H

#include "facts/facts.h"
#include "lookup/index.h"

const volatile u32 note_slot;	/* level of the seat */
const volatile u32 hook_number; /* enum nf_inet_hooks; not of a program of rows alone */
const volatile u32 rows_alone;	/* 1: there is no code of rules */

#define hook_of(ctx) (rows_alone ? (ctx)->state->hook : hook_number)

/* The hook is also met in process context, where the CPU is another program's in between. */
#define in_process(ctx) (hook_of(ctx) == HOOK_OUTPUT || hook_of(ctx) == HOOK_POSTROUTING)

/* seat_words gives what the index says of the seat, enum class_seat. */
static __always_inline const u32 *seat_words(struct bpf_nf_ctx *ctx)
{
	return class_words() + HDR_SEATS + (note_slot * SEAT_HOOKS + (hook_of(ctx) & (SEAT_HOOKS - 1))) * SEAT_SIZE;
}

/* seat_has says whether a program of rows alone is to do something here. */
#define seat_has(ctx, what) (rows_alone && seat_words(ctx)[SEAT_FLAGS] & (what))

/* asks says whether something that costs is read of a packet (see facts/fill.h). */
#define asks(ctx, what) (needs & (what) || seat_has(ctx, what))

#endif
