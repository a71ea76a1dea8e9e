/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Notes that are found by the address of a packet's skb. */
#ifndef BPFTABLES_OUT_H
#define BPFTABLES_OUT_H

#include "netfilter/maps.h"

/* An entry that is older than this belongs to a packet that went elsewhere. */
#define NOTE_AGE (60 * 1000)

static long note_sweep(struct bpf_map *map, u64 *skb, struct note_entry *note, u32 *now)
{
	if (*now - note->stamp > NOTE_AGE)
		bpf_map_delete_elem(&out_notes, skb);
	return 0;
}

/* out_put stores a note. Entries that nobody took may have to go before; false: there is no room. */
static __always_inline bool out_put(u64 skb, const struct note_entry *note, u32 now)
{
	if (!bpf_map_update_elem(&out_notes, &skb, note, BPF_ANY))
		return true;
	bpf_for_each_map_elem(&out_notes, note_sweep, &now, 0);
	return !bpf_map_update_elem(&out_notes, &skb, note, BPF_ANY);
}

#endif
