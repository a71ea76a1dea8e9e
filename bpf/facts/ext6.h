/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What lists in IPv6 extension headers hold, and which headers there are. */
#ifndef BPFTABLES_EXT6_H
#define BPFTABLES_EXT6_H

#include "facts/exthdr.h"
#include "facts/fill.h"

#define NEXTHDR_ESP 50
#define EXT6_ITEMS 16

enum header6 {
	HEADER6_PROTO = 1 << 0,
	HEADER6_NONE = 1 << 1,
	HEADER6_ESP = 1 << 2,
	HEADER6_AUTH = 1 << 3,
	HEADER6_FRAG = 1 << 4,
	HEADER6_ROUTE = 1 << 5,
	HEADER6_DST = 1 << 6,
	HEADER6_HOP = 1 << 7,
	HEADER6_SOFT = 1 << 8,
	HEADER6_NEGATE = 1 << 9,
};

static __always_inline u32 header6_bit(u8 next)
{
	switch (next) {
	case NEXTHDR_HOP:
		return HEADER6_HOP;
	case NEXTHDR_ROUTING:
		return HEADER6_ROUTE;
	case NEXTHDR_FRAGMENT:
		return HEADER6_FRAG;
	case NEXTHDR_ESP:
		return HEADER6_ESP;
	case NEXTHDR_AUTH:
		return HEADER6_AUTH;
	case NEXTHDR_NONE:
		return HEADER6_NONE;
	case NEXTHDR_DEST:
		return HEADER6_DST;
	}
	return 0;
}

struct header6_walk {
	struct bpf_nf_ctx *ctx;
	u32 off;
	u32 len;
	u32 have;
	u8 next;
	bool cut;
};

static long header6_turn(u64 turn, struct header6_walk *w)
{
	u32 bit = header6_bit(w->next), size;
	u8 h[2] = {};

	if (!bit)
		return 1;
	if (bit == HEADER6_NONE) {
		w->have |= bit;
		return 1;
	}
	w->cut = read_packet(w->ctx, h, w->off, 2);
	if (w->cut)
		return 1;
	w->have |= bit;
	if (bit == HEADER6_ESP)
		return 1;
	size = ((u32)h[1] + 1) << 3;
	if (bit == HEADER6_FRAG)
		size = 8;
	if (bit == HEADER6_AUTH)
		size = ((u32)h[1] + 2) << 2;
	w->next = h[0];
	w->off += size;
	return w->off > w->len;
}

/* headers6 is ipv6header_mt6() of net/ipv6/netfilter/ip6t_ipv6header.c. */
__noinline int headers6(struct bpf_nf_ctx *ctx, struct facts *f, u32 want)
{
	struct header6_walk w = {};
	u32 mask = want & 255, bit;

	if (!f)
		return A_NO;
	w.ctx = ctx;
	w.off = 40;
	w.len = f->len;
	w.next = f->l3[6];
	bpf_loop(8192, header6_turn, &w, 0);
	if (w.cut)
		return A_NO;
	bit = header6_bit(w.next);
	if (bit != HEADER6_NONE && bit != HEADER6_ESP)
		w.have |= HEADER6_PROTO;
	if (want & HEADER6_SOFT)
		return (w.have & mask) == (want & HEADER6_NEGATE ? 0 : mask);
	return (w.have == mask) != !!(want & HEADER6_NEGATE);
}

/* eui64 is eui64_mt6() of net/ipv6/netfilter/ip6t_eui64.c. */
__noinline int eui64(struct bpf_nf_ctx *ctx, struct facts *f, u32 unused)
{
	const u8 *id;

	takes(unused);
	if (!f)
		return A_NO;
#ifndef BPFTABLES_PROBE
	if (f->ether && load2((ulong)ctx->skb->head + ctx->skb->mac_header + 12) != bpf_htons(0x86dd))
		return A_NO;
#else
	takes(ctx);
#endif
	id = f->l3 + 16;
	return f->ether && id[3] == 0xff && id[4] == 0xfe && be32_at(id) >> 8 == ((f->mac_hi >> 8) ^ 0x020000) &&
	       id[5] == (f->mac_hi & 255) && be16_at(id + 6) == f->mac_lo;
}

/* One option: an impossible length stands for any. */
struct option6 {
	u16 kind;
	u16 len;
};

#define OPTION6_ANY 256

