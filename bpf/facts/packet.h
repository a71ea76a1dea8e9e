/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The packet's bytes: IP header, transport header. The context's skb starts at the
 * IP header at every hook. */
#ifndef BPFTABLES_PACKET_H
#define BPFTABLES_PACKET_H

#include "facts/facts.h"

#define IP_OFFSET 0x1fff

#define NEXTHDR_HOP 0
#define NEXTHDR_ROUTING 43
#define NEXTHDR_FRAGMENT 44
#define NEXTHDR_AUTH 51
#define NEXTHDR_NONE 59
#define NEXTHDR_DEST 60

#define be16_at(p) ((u16)((p)[0] << 8 | (p)[1]))
#define be32_at(p) ((u32)(p)[0] << 24 | (u32)(p)[1] << 16 | (u32)(p)[2] << 8 | (p)[3])

/* read_packet copies bytes that must all be there. */
static __always_inline int read_packet(struct bpf_nf_ctx *ctx, void *to, u32 off, u32 n)
{
	struct bpf_dynptr ptr;

	if (bpf_dynptr_from_skb((struct __sk_buff *)ctx->skb, 0, &ptr))
		return -1;
	return bpf_dynptr_read(to, n, &ptr, off, 0);
}

/* read_skb copies the first bytes of a packet, wherever they lie. */
static __always_inline int read_skb(struct sk_buff *skb, void *to, u32 n)
{
	struct bpf_dynptr ptr;

	if (bpf_dynptr_from_skb((struct __sk_buff *)skb, 0, &ptr))
		return -1;
	return bpf_dynptr_read(to, n, &ptr, 0, 0);
}

static __always_inline bool is_ext_header(u8 next)
{
	return next == NEXTHDR_HOP || next == NEXTHDR_ROUTING || next == NEXTHDR_FRAGMENT ||
	       next == NEXTHDR_AUTH || next == NEXTHDR_NONE || next == NEXTHDR_DEST;
}

/* The walk over IPv6 headers: target below 0 asks for the transport header.
 * What bpf_loop carries from header to header. */
struct walk {
	struct bpf_nf_ctx *ctx;
	s32 target;
	u32 off;
	u32 fragoff;
	s32 result; /* header number, or one of below */
	u8 next;
};

#define WALK_GOES_ON -1
#define WALK_ABSENT -2 /* -ENOENT of ipv6_find_hdr() */
#define WALK_BROKEN -3 /* -EBADMSG */

/* walk_step is one turn of ipv6_find_hdr() (net/ipv6/exthdrs_core.c) without flags. */
static __always_inline bool walk_step(struct walk *w)
{
	bool found = w->next == w->target;
	u8 h[4] = {};
	u32 size;

	if (!is_ext_header(w->next) || w->next == NEXTHDR_NONE) {
		w->result = w->target < 0 || found ? w->next : WALK_ABSENT;
		return false;
	}
	w->result = WALK_BROKEN;
	if (read_packet(w->ctx, h, w->off, 2))
		return false;
	size = ((u32)h[1] + 1) << 3;
	if (w->next == NEXTHDR_ROUTING && read_packet(w->ctx, h, w->off, 4))
		return false;
	if (w->next == NEXTHDR_AUTH)
		size = ((u32)h[1] + 2) << 2;
	if (w->next == NEXTHDR_FRAGMENT) {
		u32 frag;

		if (read_packet(w->ctx, h, w->off, 4))
			return false;
		frag = be16_at(h + 2) & ~7;
		if (frag) {
			if (w->target < 0 && (!is_ext_header(h[0]) || h[0] == NEXTHDR_NONE)) {
				w->fragoff = frag;
				w->off = 0; /* the kernel leaves the offset alone: 0 */
				w->result = h[0];
			} else if (!found) {
				w->result = WALK_ABSENT;
			} else {
				w->fragoff = frag;
				w->result = w->next;
			}
			return false;
		}
		size = 8;
	}
	if (found) {
		w->result = w->next;
		return false;
	}
	/* The kernel goes on even when the header ends beyond the packet. */
	w->off += size;
	w->next = h[0];
	w->result = WALK_GOES_ON;
	return true;
}

static long walk_turn(u64 turn, struct walk *w)
{
	return !walk_step(w);
}

/* walk_ipv6 finds a header. 8192 turns cover every packet: a header has at least 8
 * bytes, a packet at most 65575. */
static __always_inline void walk_ipv6(struct bpf_nf_ctx *ctx, struct facts *f, struct walk *w, s32 target)
{
	w->ctx = ctx;
	w->target = target;
	w->off = 40;
	w->fragoff = 0;
	w->next = f->l3[6];
	/* The usual packet has no extension header. */
	if (walk_step(w))
		bpf_loop(8192, walk_turn, w, 0);
	if (w->result == WALK_GOES_ON)
		w->result = WALK_BROKEN;
}

#endif
