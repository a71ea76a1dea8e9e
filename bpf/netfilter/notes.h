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

const volatile u32 gen;		/* generation of the program */
const volatile u32 note_slot;	/* level of the seat */
const volatile u32 hook_number; /* enum nf_inet_hooks */
const volatile u32 noted;	/* some program of the generation at this level leaves notes */
const volatile u32 nat_done;	/* IPS_SRC_NAT_DONE or IPS_DST_NAT_DONE for chains that translate, else 0 */

/* The bit which says that the addresses did change: IPS_SRC_NAT or IPS_DST_NAT. */
#define nat_bit (nat_done >> 3)

/* The hook is also met in process context, where the CPU is another program's in between. */
#define in_process (hook_number == HOOK_OUTPUT || hook_number == HOOK_POSTROUTING)

const struct note_entry blank_note = {};

static __always_inline struct note_entry *note_find(u64 skb)
{
	u32 slot = note_slot;

	if (in_process)
		return bpf_map_lookup_elem(&out_notes, &skb);
	return bpf_map_lookup_elem(&notes, &slot);
}

/* note_reset makes the packet one without actions. */
static __always_inline void note_reset(struct bpf_nf_ctx *ctx, bool shim)
{
	u64 skb = (u64)ctx->skb;
	struct note_entry *note;

	if (in_process) {
		if (shim)
			bpf_map_delete_elem(&out_notes, &skb);
		return;
	}
	note = note_find(skb);
	if (!note)
		return;
	note->skb = skb;
	note->gen = gen;
	note->n = 0;
	note->next = 0;
}

/* note_open gives the packet's note for the first action. */
static __always_inline struct note_entry *note_open(u64 skb)
{
	u32 now = bpf_ktime_get_ns() / 1000000;
	struct note_entry *note;

	if (in_process && !out_put(skb, &blank_note, now))
		return NULL;
	note = note_find(skb);
	if (!note)
		return NULL;
	note->skb = skb;
	note->gen = gen;
	note->stamp = now;
	note->verdict = V_DROP;
	note->unless = nat_bit;
	note->asked = 0;
	return note;
}

/* note appends an action to the packet's note; one with NOTE_ONCE not behind itself. What does
 * not fit is remembered and drops the packet in the end. */
__noinline int note(struct bpf_nf_ctx *ctx, struct facts *f, u32 number)
{
	u64 skb = (u64)ctx->skb;
	u16 action = number;
	struct note_entry *note;
	u32 n;

	if (!f)
		return 0;
	n = f->notes;
	note = n ? note_find(skb) : note_open(skb);
	if (!note || n >= NOTE_ACTIONS) {
		f->notes = NOTES_OVERFLOW;
		return 0;
	}
	if (number & NOTE_ONCE && n && note->action[(n - 1) & (NOTE_ACTIONS - 1)] == action)
		return 0;
	note->action[n & (NOTE_ACTIONS - 1)] = action;
	note->n = n + 1;
	f->notes = n + 1;
	return 0;
}

/* note_close stores the verdict; the answer is what the hook returns. */
static __always_inline int note_close(struct bpf_nf_ctx *ctx, struct facts *f, u32 verdict)
{
	u64 skb = (u64)ctx->skb;
	struct note_entry *note = note_find(skb);

	if (f->notes > NOTE_ACTIONS || !note) {
		if (in_process)
			bpf_map_delete_elem(&out_notes, &skb);
		return NF_DROP;
	}
	note->verdict = verdict;
	return NF_ACCEPT;
}

/* note_whole notes that a table of netfilter has to judge the packet: the first rule there
 * takes the note. The answer is what the hook returns. */
static __always_inline int note_whole(u64 skb)
{
	struct note_entry *note = note_open(skb);

	if (!note)
		return NF_DROP;
	note->n = 1;
	note->next = NOTE_WHOLE;
	note->verdict = V_ACCEPT;
	return NF_ACCEPT;
}

#endif
