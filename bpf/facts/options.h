/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Options and chunks of transport protocols. */
#ifndef BPFTABLES_OPTIONS_H
#define BPFTABLES_OPTIONS_H

#include "facts/checksum.h"
#include "facts/facts.h"
#include "facts/loop.h"
#include "facts/packet.h"

#define TCP_HEADER 20
#define TCP_OPTIONS_MAX 40
#define TCPOPT_MSS 2
#define TCPOLEN_MSS 4

/* tcp_options copies the TCP options: their length, or -1 when they are not all there. */
static __always_inline int tcp_options(struct bpf_nf_ctx *ctx, struct facts *f, u8 *op)
{
	u32 n = (f->l4[12] >> 4) * 4;

	if (f->l4avail < TCP_HEADER || n < TCP_HEADER)
		return -1;
	n -= TCP_HEADER;
	if (n > TCP_OPTIONS_MAX)
		return -1;
	if (n && read_packet(ctx, op, f->thoff + TCP_HEADER, n))
		return -1;
	return n;
}

/* option_length is that of one option (optlen(), net/netfilter/xt_TCPMSS.c). A byte follows
 * it, or 0 where there is none. */
static __always_inline u32 option_length(const u8 *op)
{
	return op[0] < 2 || !op[1] ? 1 : op[1];
}

/* each_tcp_option goes on with the options that begin in n bytes, from i on, or ends the loop around it; it
 * begins with turn 0. */
#define each_tcp_option(turn, i, n)                                \
	({                                                         \
		may_turn(turn, TCP_OPTIONS_MAX);                   \
		if ((int)(i) >= (int)(n) || (i) >= TCP_OPTIONS_MAX) \
			break;                                     \
	})

/* tcp_option is tcp_find_option() of net/netfilter/xt_tcpudp.c. */
__noinline enum answer tcp_option(struct bpf_nf_ctx *ctx, struct facts *f, u32 kind)
{
	u8 op[TCP_OPTIONS_MAX + 1] = {};
	u32 i = 0, turn = 0;
	int n;

	if (!f)
		return A_NO;
	n = tcp_options(ctx, f, op);
	if (n < 0)
		return A_HOTDROP;
	for (;;) {
		each_tcp_option(turn, i, n);
		if (op[i] == kind)
			return A_YES;
		i += option_length(op + i);
	}
	return A_NO;
}

/* tcp_mss is tcpmss_mt() of net/netfilter/xt_tcpmss.c without --invert; the range is
 * lo | hi << 16. */
__noinline int tcp_mss(struct bpf_nf_ctx *ctx, struct facts *f, u32 range)
{
	u8 op[TCP_OPTIONS_MAX + 4] = {};
	u32 i = 0, turn = 0, mss;
	int n;

	if (!f)
		return A_NO;
	n = tcp_options(ctx, f, op);
	if (n < 0)
		return A_HOTDROP;
	for (;;) {
		each_tcp_option(turn, i, n);
		if (op[i] == TCPOPT_MSS && n - i >= TCPOLEN_MSS && op[i + 1] == TCPOLEN_MSS) {
			mss = be16_at(op + i + 2);
			return mss >= (range & 0xffff) && mss <= range >> 16;
		}
		i += option_length(op + i);
	}
	return A_NO;
}

/* add_mss does to the facts what TCPMSS does to the packet (tcpmss_mangle_packet(),
 * net/netfilter/xt_TCPMSS.c): a SYN without data that has not announced a size gets the option.
 * Hotdrop where TCPMSS drops the packet. What it announces then is not known here. */
