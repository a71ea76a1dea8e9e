/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The type of an address, as net/netfilter/xt_addrtype.c asks for it: for IPv4 by a
 * lookup in the routing table "local", for IPv6 by one in all tables. */
#ifndef BPFTABLES_ADDRTYPE_H
#define BPFTABLES_ADDRTYPE_H

#include "facts/facts.h"
#include "route/fib.h"
#include "route/types6.h"
#include "facts/fill.h"

#define IFA_F_OPTIMISTIC 4
#define IFA_F_TENTATIVE 0x40

#define be64_at(p) ((u64)be32_at(p) << 32 | be32_at((p) + 4))

/* addr_type_v4 is __inet_dev_addr_type() (net/ipv4/fib_frontend.c). */
static __always_inline u32 addr_type_v4(struct bpf_nf_ctx *ctx, u32 addr, ulong dev)
{
	struct fib_walk w = {};
	ulong table;

	if (!addr || addr == 0xffffffff)
		return RTN_BROADCAST;
	if ((addr & 0xf0000000) == 0xe0000000)
		return RTN_MULTICAST;
	table = local_table(ctx);
	if (!table)
		return RTN_BROADCAST;
	w.pn = pointer_at(table + bpf_core_field_offset(struct fib_table, tb_data));
	w.key = addr;
	w.n = fib_child(w.pn, 0);
	if (w.n)
		fib_find(&w);
	if (!w.info || (dev && dev != fib_device(w.info)))
		return RTN_UNICAST;
	return w.type;
}

/* is_own6 says whether an address of this host is this one, and no candidate
 * (__ipv6_chk_addr_and_flags(), net/ipv6/addrconf.c). */
static __always_inline bool is_own6(ulong a, u64 hi, u64 lo)
{
	u32 flags = get(a, struct inet6_ifaddr, flags);
	ulong at = inside(a, struct inet6_ifaddr, addr);

	if (bpf_be64_to_cpu(load8(at)) != hi || bpf_be64_to_cpu(load8(at + 8)) != lo)
		return false;
	return !(flags & IFA_F_TENTATIVE) || flags & IFA_F_OPTIMISTIC;
}

/* addr6_turn looks at one address of a device, for a lookup that has ended. */
static long addr6_turn(u64 turn, struct route6 **lookup)
{
	struct route6 *w = *lookup;
	ulong a = w->at - bpf_core_field_offset(struct inet6_ifaddr, if_list);

	if (!w->at || w->at == w->head)
		return 1;
	w->at = load8(w->at);
	/* One that the kernel does not find by its hash is about to go. */
	if (!is_own6(a, w->hi, w->lo) || !get(a, struct inet6_ifaddr, addr_lst.pprev))
		return 0;
	w->types |= 1 << RTN_LOCAL;
	return 1;
}

/* find_addr6 is ipv6_chk_addr() (net/ipv6/addrconf.c) with a device that is not of a VRF. */
static __always_inline void find_addr6(struct route6 *w, ulong dev)
{
	ulong inet6 = get(dev, struct net_device___ip6, ip6_ptr);

	if (!inet6)
		return;
	w->head = inside(inet6, struct inet6_dev, addr_list);
	w->at = load8(w->head);
	bpf_loop(1 << 23, addr6_turn, &w, 0);
}

/* addr_types_v6 is match_lookup_rt6(): which of the types LOCAL, ANYCAST and UNREACHABLE an
 * address has, or TYPES_UNKNOWN. */
static __always_inline u32 addr_types_v6(struct bpf_nf_ctx *ctx, const u8 *addr, ulong dev, u32 mask)
{
	struct route6 *w = route6_take();
	u32 types;

	if (!w)
		return TYPES_UNKNOWN;
	w->hi = be64_at(addr);
	w->lo = be64_at(addr + 8);
	w->net = (ulong)state_of(ctx)->net;
	w->oif = dev ? cast_to(struct net_device, dev)->ifindex : 0;
	w->asked = mask | 1 << RTN_UNREACHABLE;
	w->types = types6(w);
	if (dev && mask & 1 << RTN_LOCAL && !(w->types & (1 << RTN_UNREACHABLE | TYPES_UNKNOWN)))
		find_addr6(w, dev);
	types = w->types;
	route6_give(w);
	return types;
}

#ifndef BPFTABLES_PROBE

/* asked_device is the interface that a question is limited to. */
static __always_inline const struct net_device *asked_device(struct bpf_nf_ctx *ctx, u32 arg)
{
	if (arg & 1 << 24)
		return ctx->state->in;
	return arg & 1 << 25 ? ctx->state->out : NULL;
}

/* in_vrf: a device of a VRF has a table of its own, which cannot be found from here. */
static __always_inline bool in_vrf(const struct net_device *dev)
{
	return dev && dev->priv_flags & (IFF_L3MDEV_MASTER | IFF_L3MDEV_SLAVE);
}

/* addr_type answers whether the type of an IPv4 address is one of a mask:
 * mask | which << 16 (0 source, 1 destination) | in << 24 | out << 25. */
__noinline int addr_type(struct bpf_nf_ctx *ctx, struct facts *f, u32 arg)
{
	const struct net_device *dev = asked_device(ctx, arg);

	if (!f)
		return A_NO;
	if (family != 4 || in_vrf(dev))
		return A_HOTDROP;
	return ((arg & 0xffff) >> addr_type_v4(ctx, be32_at(f->l3 + (arg >> 16 & 1 ? 16 : 12)), (ulong)dev)) & 1;
}

/* addr_type6 answers the same of an IPv6 address, of the types that routing tells. */
__noinline int addr_type6(struct bpf_nf_ctx *ctx, struct facts *f, u32 arg)
{
	const struct net_device *dev = asked_device(ctx, arg);
	u32 types;

	if (!f)
		return A_NO;
	if (family != 6 || in_vrf(dev))
		return A_HOTDROP;
	types = addr_types_v6(ctx, f->l3 + (arg >> 16 & 1 ? 24 : 8), (ulong)dev, arg & 0xffff);
	if (types & TYPES_UNKNOWN)
		return A_HOTDROP;
	return (types & arg & 0xffff) != 0;
}

#endif

#endif
