/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Searches for bytes anywhere in the packet, as skb_find_text() (net/core/skbuff.c). Every byte
 * takes one step of an automaton that is made with the rules, whatever the packet holds: nobody
 * can send what takes long. */
#ifndef BPFTABLES_TEXT_H
#define BPFTABLES_TEXT_H

#include "facts/facts.h"
#include "facts/packet.h"

#define TEXT_MOST 128		    /* bytes of a pattern */
#define TEXT_STATES (TEXT_MOST + 1) /* how many of them have been seen */
#define TEXT_CHUNK 32
#define TEXT_TURNS (1 << 20)	    /* more than a packet has chunks and blocks */

struct text_config {
	u32 from;
	u32 to;
	u32 length;
	u32 apart; /* 1: the bytes must lie in one block of the packet (lib/ts_bm.c) */
	u8 next[TEXT_STATES * 256]; /* by state and byte */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct text_config);
} text_configs SEC(".maps");

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct skb_frag {
	unsigned int len;
};

/* The same before Linux 6.9. */
struct bio_vec {
	unsigned int bv_len;
};

struct skb_shared_info {
	u8 nr_frags;
	struct sk_buff___list *frag_list;
	struct skb_frag frags[1];
};

struct sk_buff___list {
	struct sk_buff___list *next;
	unsigned int len, data_len, end;
	unsigned char *head;
};

#pragma clang attribute pop

/* What a search carries from chunk to chunk. */
struct text_search {
	struct bpf_nf_ctx *ctx;
	struct text_config *c;
	ulong skb;   /* whose blocks are looked at; 0: there is no other */
	u32 at;	     /* offset in the packet */
	u32 limit;
	u32 block;   /* where the block ends */
	u32 frag;    /* the next one of skb */
	u32 state;
	u32 found;
	u8 chunk[TEXT_CHUNK];
};

/* text_next_block goes to the block behind one, as skb_seq_read() does. */
static __always_inline void text_next_block(struct text_search *w)
{
	struct sk_buff___list *skb = (struct sk_buff___list *)cast_to(struct sk_buff, w->skb);
	ulong shared = (ulong)skb->head + skb->end, size;
	struct skb_shared_info *info = cast_to(struct skb_shared_info, shared);

	w->state = 0;
	if (w->frag < info->nr_frags) {
		shared += bpf_core_field_offset(struct skb_shared_info, frags);
		if (bpf_core_type_exists(struct skb_frag)) {
			size = bpf_core_type_size(struct skb_frag);
			w->block += load4(shared + w->frag * size + bpf_core_field_offset(struct skb_frag, len));
		} else {
			size = bpf_core_type_size(struct bio_vec);
			w->block += load4(shared + w->frag * size + bpf_core_field_offset(struct bio_vec, bv_len));
		}
		w->frag++;
		return;
	}
	if (w->skb == (ulong)w->ctx->skb)
		w->skb = (ulong)info->frag_list;
	else
		w->skb = (ulong)skb->next;
	w->frag = 0;
	if (!w->skb)
		return;
	skb = (struct sk_buff___list *)cast_to(struct sk_buff, w->skb);
	w->block += skb->len - skb->data_len;
}

static long text_turn(u64 turn, struct text_search *w)
{
	u32 i, n, state, last, at;

	if (w->at >= w->limit || !w->skb)
		return 1;
	if (w->at >= w->block) {
		text_next_block(w);
		return 0;
	}
	n = (w->block < w->limit ? w->block : w->limit) - w->at;
	if (n > TEXT_CHUNK)
		n = TEXT_CHUNK;
	if (!n || read_packet(w->ctx, w->chunk, w->at, n))
		return 1; /* what netfilter cannot read, it does not find anything in, either */
	w->at += n;
	state = w->state;
	last = w->c->length;
	for (i = 0; i < TEXT_CHUNK; i++) {
		if (i >= n)
			break;
		at = state * 256 + w->chunk[i];
		barrier_var(at);
		if (at >= sizeof(w->c->next))
			return 1;
		state = w->c->next[at];
		if (state == last) {
			w->found = 1;
			return 1;
		}
	}
	w->state = state;
	return 0;
}

/* search_text says whether the bytes of a slot lie whole between two offsets. */
__noinline int search_text(struct bpf_nf_ctx *ctx, struct facts *f, u32 slot)
{
	struct text_config *c = bpf_map_lookup_elem(&text_configs, &slot);
	struct sk_buff *skb = ctx->skb;
	struct text_search w = {};
	u32 len = skb->len;

	if (!f || !c)
		return A_HOTDROP;
	w.ctx = ctx;
	w.c = c;
	w.skb = (ulong)skb;
	w.at = c->from;
	w.limit = c->to < len ? c->to : len;
	w.block = c->apart ? len - skb->data_len : len;
	bpf_loop(TEXT_TURNS, text_turn, &w, 0);
	return w.found;
}

#endif