__noinline enum answer add_mss(struct bpf_nf_ctx *ctx, struct facts *f)
{
	u8 op[TCP_OPTIONS_MAX + 4] = {};
	u32 i = 0, turn = 0;
	int n;

	if (!f)
		return A_NO;
	if (f->fragoff || f->len != ctx->skb->len) /* it has been here before */
		return A_YES;
	n = tcp_options(ctx, f, op);
	if (n < 0)
		return A_HOTDROP;
	for (;;) {
		each_tcp_option(turn, i, n - TCPOLEN_MSS + 1);
		if (op[i] == TCPOPT_MSS && op[i + 1] == TCPOLEN_MSS)
			return A_YES;
		i += option_length(op + i);
	}
	if (f->l4avail > TCP_HEADER + n || n >= TCP_OPTIONS_MAX)
		return A_YES;
	f->len += TCPOLEN_MSS;
	f->l4avail += TCPOLEN_MSS;
	f->l4good += TCPOLEN_MSS;
	f->l4[12] += TCPOLEN_MSS / 4 << 4;
	return A_YES;
}

#define TCP_FIN 1
#define TCP_SYN 2
#define TCP_RST 4
#define TCP_ACK 16

/* is_handshake says whether SYNPROXY answers, takes or drops a packet with these flags. */
static __always_inline bool is_handshake(u8 flags)
{
	flags &= TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK;
	return flags == TCP_SYN || flags == TCP_ACK;
}

/* meets_demand is hotdrop where a target drops the packet, as it lacks what the target asks of it
 * (pred.Demand), or takes it. */
__noinline enum answer meets_demand(struct bpf_nf_ctx *ctx, struct facts *f, u32 demand)
{
	u8 op[TCP_OPTIONS_MAX + 4] = {};
	bool lacks;

	if (!f)
		return A_NO;
	switch (demand) {
	case DEMANDS_HEADER: /* of IPv4 */
		lacks = ctx->skb->len < (f->l3[0] & 15) * 4 + TCP_HEADER;
		break;
	case DEMANDS_SOURCE:
		lacks = (be32_at(f->l3 + 16) & be32_at(f->l3 + 20)) == 0xffffffff;
		break;
	case DEMANDS_DEST:
		lacks = (be32_at(f->l3 + 32) & be32_at(f->l3 + 36)) == 0xffffffff;
		break;
	case DEMANDS_HANDSHAKE:
		lacks = f->fragoff || tcp_options(ctx, f, op) < 0 || is_handshake(f->l4[13]) || !tcp_sum_is_right(ctx, f);
		break;
	default:
		lacks = !f->fragoff && tcp_options(ctx, f, op) < 0;
	}
	return lacks ? A_HOTDROP : A_YES;
}

struct dccp_walk {
	struct bpf_nf_ctx *ctx;
	u32 at;	  /* offset of the options in the packet */
	u32 n;	  /* their length */
	u32 i;
	u32 kind;
	u32 answer;
};

static long dccp_turn(u64 turn, struct dccp_walk *w)
{
	u8 op[2] = {};

	if (w->i >= w->n)
		return 1;
	if (read_packet(w->ctx, op, w->at + w->i, w->i == w->n - 1 ? 1 : 2)) {
		w->answer = A_HOTDROP;
		return 1;
	}
	if (op[0] == w->kind) {
		w->answer = A_YES;
		return 1;
	}
	w->i += option_length(op);
	return 0;
}

/* dccp_header_length is __dccp_hdr_len() (include/linux/dccp.h): the generic header,
 * 4 more bytes with extended sequence numbers, and what the packet type has. */
static __always_inline u32 dccp_header_length(const u8 *h)
{
	u32 type = h[8] >> 1 & 15, n = 12 + (h[8] & 1 ? 4 : 0);

	switch (type) {
	case 0: /* Request: service code */
		return n + 4;
	case 2: /* Data */
		return n;
	case 3: /* Ack */
	case 4: /* DataAck */
	case 5: /* CloseReq */
	case 6: /* Close */
	case 8: /* Sync */
	case 9: /* SyncAck */
		return n + 8;
	}
	/* Response: acknowledgement and service code, Reset: acknowledgement and
	 * reason; for what is not a type the kernel takes the same. */
	return n + 12;
}

