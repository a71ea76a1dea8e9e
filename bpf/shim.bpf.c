// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Programs for "iptables -m bpf --object-pinned": they let rules of netfilter run the
 * actions that a hook program noted for a packet. xt_bpf runs them as socket filters on
 * the packet's skb; a nonzero result matches.
 *
 * A note of a locally made packet is looked for first: "pending" takes care that
 * there is none of an earlier packet at the same address. */
#include "facts/kernel.h"
#include "facts/facts.h"
#include "netfilter/maps.h"
#include "netfilter/out.h"

extern void *bpf_cast_to_kern_ctx(void *obj) __ksym;

const volatile u32 gen;
const volatile u32 note_slot;
const volatile u32 number_bits;	/* bit, late_bit: which of a number must be set */
const volatile u32 leaf;	/* take: what bits of the number are */
const volatile u32 leaf_bits;	/* and which */
const volatile u32 late; /* some actions of the table are ended behind conntrack */

static __always_inline u64 address(struct __sk_buff *skb)
{
	return (u64)bpf_cast_to_kern_ctx(skb);
}

static __always_inline bool is_live(void)
{
	return *value_of(active) == gen;
}

/* find_any is the packet's note of any generation. */
static __always_inline struct note_entry *find_any(u64 skb)
{
	struct note_entry *note = bpf_map_lookup_elem(&out_notes, &skb);
	u32 slot = note_slot;

	if (!note)
		note = bpf_map_lookup_elem(&notes, &slot);
	return note && note->skb == skb ? note : NULL;
}

static __always_inline struct note_entry *find(u64 skb)
{
	struct note_entry *note = find_any(skb);

	return note && note->gen == gen && note->n ? note : NULL;
}

/* forget ends the work on a packet, but for what is ended behind conntrack. */
static __always_inline void forget(u64 skb, struct note_entry *note)
{
	note->n = 0;
	if (!note->late)
		bpf_map_delete_elem(&out_notes, &skb);
}

/* move_out moves a note to where it is found by the address of the skb alone. */
static __always_inline struct note_entry *move_out(u64 skb, struct note_entry *note)
{
	u32 now = bpf_ktime_get_ns() / 1000000;

	if (note == bpf_map_lookup_elem(&out_notes, &skb))
		return note;
	note->stamp = now;
	if (!out_put(skb, note, now))
		return NULL;
	note->n = 0;
	return bpf_map_lookup_elem(&out_notes, &skb);
}

/* pending, at receive hooks: the packet has actions. Every hook program leaves its
 * packet's address in the slot; another address means that the slot was overwritten on
 * the way here (a packet reinjected by a queue is not protected from softirqs), and
 * what the packet had to do is lost: then "drop" drops it. */
SEC("socket")
int pending(struct __sk_buff *ctx)
{
	u64 skb = address(ctx);
	u32 slot = note_slot;
	struct note_entry *note = bpf_map_lookup_elem(&notes, &slot);

	if (late && bpf_map_lookup_elem(&out_notes, &skb)) /* most often there is none: that takes no lock */
		bpf_map_delete_elem(&out_notes, &skb);
	if (!note)
		return is_live();
	if (note->skb != skb) {
		if (!is_live())
			return 0;
	} else if (note->gen != gen || !note->n) {
		return 0;
	}
	bpf_map_delete_elem(&out_notes, &skb);
	return 1;
}

/* pending_out, at LOCAL_OUT and POST_ROUTING: there is an entry if the packet has actions. */
SEC("socket")
int pending_out(struct __sk_buff *ctx)
{
	u64 skb = address(ctx);
	struct note_entry *note = bpf_map_lookup_elem(&out_notes, &skb);

	return note && note->gen == gen;
}

/* asked, in the first chain of ours that translates: netfilter asks about the packet. Chains of
 * others may settle its addresses before the chain with our rules is asked. */
SEC("socket")
int asked(struct __sk_buff *ctx)
{
	struct note_entry *note = find(address(ctx));

	if (note)
		note->asked = 1;
	return 0;
}

/* next_note is the packet's note while its next action is looked for: from "done", which says that one
 * is left, until it is taken. Behind a target that does not end the traversal, no rule on the way back is
 * one of the action behind it. */
static __always_inline struct note_entry *next_note(u64 skb)
{
	struct note_entry *note = find(skb);

	return note && note->next < note->n && !note->taken ? note : NULL;
}

static __always_inline u32 number_of(struct note_entry *note, u32 i)
{
	return note->action[i & (NOTE_ACTIONS - 1)];
}

/* bit: bits of the number of the next action, all of which are set. */
SEC("socket")
int bit(struct __sk_buff *ctx)
{
	struct note_entry *note = next_note(address(ctx));

	return note && (number_of(note, note->next) & number_bits) == number_bits;
}

/* any_bit: the number of the next action has some of the bits. */
SEC("socket")
int any_bit(struct __sk_buff *ctx)
{
	struct note_entry *note = next_note(address(ctx));

	return note && number_of(note, note->next) & number_bits;
}

