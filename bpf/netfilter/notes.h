/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Notes tell netfilter's own targets what to do with a packet.
 *
 *   hook program (priority p-1)        table of netfilter (priority p)
 *   rules hit: LOG, then REJECT   -->  -m bpf "pending"      -j shim chain
 *   note {actions 3, 7; DROP}          -m bpf "bit" ..., "take" -j LOG, then -j REJECT
 *                                      -m bpf "done", "drop" -j DROP
 *
 * Receive hooks: one slot per CPU and table. It carries the address of the skb, so
 * a slot that was overwritten is noticed and the packet is dropped. Every hook program
 * at a receive hook leaves its packet's address there, with or without actions, if there are any
 * at its level; what is not in the slot was therefore overwritten. What another generation has left
 * there nobody believes.
 * LOCAL_OUT, and POSTROUTING behind it, are preemptible: there a hash by the address of the
 * skb. A packet without
 * actions has no entry; an entry that cannot be made drops the packet. */
#ifndef BPFTABLES_NOTES_H
#define BPFTABLES_NOTES_H

#include "facts/facts.h"
#include "netfilter/maps.h"
#include "netfilter/out.h"
#include "netfilter/seat.h"

const volatile u32 gen;		/* generation of the program */
const volatile u32 noted;	/* some program of the generation at this level leaves notes */
const volatile u32 shim;	/* the rules of the program do */
const volatile u32 translates;	/* netfilter asks the chain for the first packet of a connection */

#define leaves_notes(ctx) (shim || seat_has(ctx, SEAT_SHIM))

#define IPS_SRC_NAT_DONE (1 << 7)
#define IPS_DST_NAT_DONE (1 << 8)

/* nat_done is the bit of the state of a connection that says that its address is settled which the
 * chain may translate; 0: the chain translates none. */
static __always_inline u32 nat_done(struct bpf_nf_ctx *ctx)
{
	u32 hook = hook_of(ctx);

	if (!translates && !seat_has(ctx, SEAT_NAT))
		return 0;
	return hook == HOOK_PREROUTING || hook == HOOK_OUTPUT ? IPS_DST_NAT_DONE : IPS_SRC_NAT_DONE;
}

/* The bit which says that the addresses did change: IPS_SRC_NAT or IPS_DST_NAT. */
#define nat_bit(ctx) (nat_done(ctx) >> 3)

const struct note_entry blank_note = {};

static __always_inline struct note_entry *note_find(struct bpf_nf_ctx *ctx)
{
	u64 skb = (u64)ctx->skb;
	u32 slot = note_slot;

	if (in_process(ctx))
		return bpf_map_lookup_elem(&out_notes, &skb);
	return bpf_map_lookup_elem(&notes, &slot);
}

/* note_reset makes the packet one without actions. At hooks that are met in process context there is
 * something to take away only where notes are left there. */
static __always_inline void note_reset(struct bpf_nf_ctx *ctx, bool open)
{
	u64 skb = (u64)ctx->skb;
	struct note_entry *note;

	if (in_process(ctx)) {
		if (open)
			bpf_map_delete_elem(&out_notes, &skb);
		return;
	}
	note = note_find(ctx);
	if (!note)
		return;
	note->skb = skb;
	note->gen = gen;
	note->n = 0;
	note->next = 0;
	note->taken = 0;
}

/* note_open gives the packet's note for the first action. */
static __always_inline struct note_entry *note_open(struct bpf_nf_ctx *ctx)
{
	u64 skb = (u64)ctx->skb;
	u32 now = bpf_ktime_get_ns() / 1000000;
	struct note_entry *note;

	if (in_process(ctx) && !out_put(skb, &blank_note, now))
		return NULL;
	note = note_find(ctx);
	if (!note)
		return NULL;
	note->skb = skb;
	note->gen = gen;
	note->stamp = now;
	note->verdict = V_DROP;
	note->unless = nat_bit(ctx);
	note->asked = 0;
	return note;
}

/* note_again counts an action that follows itself: the word behind it says how many more there are
 * (taken() of shim.bpf.c). False: it is another one, or the count is full. */
static __always_inline bool note_again(struct note_entry *note, u32 n, u32 action)
{
	u32 *last = &note->action[(n - 1) & (NOTE_ACTIONS - 1)];

	if (n < 2 || !(*last & NOTE_REPEATS) || *last == (NOTE_REPEATS | (NOTE_RUNS - 1)) ||
	    note->action[(n - 2) & (NOTE_ACTIONS - 1)] != action)
		return false;
	*last += 1;
	return true;
}

/* note appends an action to the packet's note; one with NOTE_ONCE not behind itself. What does
 * not fit is remembered and drops the packet in the end. */
__noinline int note(struct bpf_nf_ctx *ctx, struct facts *f, u32 number)
{
	u32 action = number & ~NOTE_ONCE;
	struct note_entry *note;
	u32 n;

	if (!f)
		return 0;
	n = f->notes;
	note = n ? note_find(ctx) : note_open(ctx);
	if (note && n <= NOTE_ACTIONS && note_again(note, n, action))
		return 0;
	if (!note || n >= NOTE_ACTIONS) {
		f->notes = NOTES_OVERFLOW;
		return 0;
	}
	if (n && note->action[(n - 1) & (NOTE_ACTIONS - 1)] == action) {
		if (number & NOTE_ONCE)
			return 0;
		action = NOTE_REPEATS | 1;
	}
	note->action[n & (NOTE_ACTIONS - 1)] = action;
	note->n = n + 1;
	f->notes = n + 1;
	return 0;
}

/* note_close stores the verdict; the answer is what the hook returns. */
static __always_inline int note_close(struct bpf_nf_ctx *ctx, struct facts *f, u32 verdict)
{
	u64 skb = (u64)ctx->skb;
	struct note_entry *note = note_find(ctx);

	if (f->notes > NOTE_ACTIONS || !note) {
		if (in_process(ctx))
			bpf_map_delete_elem(&out_notes, &skb);
		return NF_DROP;
	}
	note->verdict = verdict;
	return NF_ACCEPT;
}

/* note_whole notes that a table of netfilter has to judge the packet: the first rule there
 * takes the note. The answer is what the hook returns. */
static __always_inline int note_whole(struct bpf_nf_ctx *ctx)
{
	struct note_entry *note = note_open(ctx);

	if (!note)
		return NF_DROP;
	note->n = 1;
	note->next = NOTE_WHOLE;
	note->verdict = V_ACCEPT;
	return NF_ACCEPT;
}

#endif
