/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Filling struct facts: the parts that the generated rules asked for. */
#ifndef BPFTABLES_FILL_H
#define BPFTABLES_FILL_H

#include "conntrack.h"
#include "facts.h"
#include "packet.h"

/* Set per program before it is loaded; the verifier drops what is not needed. */
const volatile enum need needs;
const volatile u32 family;
const volatile u32 hz = 1000; /* CONFIG_HZ */

#define ARPHRD_ETHER 1
#define ETH_HLEN 14

/* fill_l4_bytes copies what is there of the first bytes of the transport header. */
static __always_inline void fill_l4_bytes(struct sk_buff *skb, struct facts *f)
{
	struct bpf_dynptr ptr;
	u32 n = f->len > f->thoff ? f->len - f->thoff : 0;

	f->l4avail = n < 0xffff ? n : 0xffff;
	f->l4good = f->fragoff ? 0 : f->l4avail;
	if (n >= L4_MAX) {
		read_header(skb, f->l4, f->thoff, L4_MAX);
		return;
	}
	__builtin_memset(f->l4, 0, L4_MAX);
	if (n && !bpf_dynptr_from_skb((struct __sk_buff *)skb, 0, &ptr))
		bpf_dynptr_read(f->l4, n, &ptr, f->thoff, 0);
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
	fill_l4_bytes(ctx->skb, f);
	return 0;
}

/* fill_l4 finds the transport header and fills what depends on it. */
static __always_inline void fill_l4(struct bpf_nf_ctx *ctx, struct sk_buff *skb, struct facts *f)
{
	if (family == 6) {
		if (is_ext_header(f->l3[6])) {
			fill_walk(ctx, f);
			return;
		}
		f->proto = f->l3[6];
		f->thoff = 40;
	}
	fill_l4_bytes(skb, f);
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
	struct net_device *dev = skb->dev;
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

/* fill reads everything that is needed; 0 when the IP header is not whole, which
 * cannot be at a netfilter hook. What no rule of the program asks stays as it is: see
 * enum need. */
static __always_inline int fill(struct bpf_nf_ctx *ctx, struct facts *f)
{
	struct sk_buff *skb = ctx->skb;

	f->len = skb->len;
	f->mark = skb->mark;
	f->fragoff = 0;
	f->l4state = L4_FOUND;
	f->notes = 0;
	f->version = 0;
	if (family == 4 ? read_header(skb, f->l3, 0, 20) : read_header(skb, f->l3, 0, 40))
		return 0;
	if (family == 4) {
		f->proto = f->l3[9];
		f->thoff = (f->l3[0] & 15) * 4;
		f->fragoff = be16_at(f->l3 + 6) & IP_OFFSET;
	}
	if (needs & NEED_L4)
		fill_l4(ctx, skb, f);
	if (needs & NEED_IIF)
		fill_name(ctx->state->in, f->iif);
	if (needs & NEED_OIF)
		fill_name(ctx->state->out, f->oif);
	if (needs & NEED_CT)
		fill_conntrack(skb, f);
	if (needs & NEED_MAC)
		fill_mac(ctx, f);
	return 1;
}

#endif
