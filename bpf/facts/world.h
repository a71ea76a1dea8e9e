/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a match asks that is not in the packet: time, chance, and where the packet comes
 * from. The test program (probe.bpf.c) is told instead of asking the kernel. */
#ifndef BPFTABLES_WORLD_H
#define BPFTABLES_WORLD_H

#include "facts/facts.h"
#include "facts/numbers.h"

const volatile u32 hz = 1000; /* CONFIG_HZ */

/* A state of xfrm. */
struct transform {
	u32 src[4];
	u32 dst[4];
	u32 spi; /* as on the wire */
	u32 reqid;
	u32 proto;
	u32 mode;
};

/* What went through a connection. */
struct carried {
	u64 packets;
	u64 bytes;
};

#ifdef BPFTABLES_PROBE

#define GIVEN_GROUPS 4
#define GIVEN_TRANSFORMS 6

/* What a test says about the packet. */
struct given {
	struct facts facts;		/* what the kernel cannot be made to have */
	u64 fields[NUM_FIELDS];	/* answers of get_field */
	u32 addrs[NUM_ADDRS][4];	/* of get_addr */
	u8 names[NUM_NAMES][IFNAME];	/* of get_name */
	u32 types[2][3];		/* of addr_type, 1 << RTN_*: source, destination; any device, in, out */
	u64 jiffies;
	u64 clock;		/* seconds since 1970 */
	u64 labels[2];
	u32 ntransforms[2];
	struct transform transforms[2][GIVEN_TRANSFORMS]; /* that it had, that it will have */
	struct carried carried[2];
	u32 counted;
	u32 random;
	u32 forwarded;
	u64 control_groups[GIVEN_GROUPS];
	u32 ngroups;
	u32 groups[GIVEN_GROUPS];
	u32 reverse;		/* of reverse_path, 1 << options */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct given);
} given SEC(".maps");

static __always_inline struct given *given_facts(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&given, &zero);
}

static __always_inline u64 world_jiffies(void)
{
	struct given *g = given_facts();

	return g ? g->jiffies : 0;
}

static __always_inline u64 world_nanoseconds(void)
{
	return world_jiffies() * (1000000000 / hz);
}

static __always_inline u32 world_random(void)
{
	struct given *g = given_facts();

	return g ? g->random : 0;
}

static __always_inline bool world_forwarded(struct bpf_nf_ctx *ctx)
{
	struct given *g = given_facts();

	return g && g->forwarded;
}

#else

static __always_inline u64 world_jiffies(void)
{
	return bpf_jiffies64();
}

static __always_inline u64 world_nanoseconds(void)
{
	return bpf_ktime_get_ns();
}

static __always_inline u32 world_random(void)
{
	return bpf_get_prandom_u32();
}

/* world_forwarded says whether the packet leaves without coming from a socket of this
 * namespace, as recent_mt() asks (net/netfilter/xt_recent.c). */
static __always_inline bool world_forwarded(struct bpf_nf_ctx *ctx)
{
	const struct nf_hook_state *state = state_of(ctx);
	struct sock *sk = skb_of(ctx)->sk;

	if (!state->out)
		return false;
	return !sk || (ulong)sk->__sk_common.skc_net.net != (ulong)state->net;
}

#endif
#endif
