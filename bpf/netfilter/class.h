/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Classified chains at the hooks of netfilter: everything can be asked, and rules can leave
 * notes. */
#ifndef BPFTABLES_CLASS_H
#define BPFTABLES_CLASS_H

#include "conntrack/conntrack.h"
#include "lookup/index.h"
#include "netfilter/count.h"
#include "netfilter/notes.h"

/* set_fact does to the facts what a target of netfilter will do to the packet. */
static __always_inline void set_fact(struct facts *f, const u32 *set)
{
	u32 dst = set[SET_DST], src = set[SET_SRC], v;
	s32 shift = set[SET_SHIFT], sum;
	u32 *to;

	if (set[SET_HOW] == HOW_ADD_MSS || set[SET_HOW] == HOW_MEETS_DEMAND || dst > sizeof(*f) - 4 || (set[SET_HOW] == HOW_TRACKED && !f->hasconn))
		return;
	if (set[SET_HOW] == HOW_ADD) {
		sum = ((u8 *)f)[dst] + (s32)set[SET_XOR];
		((u8 *)f)[dst] = sum < 0 ? 0 : sum > 255 ? 255 : sum;
		return;
	}
	v = (fact(f, src, 4) & set[SET_AND]) ^ set[SET_XOR];
	v = shift < 0 ? v >> (-shift & 31) : v << (shift & 31);
	to = (u32 *)((u8 *)f + dst);
	*to = (*to & set[SET_KEEP]) ^ v;
}

#define NOTE_SETS_MAX 4

/* take_note does what a rule with a target of netfilter does; the answer is the verdict if that ends
 * the traversal. */
__noinline enum verdict take_note(struct bpf_nf_ctx *ctx, struct facts *f, u32 at)
{
	const u32 *index = class_words(), *n;
	u32 i, sets;

	if (!f)
		return V_HOTDROP;
	n = index_at(index, at);
	sets = n[NOTE_NSETS];
	note(ctx, f, n[NOTE_NUMBER]);
	if (n[NOTE_TERMINAL])
		return V_DROP;
	count_packet(f, f->rule);
#pragma unroll
	for (i = 0; i < NOTE_SETS_MAX; i++)
		if (i < sets)
			set_fact(f, n + NOTE_SETS + i * SET_SIZE);
	if (has(OP_MEETS_DEMAND) && sets && n[NOTE_SETS + SET_HOW] == HOW_MEETS_DEMAND &&
	    meets_demand(ctx, f, n[NOTE_SETS + SET_XOR]) == A_HOTDROP)
		return V_HOTDROP;
	if (has(OP_ADD_MSS) && sets && n[NOTE_SETS + SET_HOW] == HOW_ADD_MSS &&
	    add_mss(ctx, f) == A_HOTDROP)
		return V_HOTDROP;
	if (n[NOTE_UNTRACK] && !f->hasconn && !(f->ctstate & STATE_MET))
		f->ctstate = STATE_UNTRACKED;
	return V_CONTINUE;
}

#include "lookup/classify.h"
#include "netfilter/lead.h"

#endif
