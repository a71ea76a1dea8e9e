/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The programs of the early stage, for one kind of context. */
#ifndef BPFTABLES_EARLY_STAGE_H
#define BPFTABLES_EARLY_STAGE_H

#include "early/early.h"
#include "early/class.h"
#include "early/ct.h"
#include "early/fill.h"
#include "early/addr.h"

/* The holes, one for each chain on the way of a received packet. The loader puts generated
 * code in their place; a chain that is not there accepts. They mention the functions that
 * generated code may call, under a condition that never holds. */
#define EARLY_CHAIN(name)                                                                          \
	__noinline int name(CTX *ctx, struct early_packet *e)                                             \
	{                                                                                          \
		volatile int verdict = V_ACCEPT;                                                   \
                                                                                                   \
		if (!e || e->n <= EARLY_RULES)                                                     \
			return verdict;                                                            \
		early_ct(ctx, e, 0);                                                               \
		early_len(ctx, e, 0);                                                              \
		early_local(ctx, e, 0);                                                            \
		classify(ctx, &e->f, 0);                                                           \
		return verdict;                                                                    \
	}

EARLY_CHAIN(untracked_prerouting)
EARLY_CHAIN(tracked_prerouting)
EARLY_CHAIN(nat_prerouting)
EARLY_CHAIN(first_input)
EARLY_CHAIN(second_input)
EARLY_CHAIN(third_input)
EARLY_CHAIN(first_forward)
EARLY_CHAIN(second_forward)
EARLY_CHAIN(third_forward)

/* look_up is the answer of a classified chain, behind what its lead says. */
static __always_inline int look_up(CTX *ctx, struct early_packet *e, enum early_chain chain, int verdict)
{
	u32 states = base_states[chain];

	if (verdict != V_CONTINUE)
		return verdict;
	if (states && !ct_known(ctx, e, states & ~ASKS_STATE))
		return V_UP;
	return run_class(ctx, &e->f, base_classes[chain] - 1, lead_labels[chain], lead_rows[chain]);
}

/* RUN is the answer of a chain, if it is there. */
#define RUN(bit, name)                                                                             \
	(!(chains & 1 << (bit)) ? V_ACCEPT :                                                        \
	 !base_classes[bit] ? call_hole(name, ctx, e) :                                             \
	 look_up(ctx, e, bit, lead_labels[bit] ? call_hole(name, ctx, e) : V_CONTINUE))

/* nat sees the first packet of a connection only (nf_nat_inet_fn()). */
static __always_inline int nat(CTX *ctx, struct early_packet *e)
{
	if (!(chains & 1 << NAT_PREROUTING))
		return V_ACCEPT;
	if (!ct_known(ctx, e, STATE_NEW))
		return V_UP;
	return e->f.ctstate & STATE_NEW ? RUN(NAT_PREROUTING, nat_prerouting) : V_ACCEPT;
}

/* prerouting is the way behind conntrack. */
static __always_inline int prerouting(CTX *ctx, struct early_packet *e)
{
	int v = RUN(TRACKED_PREROUTING, tracked_prerouting);

	return v == V_ACCEPT ? nat(ctx, e) : v;
}

static __always_inline int input(CTX *ctx, struct early_packet *e)
{
	int v = RUN(FIRST_INPUT, first_input);

	if (v == V_ACCEPT)
		v = RUN(SECOND_INPUT, second_input);
	return v == V_ACCEPT ? RUN(THIRD_INPUT, third_input) : v;
}

static __always_inline int forward(CTX *ctx, struct early_packet *e)
{
	int v = RUN(FIRST_FORWARD, first_forward);

	if (v == V_ACCEPT)
		v = RUN(SECOND_FORWARD, second_forward);
	return v == V_ACCEPT ? RUN(THIRD_FORWARD, third_forward) : v;
}

/* age makes the packet one hop older, as ip_forward() and ip6_forward() do before the hook;
 * false when it does not live long enough. */
static __always_inline bool age(struct facts *f)
{
	u8 *ttl = f->l3 + (family == 4 ? 8 : 7);

	if (*ttl <= 1)
		return false;
	(*ttl)--;
	return true;
}

/* routed says whether the packet will get to the hook FORWARD: there is a route for it,
 * forwarding is on, and it is not too long. */
static __always_inline bool routed(CTX *ctx, struct early_packet *e, struct early_config *c)
{
	struct facts *f = &e->f;
	struct bpf_fib_lookup fib = {};
	int ret;

	if (f->len > c->mtu)
		return false;
	fib.family = family == 4 ? 2 : 10;
	fib.l4_protocol = f->proto;
	fib.ifindex = ctx->ingress_ifindex;
	fib.tot_len = 0; /* the length is not asked here */
	if (family == 4) {
		fib.tos = f->l3[1];
		fib.ipv4_src = *(u32 *)(f->l3 + 12);
		fib.ipv4_dst = *(u32 *)(f->l3 + 16);
	} else {
		fib.flowinfo = *(u32 *)f->l3 & bpf_htonl(0x0fffffff);
		__builtin_memcpy(fib.ipv6_src, f->l3 + 8, 32);
	}
	ret = bpf_fib_lookup(ctx, &fib, sizeof(fib), 0);
	if (ret != BPF_FIB_LKUP_RET_SUCCESS && ret != BPF_FIB_LKUP_RET_NO_NEIGH)
		return false;
	/* Out where it came in: the sender is told of a better way before the hook. */
	return fib.ifindex != ctx->ingress_ifindex;
}

