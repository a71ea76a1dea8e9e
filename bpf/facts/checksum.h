/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The checksum of TCP, as nf_ip_checksum() and nf_ip6_checksum() verify it (net/netfilter/utils.c). */
#ifndef BPFTABLES_CHECKSUM_H
#define BPFTABLES_CHECKSUM_H

#include "facts/facts.h"
#include "facts/packet.h"

#define CHECKSUM_NONE 0
#define CHECKSUM_COMPLETE 2
#define SUM_CHUNK 32
#define SUM_TURNS (1 << 20) /* more than a packet has chunks */

struct sum_walk {
	struct bpf_nf_ctx *ctx;
	u64 sum; /* of words as they lie in memory */
	u32 at, end;
	u32 chunk[SUM_CHUNK / 4];
};

static long sum_turn(u64 turn, struct sum_walk *w)
{
	u32 n = w->end - w->at, i;

	if (w->at >= w->end)
		return 1;
	if (n > SUM_CHUNK)
		n = SUM_CHUNK;
#pragma unroll
	for (i = 0; i < SUM_CHUNK / 4; i++)
		w->chunk[i] = 0;
	if (!n || read_packet(w->ctx, w->chunk, w->at, n))
		return 1;
#pragma unroll
	for (i = 0; i < SUM_CHUNK / 4; i++)
		w->sum += w->chunk[i];
	w->at += n;
	return 0;
}

/* sum_verified says whether the kernel takes the checksum as verified, or does not look at it. */
static __always_inline bool sum_verified(struct bpf_nf_ctx *ctx)
{
	u32 summed = BPF_CORE_READ_BITFIELD(ctx->skb, ip_summed);

	return summed != CHECKSUM_NONE && (summed != CHECKSUM_COMPLETE || hook_of(ctx) != HOOK_INPUT);
}

/* tcp_sum_is_right computes it over what is behind the IP headers, and the addresses. */
static __always_inline bool tcp_sum_is_right(struct bpf_nf_ctx *ctx, struct facts *f)
{
	struct sum_walk w = {};
	u32 i, from = family == 4 ? 12 : 8, to = family == 4 ? 20 : 40;

	if (sum_verified(ctx))
		return true;
	w.ctx = ctx;
	w.at = f->thoff;
	w.end = ctx->skb->len;
	for (i = from; i < to; i += 4)
		w.sum += bpf_htonl(be32_at(f->l3 + i));
	w.sum += bpf_htons(IPPROTO_TCP) + (u64)bpf_htonl(w.end - w.at);
	bpf_loop(SUM_TURNS, sum_turn, &w, 0);
	if (w.at < w.end)
		return false;
	w.sum = (w.sum >> 32) + (u32)w.sum;
	w.sum = (w.sum >> 16) + (w.sum & 0xffff);
	w.sum = (w.sum >> 16) + (w.sum & 0xffff);
	w.sum = (w.sum >> 16) + (w.sum & 0xffff);
	return w.sum == 0xffff;
}

#endif
