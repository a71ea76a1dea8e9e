/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The type of an address, as net/netfilter/xt_addrtype.c asks for it: for IPv4 by a
 * lookup in the routing table "local", for IPv6 by the address itself. */
#ifndef BPFTABLES_ADDRTYPE_H
#define BPFTABLES_ADDRTYPE_H

#include "facts/facts.h"
#include "route/fib.h"
#include "facts/fill.h"

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
		bpf_loop(65536, fib_turn, &w, 0);
	if (!w.info || (dev && dev != fib_device(w.info)))
		return RTN_UNICAST;
	return w.type;
}

/* addr_match_v6 is match_type6() for the types that the address itself tells. */
static __always_inline bool addr_match_v6(const u8 *a, u32 mask)
{
	u32 high = be32_at(a), second = be32_at(a + 4), third = be32_at(a + 8), low = be32_at(a + 12);
	bool multicast = a[0] == 0xff;
	bool any = !(high | second | third | low);
	bool mapped = !(high | second) && third == 0xffff;
	bool unicast = !multicast && !any && !mapped; /* __ipv6_addr_type() */

	if ((mask & 1 << RTN_MULTICAST) && !multicast)
		return false;
	if ((mask & 1 << RTN_UNICAST) && !unicast)
		return false;
	return !(mask & 1 << RTN_UNSPEC) || any;
}

#ifndef BPFTABLES_PROBE

/* addr_type answers whether the type of an address is one of a mask:
 * mask | which << 16 (0 source, 1 destination) | in << 24 | out << 25. Routing is not
 * asked for IPv6: such rules are not generated. */
__noinline int addr_type(struct bpf_nf_ctx *ctx, struct facts *f, u32 arg)
{
	const struct net_device *dev = NULL;
	u32 mask = arg & 0xffff;
	bool dst = arg >> 16 & 1;

	if (!f)
		return A_NO;
	if (family == 6) {
		if (mask & ~(1 << RTN_MULTICAST | 1 << RTN_UNICAST | 1 << RTN_UNSPEC))
			return A_HOTDROP;
		return addr_match_v6(f->l3 + (dst ? 24 : 8), mask);
	}
	if (arg & 1 << 24)
		dev = ctx->state->in;
	else if (arg & 1 << 25)
		dev = ctx->state->out;
	/* A device of a VRF has a table of its own, which cannot be found from here. */
	if (dev && (dev->priv_flags & (IFF_L3MDEV_MASTER | IFF_L3MDEV_SLAVE)))
		return A_HOTDROP;
	return (mask >> addr_type_v4(ctx, be32_at(f->l3 + (dst ? 16 : 12)), (ulong)dev)) & 1;
}

#endif

#endif
