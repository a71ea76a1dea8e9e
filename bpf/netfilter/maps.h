/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The maps. Those of one family in the namespace outlive a generation: progs, active,
 * notes, out_notes. Counters and states belong to one generation. */
#ifndef BPFTABLES_MAPS_H
#define BPFTABLES_MAPS_H

#include "facts/kernel.h"
#include "facts/numbers.h"

#define SLOTS 192	/* two halves, one for generations of each parity */
#define SLOTS_HALF 96	/* for each level, that is priority of links, five hooks; then a program of rows alone for each */
#define NOTE_SLOTS 16	/* one for each level */

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, SLOTS);
	__type(key, u32);
	__type(value, u32);
} progs SEC(".maps");

/* The number of the live generation. Writing it is the switch. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} active SEC(".maps");

struct counter {
	u64 packets;
	u64 bytes;
};

#define COUNTER_BLOCK 64 /* a power of two */

/* The kernel allocates every entry on its own: an entry holds many counters. */
struct counter_block {
	struct counter at[COUNTER_BLOCK];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1); /* blocks for the rules of the generation */
	__type(key, u32);
	__type(value, struct counter_block);
} counters SEC(".maps");

/* counter_of is the counter of a rule on this CPU; null if there is none. */
static __always_inline struct counter *counter_of(u32 rule)
{
	u32 block = rule / COUNTER_BLOCK;
	struct counter_block *b = bpf_map_lookup_elem(&counters, &block);

	return b ? &b->at[rule % COUNTER_BLOCK] : 0;
}

#define NOTE_WHOLE 0xffff /* in place of the next action: the table takes the note */

/* What netfilter's own targets have to do with one packet, see notes.h. */
struct note_entry {
	u64 skb;
	u32 gen;
	u16 n;
	u16 next;
	u32 stamp; /* jiffies, to sweep entries that nobody took */
	u8 verdict;
	u8 unless; /* bits of the state of the connection with which a packet may leave it, see nat.h */
	u8 asked; /* netfilter has asked our chains that translate, see nat.h */
	u8 late; /* 0, or 1 + the index of an action that a chain behind conntrack ends, see shim.bpf.c */
	u32 taken; /* an action was, and the next one is not looked for yet, see shim.bpf.c */
	u32 action[NOTE_ACTIONS];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, NOTE_SLOTS);
	__type(key, u32);
	__type(value, struct note_entry);
} notes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, u64); /* address of the skb */
	__type(value, struct note_entry);
} out_notes SEC(".maps");

#endif
