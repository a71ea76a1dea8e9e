/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* For this host or not: the addresses that user space found, as long as the routes are the
 * same as then. */
#ifndef BPFTABLES_EARLY_ADDR_H
#define BPFTABLES_EARLY_ADDR_H

#include "early/early.h"

static __always_inline u32 routes_of(struct net___early *net)
{
	return family == 4 ? net->ipv4.rt_genid.counter : net->ipv6.fib6_sernum.counter;
}

static __always_inline enum early_addr addr_near(struct early_config *c, u32 addr)
{
#pragma unroll
	for (int i = 0; i < EARLY_NEAR; i++)
		if (c->near[i] == addr)
			return c->near_local & 1 << i ? ADDR_LOCAL : ADDR_OTHER;
	return ADDR_FORWARD;
}

static __always_inline enum early_addr addr_of(struct facts *f, struct early_config *c, bool dst)
{
	struct early_address key = {};
	u32 *at = (u32 *)f->l3;
	enum early_addr *found;

	if (family == 4) {
		key.word[0] = at[dst ? 4 : 3];
		if (c->few)
			return addr_near(c, key.word[0]);
	} else {
#pragma unroll
		for (int i = 0; i < 4; i++)
			key.word[i] = at[(dst ? 6 : 2) + i];
	}
	found = bpf_map_lookup_elem(&early_addrs, &key);
	return found ? *found : ADDR_FORWARD;
}

/* addr_now is where the packet goes; ADDR_OTHER when that is not known. */
static __always_inline enum early_addr addr_now(struct early_packet *e, struct early_config *c, struct net___early *net)
{
	if (!c->addrs || routes_of(net) != c->world.routes)
		return ADDR_OTHER;
	return addr_of(&e->f, c, true);
}

/* early_local answers -m addrtype --dst-type LOCAL: 0, 1, or V_UP when it is not known. */
__noinline enum early_verdict early_local(CTX *ctx, struct early_packet *e, u32 arg)
{
	enum early_addr to;

	asm volatile("" : : "r"(arg));
	if (!e)
		return V_UP;
	to = addr_now(e, value_of(early_configs), device_of(ctx)->nd_net.net);
	return to == ADDR_OTHER ? V_UP : to == ADDR_LOCAL;
}

#endif
