/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Filling struct facts: the parts that the generated rules asked for. */
#ifndef BPFTABLES_FILL_H
#define BPFTABLES_FILL_H

#include "facts/facts.h"
#include "facts/packet.h"

/* Set per program before it is loaded; the verifier drops what is not needed. */
const volatile enum need needs;
const volatile u32 family;

/* asks says whether something that costs is read of a packet. */
#ifndef asks
#define asks(ctx, what) (needs & (what))
#endif

#include "conntrack/conntrack.h"

#define ARPHRD_ETHER 1
#define ETH_HLEN 14

/* fill_l4_rest copies the first n bytes of a transport header that is short or not in the
 * linear part. */
static __always_inline void fill_l4_rest(struct sk_buff *skb, struct facts *f, u32 n)
{
	struct bpf_dynptr ptr;

	__builtin_memset(f->l4, 0, L4_MAX);
	if (n && !bpf_dynptr_from_skb((struct __sk_buff *)skb, 0, &ptr))
		bpf_dynptr_read(f->l4, n, &ptr, f->thoff, 0);
}

/* fill_l4_bytes copies what is there of the first bytes of the transport header: 20, or 8
 * where no rule asks for more. What is in the linear part takes a few loads, where a dynptr is a
 * dozen calls. */
static __always_inline void fill_l4_bytes(struct sk_buff *skb, struct facts *f, u32 len, u32 thoff,
					  u32 fragoff)
{
	u32 n = len > thoff ? len - thoff : 0, linear = len - skb->data_len;
	const u32 most = needs & NEED_WIDE ? L4_MAX : 8;
	ulong at = (ulong)skb->data + thoff;
	u64 *to = (u64 *)f->l4;

	if (n > 0xffff)
		n = 0xffff;
	f->l4avail = n;
	f->l4good = fragoff ? 0 : n;
	if (linear < thoff + most) {
		if (n > 8 || linear < thoff + 8)
			return fill_l4_rest(skb, f, n < most ? n : most);
		to[1] = 0;
		*(u32 *)(to + 2) = 0;
	} else if (needs & NEED_WIDE) {
		to[1] = load8(at + 8);
		*(u32 *)(to + 2) = load4(at + 16);
	}
	to[0] = load8(at);
}

/* fill_walk finds the transport header of an IPv6 packet as ip6_packet_match() does
 * (net/ipv6/netfilter/ip6_tables.c). It is a function of its own so that its stack is
 * not added to that of the rules. */
__noinline int fill_walk(struct bpf_nf_ctx *ctx, struct facts *f)
{
	struct walk w;

	if (!f)
		return 0;
	walk_ipv6(ctx, f, &w, -1);
	if (w.result < 0) {
		f->l4state = L4_BROKEN;
		f->l4avail = 0;
		f->l4good = 0;
		__builtin_memset(f->l4, 0, L4_MAX);
		return 0;
	}
	f->proto = w.result;
	f->thoff = w.off < 0xffff ? w.off : 0xffff;
	f->fragoff = w.fragoff;
	fill_l4_bytes(ctx->skb, f, f->len, f->thoff, f->fragoff);
	return 0;
}

static __always_inline void fill_name(const struct net_device *dev, u8 *name)
{
	if (!dev) {
		__builtin_memset(name, 0, IFNAME);
		return;
	}
	((u64 *)name)[0] = *(u64 *)&dev->name[0];
	((u64 *)name)[1] = *(u64 *)&dev->name[8];
}

/* fill_mac reads the source address under the conditions of mac_mt()
 * (net/netfilter/xt_mac.c). */
__noinline int fill_mac(struct bpf_nf_ctx *ctx, struct facts *f)
{
	struct sk_buff *skb = ctx->skb;
	struct net_device *dev = skb_of(ctx)->dev;
	u8 mac[8] = {};
	u64 at;

	if (!f)
		return 0;
	f->ether = 0;
	f->mac_hi = 0;
	f->mac_lo = 0;
	if (!dev || dev->type != ARPHRD_ETHER)
		return 0;
	at = (u64)skb->head + skb->mac_header;
	if (at + ETH_HLEN > (u64)skb->data)
		return 0;
	if (bpf_probe_read_kernel(mac, 6, (void *)(at + 6)))
		return 0;
	f->ether = 1;
	f->mac_hi = be32_at(mac);
	f->mac_lo = be16_at(mac + 4);
	return 0;
}

/* fill_ipv4 reads the IP header and, if asked, that of the transport. */
static __always_inline bool fill_ipv4(struct sk_buff *skb, struct facts *f, u32 len)
{
	u64 *to = (u64 *)f->l3;
	ulong at = (ulong)skb->data;
	u32 thoff, fragoff;

	if (len - skb->data_len >= 20) {
		to[0] = load8(at);
		to[1] = load8(at + 8);
		*(u32 *)(to + 2) = load4(at + 16);
	} else if (read_skb(skb, to, 20)) {
		return false;
	}
	thoff = (to[0] & 15) * 4;
	fragoff = bpf_ntohs(to[0] >> 48) & IP_OFFSET;
	f->proto = to[1] >> 8;
	f->thoff = thoff;
	f->fragoff = fragoff;
	if (needs & NEED_L4)
		fill_l4_bytes(skb, f, len, thoff, fragoff);
	return true;
}

/* fill_ipv6 does the same. */
static __always_inline bool fill_ipv6(struct bpf_nf_ctx *ctx, struct sk_buff *skb, struct facts *f, u32 len)
{
	ulong at = (ulong)skb->data;
	u64 *to = (u64 *)f->l3;

	if (len - skb->data_len >= 40) {
#pragma unroll
		for (int i = 0; i < 5; i++)
			to[i] = load8(at + 8 * i);
	} else if (read_skb(skb, to, 40)) {
		return false;
	}
	f->fragoff = 0;
	if (!(needs & NEED_L4))
		return true;
	if (is_ext_header(f->l3[6])) {
		fill_walk(ctx, f);
		return true;
	}
	f->proto = f->l3[6];
	f->thoff = 40;
	fill_l4_bytes(skb, f, len, 40, 0);
	return true;
}

/* fill_first reads what is not in the packet's headers; 0 when the packet must be dropped:
 * conntrack is needed and off. What no rule of the program asks stays as it is: see enum need. */
static __always_inline int fill_first(struct bpf_nf_ctx *ctx, struct facts *f)
{
	struct sk_buff *skb = ctx->skb;

	f->len = skb->len;
	f->mark = skb->mark;
	f->notes = 0;
	f->begun = BEGUN_NOT;
	if (needs & NEED_IIF)
		fill_name(state_of(ctx)->in, f->iif);
	if (needs & NEED_OIF)
		fill_name(state_of(ctx)->out, f->oif);
	return !(needs & NEED_CT) || fill_conntrack(ctx, skb, f);
}

/* fill_rest reads the headers; 0 when the IP header is not whole, which cannot be at a
 * netfilter hook. */
static __always_inline int fill_rest(struct bpf_nf_ctx *ctx, struct facts *f)
{
	struct sk_buff *skb = ctx->skb;

	f->l4state = L4_FOUND;
	if (!(family == 4 ? fill_ipv4(skb, f, skb->len) : fill_ipv6(ctx, skb, f, skb->len)))
		return 0;
	if (asks(ctx, NEED_MAC))
		fill_mac(ctx, f);
	return 1;
}

#endif
