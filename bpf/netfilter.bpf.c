// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The programs at the netfilter hooks.
 *
 *   link -> entry -> progs[half + slot] -> hook: facts, chain(), counters, note
 *                                       or pass, where the table has no rules here
 *                                       or whole, where netfilter has the table
 *                    progs[half + level] <- hook, where its code is not what the rules say any more:
 *                                       the same as rows alone
 *   link -> guard, behind a table of netfilter that does something for us
 *
 * "chain" and "lead" are holes: the loader puts the generated rules in their places. */
#include "facts/kernel.h"
#include "facts/facts.h"
#include "netfilter/maps.h"
#include "netfilter/seat.h"
#include "facts/fill.h"
#include "netfilter/count.h"
#include "netfilter/notes.h"
#include "netfilter/nat.h"
#include "facts/fields.h"
#include "facts/exthdr.h"
#include "facts/ext6.h"
#include "facts/options.h"
#include "facts/text.h"
#include "facts/clock.h"
#include "facts/policy.h"
#include "conntrack/extensions.h"
#include "memory/limit.h"
#include "memory/meter.h"
#include "route/addrtype.h"
#include "route/reverse.h"
#include "memory/recent.h"
#include "memory/set.h"
#include "netfilter/class.h"
#include "netfilter/chain.h"

const volatile u32 entry_slot;
const volatile u32 has_rows;  /* 1: the rules of its table are rows, too, which may have changed */
const volatile u32 rows_slot; /* of the program that runs them */
const volatile u32 late_guard; /* it stands behind a chain that ends actions behind conntrack */

/* tail_call runs a program of progs. The compiler would make one call of two. */
static __always_inline void tail_call(struct bpf_nf_ctx *ctx, u32 slot)
{
	asm volatile("r1 = %[ctx]\n"
		     "r2 = progs ll\n"
		     "r3 = %[slot]\n"
		     "call 12\n"
		     :
		     : [ctx] "r"(ctx), [slot] "r"(slot)
		     : "r0", "r1", "r2", "r3", "r4", "r5", "memory");
}

/* entry is what is linked: netfilter links cannot be updated, so it never changes. */
SEC("netfilter")
int entry(struct bpf_nf_ctx *ctx)
{
	/* Two calls, as the kernel makes jumps of calls whose index it knows. */
	if (*value_of(active) & 1)
		tail_call(ctx, SLOTS_HALF + entry_slot);
	else
		tail_call(ctx, entry_slot);
	return NF_DROP; /* no program there: closed */
}

/* pass stands where a generation has no rules. */
SEC("netfilter")
int pass(struct bpf_nf_ctx *ctx)
{
	note_reset(ctx, false);
	return NF_ACCEPT;
}

/* opaque gives the address of facts on the stack in a form whose value the verifier does not
 * know: no hook has bit 3 in its number. What lies there it then does not follow, which would
 * make it walk generated code once for every combination of answers. The facts have room
 * behind them. */
static __always_inline struct facts *opaque(struct bpf_nf_ctx *ctx, void *facts)
{
	return facts + (ctx->state->hook & 8);
}

SEC("netfilter")
int hook(struct bpf_nf_ctx *ctx)
{
	struct {
		struct facts facts;
		u64 room;
	} stack;
	struct facts *f = opaque(ctx, &stack);
	enum verdict verdict;
	enum asked first;

	f->version = has_rows ? class_words()[HDR_VERSION] : 0;
	if (has_rows && f->version >= seat_words(ctx)[SEAT_CODE_DEAD]) {
		/* The code is not what the rules say in this version. */
		tail_call(ctx, rows_slot);
		return NF_DROP; /* nobody is there: closed */
	}
	if (nat_done(ctx) && is_established(ctx->skb))
		return NF_ACCEPT;
	if ((noted || seat_has(ctx, SEAT_NOTED)) && (!in_process(ctx) || leaves_notes(ctx)))
		note_reset(ctx, leaves_notes(ctx));
	if (rows_alone && !base_of(ctx))
		return NF_ACCEPT;
	if (nat_done(ctx)) {
		first = asked(ctx);
		if (first != ASKED_FIRST)
			return first == ASKED_NOT;
	}
	if (!fill_first(ctx, f))
		return NF_DROP;
	if (nat_done(ctx)) {
		if (!fill_rest(ctx, f))
			return NF_DROP;
		if (!is_new(ctx->skb, f))
			return NF_ACCEPT;
	}
	verdict = run_base(ctx, f);
	if (verdict == V_ACCEPT || verdict == V_DROP)
		count_packet(f, f->rule);
	else
		verdict = V_DROP;
	if (leaves_notes(ctx) && f->notes)
		return note_close(ctx, f, verdict);
	return verdict == V_ACCEPT;
}

/* whole stands before a table that is left to netfilter. Should someone remove our rules
 * from there, the guard drops the packet. */
SEC("netfilter")
int whole(struct bpf_nf_ctx *ctx)
{
	struct sk_buff *skb = ctx->skb;
	enum asked first;

	note_reset(ctx, true);
	if (translates) {
		first = asked(ctx);
		if (first == ASKED_CLOSED)
			return NF_DROP;
		/* Packets of connections that belong to others are not counted among the first ones:
		 * most are ICMP errors, which are translated as the connection is. */
		if (first == ASKED_NOT || (skb->_nfct & NFCT_INFOMASK) != IP_CT_NEW)
			return NF_ACCEPT;
	}
	return note_whole(ctx);
}

/* missed_late says whether a packet comes from conntrack without what was to be ended there. */
static __always_inline bool missed_late(u64 skb)
{
	struct note_entry *note = bpf_map_lookup_elem(&out_notes, &skb);

	if (!note || !note->late || *value_of(active) != note->gen)
		return false;
	bpf_map_delete_elem(&out_notes, &skb);
	return true;
}

/* guard stands behind the table of netfilter where rules have actions for it. A packet
 * that comes here with a note has missed them: someone has removed our rules from the table. The
 * packet is dropped, as the rules there would have done. What another
 * chain has translated before ours passes: netfilter asks no further one.
 *
 * The note may be of a generation that is not live any more, if the switch came while the packet
 * was between the two programs. Its rules stay in the table until no such packet is left, and they
 * take the notes of their own generation whichever is live: this one has missed them, too. */
SEC("netfilter")
int guard(struct bpf_nf_ctx *ctx)
{
	u64 skb = (u64)ctx->skb;
	struct note_entry *note = note_find(ctx);
	bool drop;

	if (late_guard && missed_late(skb))
		return NF_DROP;
	if (!note || note->skb != skb || !note->n)
		return NF_ACCEPT;
	drop = !note->unless || !passes(ctx->skb, note);
	note->n = 0;
	if (in_process(ctx))
		bpf_map_delete_elem(&out_notes, &skb);
	return drop ? NF_DROP : NF_ACCEPT;
}

char _license[] SEC("license") = "Dual BSD/GPL";
