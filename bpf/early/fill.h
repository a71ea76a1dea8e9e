/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Filling struct early_packet from the frame. Whatever ip_rcv() or ipv6_rcv() would not take as
 * it is goes up. */
#ifndef BPFTABLES_EARLY_FILL_H
#define BPFTABLES_EARLY_FILL_H

#include "early/early.h"

/* device_ours says whether packets of the device reach the hooks of netfilter as packets
 * of that device: no bridge, bond, team or macvlan takes them, no VRF, no VLAN of which
 * the frame may have lost its tag. */
static __always_inline bool device_ours(struct net_device___early *dev)
{
	if (dev->rx_handler || dev->type != ARPHRD_ETHER)
		return false;
	if (bpf_core_field_exists(dev->vlan_info) && dev->vlan_info)
		return false;
	return !(dev->priv_flags & (IFF_EBRIDGE | IFF_L3MDEV_MASTER | IFF_L3MDEV_SLAVE));
}

/* device_speaks says whether the device has the protocol: without, packets are dropped
 * before PREROUTING (ip6_rcv_core()) or by routing (ip_route_input_slow()). */
static __always_inline bool device_speaks(struct net_device___early *dev)
{
	if (family == 4)
		return dev->ip_ptr != NULL;
	if (!bpf_core_type_exists(struct inet6_dev) || !dev->ip6_ptr)
		return false;
	return !dev->ip6_ptr->cnf.disable_ipv6;
}

/* address_ours says whether the frame is for the device. */
static __always_inline bool address_ours(struct net_device___early *dev, const u8 *frame)
{
	u64 own = load8((ulong)dev->dev_addr);

	return (own & 0xffffffffffffULL) == (*(u32 *)frame | (u64)*(u16 *)(frame + 4) << 32);
}

static __always_inline bool fill_ipv4(struct early_packet *e, const u8 *ip, u32 there)
{
	u32 *to = (u32 *)e->f.l3;
	const u32 *from = (const u32 *)ip;
	u32 len = be16_at(ip + 2);
	u64 sum = 0;

	if (ip[0] != 0x45 || len < 28 || len > there || (be16_at(ip + 6) & 0x3fff))
		return false;
#pragma unroll
	for (int i = 0; i < 5; i++) {
		to[i] = from[i];
		sum += from[i];
	}
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	if (sum != 0xffff)
		return false;
	/* This network, loopback, multicast and beyond. */
	if (ip[12] == 0 || ip[12] == 127 || ip[12] >= 224 || ip[16] == 0 || ip[16] == 127 || ip[16] >= 224)
		return false;
	e->f.proto = ip[9];
	e->f.thoff = 20;
	e->f.len = len;
	return true;
}

static __always_inline bool fill_ipv6(struct early_packet *e, const u8 *ip, u32 there)
{
	u64 *to = (u64 *)e->f.l3;
	u32 len = be16_at(ip + 4);

	if (ip[0] >> 4 != 6 || len < 8 || len + 40 > there)
		return false;
	/* Only global unicast and unique local addresses: no multicast, link-local, mapped
	 * or unspecified ones. */
	if ((ip[8] >> 5 != 1 && (ip[8] & 0xfe) != 0xfc) || (ip[24] >> 5 != 1 && (ip[24] & 0xfe) != 0xfc))
		return false;
#pragma unroll
	for (int i = 0; i < 5; i++)
		to[i] = ((const u64 *)ip)[i];
	e->f.proto = ip[6];
	e->f.thoff = 40;
	e->f.len = len + 40;
	return true;
}

/* l4_plain says whether the transport header is one that the rules below can be asked
 * about, and whole. */
static __always_inline bool l4_plain(struct early_packet *e)
{
	const u8 *l4 = e->f.l4;
	u32 doff;

	switch (e->f.proto) {
	case IPPROTO_TCP:
		doff = (l4[12] >> 4) * 4;
		if (doff < 20 || doff > e->l4len)
			return false;
		/* Data may be merged on the way up, unless SYN or RST is set. */
		return !BEFORE_GRO || doff == e->l4len || (l4[13] & (TH_SYN | TH_RST));
	case IPPROTO_UDP:
		return be16_at(l4 + 4) == e->l4len;
	case IPPROTO_ICMP:
		return family == 4;
	case IPPROTO_ICMPV6:
		return family == 6;
	}
	return false;
}

/* copy8 copies as one word what compilers take for unaligned bytes. */
static __always_inline void copy8(void *to, const void *from)
{
	*(u64 *)to = *(const u64 *)from;
}

/* head_len is the length that the IP header tells. */
static __always_inline u32 head_len(const u8 *ip)
{
	return family == 4 ? be16_at(ip + 2) : be16_at(ip + 4) + 40;
}

/* fill_early reads the frame; false: it goes up. */
static __always_inline bool fill_early(CTX *ctx, struct early_packet *e, struct net_device___early *dev)
{
	u8 *data = (u8 *)(long)ctx->data, *end = (u8 *)(long)ctx->data_end;
	const u32 head = ETH_HLEN + (family == 4 ? 20 : 40);
	struct facts *f = &e->f;
	u8 *l4 = data + head;
	u32 there;

	if (tagged(ctx))
		return false;
	if (data + ETH_HLEN + 40 + 8 > end && (family == 6 || data + ETH_HLEN + 20 + 8 > end))
		return false;
	there = end - data - ETH_HLEN;
	if (head_len(data + ETH_HLEN) > there) /* in several parts, or cut */
		there = frame_len(ctx) - ETH_HLEN;
	if (be16_at(data + 12) != (family == 4 ? ETH_P_IP : ETH_P_IPV6) || !address_ours(dev, data))
		return false;
	if (family == 4 ? !fill_ipv4(e, data + ETH_HLEN, there) : !fill_ipv6(e, data + ETH_HLEN, there))
		return false;
	if (l4 + L4_MAX <= end) {
		copy8(f->l4, l4);
		copy8(f->l4 + 8, l4 + 8);
		*(u32 *)(f->l4 + 16) = *(u32 *)(l4 + 16);
	} else {
		copy8(f->l4, l4);
#pragma unroll
		for (int i = 8; i < L4_MAX; i++)
			f->l4[i] = l4 + i + 1 <= end ? l4[i] : 0;
	}
	e->l4len = f->len - f->thoff;
	if (f->proto == IPPROTO_TCP && e->l4len < 20)
		return false;
	if (!l4_plain(e))
		return false;
	f->l4avail = e->l4len;
	f->l4good = e->l4len;
	f->fragoff = 0;
	f->l4state = L4_FOUND;
	f->ctstate = STATE_INVALID;
	f->hasconn = 0;
	f->ctmark = 0;
	f->ether = 1;
	f->mac_hi = bpf_ntohl(*(u32 *)(data + 6));
	f->mac_lo = be16_at(data + 10);
	if (needs & NEED_IIF) {
		((u64 *)f->iif)[0] = *(u64 *)&dev->name[0];
		((u64 *)f->iif)[1] = *(u64 *)&dev->name[8];
	}
	e->n = 0;
	e->ct = CT_UNASKED;
	return true;
}

#endif