/* wanted is the packet's note if the next action is that of the leaf's rule. */
static __always_inline struct note_entry *wanted(u64 skb)
{
	struct note_entry *note = next_note(skb);

	return note && (number_of(note, note->next) & leaf_bits) == leaf ? note : NULL;
}

/* is_wanted: the next action is that of the leaf's rule. It is not taken yet. */
SEC("socket")
int is_wanted(struct __sk_buff *ctx)
{
	return wanted(address(ctx)) != NULL;
}

/* taken goes on to the next action, which may be the same once more. A packet that is to be dropped is
 * forgotten with its last action, as that may be a target that ends the traversal;
 * should it not, "drop" drops the packet. */
static __always_inline void taken(u64 skb, struct note_entry *note)
{
	u32 next = note->next + 1;
	u32 *word = &note->action[next & (NOTE_ACTIONS - 1)];

	note->taken = 1;
	if (next < note->n && *word & NOTE_REPEATS) {
		if (*word != NOTE_REPEATS) {
			*word -= 1;
			return;
		}
		next++;
	}
	note->next = next;
	if (note->next == note->n && note->verdict != V_ACCEPT)
		forget(skb, note);
}

/* take: the action that the rules have found is done now. */
SEC("socket")
int take(struct __sk_buff *ctx)
{
	u64 skb = address(ctx);
	struct note_entry *note = wanted(skb);

	if (!note)
		return 0;
	taken(skb, note);
	return 1;
}

/* met says whether netfilter has attached something to the packet: an entry, a template of one, that it is
 * untracked, or nothing but how it is related. CT leaves such a packet as it is (xt_ct_target(),
 * net/netfilter/xt_CT.c). */
static __always_inline bool met(struct __sk_buff *ctx)
{
	struct sk_buff *skb = bpf_cast_to_kern_ctx(ctx);

	return skb->_nfct != 0;
}

/* take_unmet: the action counts as done, and is done if nothing is attached to the packet. */
SEC("socket")
int take_unmet(struct __sk_buff *ctx)
{
	u64 skb = address(ctx);
	struct note_entry *note = wanted(skb);

	if (!note)
		return 0;
	taken(skb, note);
	return !met(ctx);
}

/* The index of an action that is to be ended has to fit. */
#define LATE_MAX 255

/* take_late: as take_unmet; the action begins now and is ended behind conntrack, if the packet is the
 * first one of a connection then.
 *
 * From here on the note is where the address of the skb leads to: until the packet is behind
 * conntrack others may come by, should a program listen on a queue between. */
SEC("socket")
int take_late(struct __sk_buff *ctx)
{
	u64 skb = address(ctx);
	struct note_entry *note = wanted(skb);
	bool begins = !met(ctx);

	if (!note)
		return 0;
	if (begins) {
		if (note->next >= LATE_MAX || !(note = move_out(skb, note)))
			return 0; /* not begun: the packet is dropped */
		note->late = note->next + 1;
	}
	taken(skb, note);
	return begins;
}

/* late_note is what is left to be ended for a packet, behind conntrack. */
static __always_inline struct note_entry *late_note(u64 skb)
{
	struct note_entry *note = bpf_map_lookup_elem(&out_notes, &skb);

	return note && note->gen == gen && note->late ? note : NULL;
}

/* late_pending: an action is to be ended. */
SEC("socket")
int late_pending(struct __sk_buff *ctx)
{
	return late_note(address(ctx)) != NULL;
}

/* late_bit: bits of the number of the action that is to be ended, all of which are set. */
SEC("socket")
int late_bit(struct __sk_buff *ctx)
{
	struct note_entry *note = late_note(address(ctx));

	return note && (number_of(note, note->late - 1) & number_bits) == number_bits;
}

/* late_done: it was ended. */
SEC("socket")
int late_done(struct __sk_buff *ctx)
{
	u64 skb = address(ctx);

	bpf_map_delete_elem(&out_notes, &skb);
	return 1;
}

/* done: no action is left, or nobody knows. If one is, it is looked for. */
SEC("socket")
int done(struct __sk_buff *ctx)
{
	struct note_entry *note = find(address(ctx));

	if (!note || note->next >= note->n)
		return 1;
	note->taken = 0;
	return 0;
}

/* drop: everything was done and the packet is to be dropped, or nobody knows. The note ends here. */
SEC("socket")
int drop(struct __sk_buff *ctx)
{
	u64 skb = address(ctx);
	struct note_entry *note = find(skb);
	bool yes;

	if (!note)
		return 1;
	yes = note->verdict != V_ACCEPT;
	forget(skb, note);
	return yes;
}

/* enter: the generation is live, and its table that is left to netfilter judges the packet:
 * its note ends here. A note that another generation left for the same table ends, too: the
 * switch came behind its program, and its rules do not judge the packet any more. */
SEC("socket")
int enter(struct __sk_buff *ctx)
{
	u64 skb = address(ctx);
	struct note_entry *note = find_any(skb);

	if (!is_live())
		return 0;
	if (note && note->n && (note->gen == gen || note->next == NOTE_WHOLE))
		forget(skb, note);
	return 1;
}

char _license[] SEC("license") = "Dual BSD/GPL";