struct options6_config {
	u32 header;
	u32 n;
	struct option6 opts[EXT6_ITEMS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct options6_config);
} options6_configs SEC(".maps");

struct hops6_config {
	u32 loose;
	u32 n;
	u32 addrs[EXT6_ITEMS][4];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct hops6_config);
} hops6_configs SEC(".maps");

/* ext6_at finds the header again that find_ext() has found, whole, of which f->tmp has the beginning. It
 * leaves where it is in f->word, and where it ends in f->base: there is little room on the stack. */
static __always_inline bool ext6_at(struct bpf_nf_ctx *ctx, struct facts *f, struct walk *w, u32 header)
{
	walk_ipv6(ctx, f, w, header);
	f->word = w->off;
	f->base = w->off + (((u32)f->tmp[1] + 1) << 3);
	return w->result >= 0;
}

struct options6_walk {
	struct bpf_nf_ctx *ctx;
	struct options6_config *c;
	u32 at;
	u32 end;
	u32 answer;
};

static long options6_turn(u64 turn, struct options6_walk *w)
{
	u32 i = turn, left = w->end - w->at, size = 1;
	struct option6 *want;
	u8 op[2] = {};

	if (i >= w->c->n || i >= EXT6_ITEMS)
		return 1;
	barrier_var(i);
	want = &w->c->opts[i & (EXT6_ITEMS - 1)];
	w->answer = A_NO;
	if (!left || read_packet(w->ctx, op, w->at, left > 1 ? 2 : 1) || op[0] != want->kind)
		return 1;
	if (want->kind) {
		if (left < 2 || (want->len != OPTION6_ANY && want->len != op[1]))
			return 1;
		size = (u32)op[1] + 2;
	}
	if (size > left) {
		w->answer = i == w->c->n - 1;
		return 1;
	}
	w->at += size;
	w->answer = A_YES;
	return 0;
}

/* options6 says how the options of a header begin, as hbh_mt6() (net/ipv6/netfilter/ip6t_hbh.c). */
__noinline int options6(struct bpf_nf_ctx *ctx, struct facts *f, u32 slot)
{
	struct options6_config *c = bpf_map_lookup_elem(&options6_configs, &slot);
	union { /* not both at once */
		struct walk walk;
		struct options6_walk list;
	} w;

	if (!f || !c)
		return A_HOTDROP;
	if (!ext6_at(ctx, f, &w.walk, c->header & 255))
		return A_NO;
	w.list.ctx = ctx;
	w.list.c = c;
	w.list.at = f->word + 2;
	w.list.end = f->base;
	w.list.answer = A_YES;
	bpf_loop(EXT6_ITEMS, options6_turn, &w.list, 0);
	return w.list.answer;
}

struct hops6_walk {
	struct bpf_nf_ctx *ctx;
	struct hops6_config *c;
	u32 at;
	u32 end;
	u32 next;
};

static long hops6_turn(u64 turn, struct hops6_walk *w)
{
	u32 a[4], *want;

	if (w->at + 16 > w->end || read_packet(w->ctx, a, w->at, 16))
		return 1;
	w->at += 16;
	want = w->c->addrs[w->next & (EXT6_ITEMS - 1)];
	if (w->next < w->c->n && a[0] == want[0] && a[1] == want[1] && a[2] == want[2] && a[3] == want[3]) {
		w->next++;
		return 0;
	}
	if (w->c->loose)
		return 0;
	w->next = EXT6_ITEMS + 1; /* not what anybody wants */
	return 1;
}

/* hops6 asks for the addresses of the routing header, as rt_mt6() (net/ipv6/netfilter/ip6t_rt.c). */
__noinline int hops6(struct bpf_nf_ctx *ctx, struct facts *f, u32 slot)
{
	struct hops6_config *c = bpf_map_lookup_elem(&hops6_configs, &slot);
	union {
		struct walk walk;
		struct hops6_walk list;
	} w;

	if (!f || !c)
		return A_HOTDROP;
	if (!ext6_at(ctx, f, &w.walk, NEXTHDR_ROUTING))
		return A_NO;
	w.list.ctx = ctx;
	w.list.c = c;
	w.list.at = f->word + 8;
	w.list.end = f->base;
	w.list.next = 0;
	bpf_loop(128, hops6_turn, &w.list, 0);
	return w.list.next == c->n;
}

#endif