/* world_same says whether what stands at the netfilter hooks is that for which the stage was
 * made. */
static __always_inline bool world_same(struct net___early *net, struct early_config *c)
{
#pragma unroll
	for (int i = 0; i < EARLY_HOOKS; i++) {
		struct nf_hook_entries *now = family == 4 ? net->nf.hooks_ipv4[i] : net->nf.hooks_ipv6[i];

		if ((u64)now != c->world.hooks[i])
			return false;
	}
	for (u32 i = 0; i < EARLY_WORDS && i < c->world.nwords; i++)
		if (load8(c->world.words[i].at) != c->world.words[i].is)
			return false;
	return true;
}

static __always_inline void credit(struct early_packet *e, u32 rule)
{
	struct counter *c = counter_of(rule);

	if (!c)
		return;
	c->packets++;
	c->bytes += e->f.len;
}

/* settle credits the rules on the way of a packet that is dropped. */
static __always_inline void settle(struct early_packet *e)
{
	for (u32 i = 0; i < EARLY_RULES; i++) {
		if (i >= e->n)
			break;
		credit(e, e->ids[i]);
	}
	credit(e, e->f.rule);
	e->dropped++;
}

#define RP_FILTER 7 /* its index in ipv4_devconf.data */

/* source_checked says whether routing drops packets whose source has another way back, or
 * none: no rule of INPUT and FORWARD would be credited. */
static __always_inline bool source_checked(struct net_device___early *dev, struct net___early *net)
{
	struct in_device *in = dev->ip_ptr;

	return !in || in->cnf.data[RP_FILTER] || net->ipv4.devconf_all->data[RP_FILTER];
}

static __always_inline bool untold(CTX *ctx, struct early_packet *e, struct early_config *c)
{
	if (!c->tracks)
		return true;
	return e->ct == CT_UNASKED ? !early_untold(ctx, e) : e->ct != CT_UNKNOWN;
}

/* judge is the way of a received packet; V_DROP is final. */
static __always_inline int judge(CTX *ctx, struct early_packet *e, struct early_config *c, struct net___early *net)
{
	int v = RUN(UNTRACKED_PREROUTING, untracked_prerouting);
	enum early_addr to;

	if (v != V_ACCEPT)
		return v;
	v = prerouting(ctx, e);
	if (v != V_ACCEPT)
		return v == V_DROP && untold(ctx, e, c) ? V_DROP : V_UP;
	to = addr_now(e, c, net);
	if (to == ADDR_OTHER)
		return V_UP;
	if (to != ADDR_LOCAL && !age(&e->f))
		return V_UP;
	/* Here it is a part of the program, which saves a call. */
	if (state_first & (to == ADDR_LOCAL ? INPUT_CHAINS : FORWARD_CHAINS))
		ct_ask(ctx, e);
	v = to == ADDR_LOCAL ? input(ctx, e) : forward(ctx, e);
	if (v != V_DROP || !untold(ctx, e, c))
		return V_UP;
	if (exact && family == 4 && source_checked(device_of(ctx), net))
		return V_UP;
	/* A packet from one of our own addresses is not taken (fib_validate_source()). */
	if (family == 4 && addr_of(&e->f, c, false) != ADDR_FORWARD)
		return V_UP;
	if (to != ADDR_LOCAL && !routed(ctx, e, c))
		return V_UP;
	return V_DROP;
}

EARLY_SEC
int early(CTX *ctx)
{
	struct net_device___early *dev = device_of(ctx);
	struct early_config *c = value_of(early_configs);
	struct early_packet *e = this_packet();
	struct net___early *net;

	if (!e || !c->on || !dev || *value_of(active) != generation)
		return EARLY_UP;
	e->seen++;
	net = dev->nd_net.net;
	if (!device_ours(dev) || !device_speaks(dev) || !world_same(net, c) || !rules_same(e) || !fill_early(ctx, e, dev))
		return EARLY_UP;
	if (judge(ctx, e, c, net) != V_DROP || e->n > EARLY_RULES)
		return EARLY_UP;
	settle(e);
	return EARLY_DROP;
}

/* front is what is attached to the interfaces. */
EARLY_SEC
int front(CTX *ctx)
{
	u8 *data = (u8 *)(long)ctx->data, *end = (u8 *)(long)ctx->data_end;
	u32 type;

	if (data + ETH_HLEN > end)
		return EARLY_UP;
	type = be16_at(data + 12);
	if (type == ETH_P_IP)
		bpf_tail_call_static(ctx, &early_families, 0);
	else if (type == ETH_P_IPV6)
		bpf_tail_call_static(ctx, &early_families, 1);
	return EARLY_UP;
}

char _license[] SEC("license") = "Dual BSD/GPL";

#endif