/* dccp_option is dccp_find_option() of net/netfilter/xt_dccp.c. */
__noinline int dccp_option(struct bpf_nf_ctx *ctx, struct facts *f, u32 kind)
{
	struct dccp_walk w = {};
	u32 head, all;
	u8 last;

	if (!f)
		return A_NO;
	head = dccp_header_length(f->l4);
	all = f->l4[4] * 4;
	if (f->l4avail < 12 || all < head)
		return A_HOTDROP;
	w.ctx = ctx;
	w.at = f->thoff + head;
	w.n = all - head;
	w.kind = kind;
	if (!w.n)
		return A_NO;
	/* They must all be there before the first is looked at. */
	if (read_packet(ctx, &last, w.at + w.n - 1, 1))
		return A_HOTDROP;
	bpf_loop(1024, dccp_turn, &w, 0);
	return w.answer;
}

#define SCTP_SLOTS 1
#define SCTP_FLAGS 4
#define SCTP_ANY 0
#define SCTP_ALL 1
#define SCTP_ONLY 2

struct sctp_flag {
	u8 chunk;
	u8 mask;
	u8 value;
	u8 pad;
};

struct sctp_config {
	u32 map[8];
	struct sctp_flag flags[SCTP_FLAGS];
	u32 mode;
	u32 nflags;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SCTP_SLOTS);
	__type(key, u32);
	__type(value, struct sctp_config);
} sctp_chunk_configs SEC(".maps");

struct sctp_walk {
	struct bpf_nf_ctx *ctx;
	struct sctp_config *c;
	u32 seen[8]; /* chunks of the map that have not come yet (mode all) */
	u32 off;
	u32 len;
	u32 answer;
};

/* sctp_flags is match_flags() of net/netfilter/xt_sctp.c. */
static __always_inline bool sctp_flags(struct sctp_config *c, u8 type, u8 flags)
{
	u32 i;

	for (i = 0; i < SCTP_FLAGS; i++)
		if (i < c->nflags && c->flags[i].chunk == type)
			return (flags & c->flags[i].mask) == c->flags[i].value;
	return true;
}

static long sctp_turn(u64 turn, struct sctp_walk *w)
{
	u32 size, bit, word;
	u8 h[4];

	if (read_packet(w->ctx, h, w->off, 4) || !be16_at(h + 2)) {
		w->answer = A_HOTDROP;
		return 1;
	}
	size = (be16_at(h + 2) + 3) & ~3;
	w->off += size;
	bit = 1U << (h[0] & 31);
	word = h[0] >> 5 & 7;
	if (!(w->c->map[word] & bit)) {
		if (w->c->mode == SCTP_ONLY) {
			w->answer = A_NO;
			return 1;
		}
	} else if (sctp_flags(w->c, h[0], h[1])) {
		if (w->c->mode == SCTP_ANY) {
			w->answer = A_YES;
			return 1;
		}
		if (w->c->mode == SCTP_ALL)
			w->seen[word] &= ~bit;
	} else if (w->c->mode == SCTP_ONLY) {
		w->answer = A_NO;
		return 1;
	}
	return w->off >= w->len;
}

/* sctp_chunks is match_packet() of net/netfilter/xt_sctp.c. */
__noinline int sctp_chunks(struct bpf_nf_ctx *ctx, struct facts *f, u32 slot)
{
	struct sctp_config *c = bpf_map_lookup_elem(&sctp_chunk_configs, &slot);
	struct sctp_walk w = {};
	u32 i, left = 0;

	if (!f || !c)
		return A_NO;
	if (f->l4avail < 12)
		return A_HOTDROP;
	w.ctx = ctx;
	w.c = c;
	w.off = f->thoff + 12;
	w.len = f->len;
	w.answer = A_HOTDROP + 1;
	for (i = 0; i < 8; i++)
		w.seen[i] = c->map[i];
	bpf_loop(16384, sctp_turn, &w, 0);
	if (w.answer <= A_HOTDROP)
		return w.answer;
	for (i = 0; i < 8; i++)
		left |= w.seen[i];
	if (c->mode == SCTP_ALL)
		return !left;
	return c->mode == SCTP_ONLY;
}

#endif
