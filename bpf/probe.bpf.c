// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The hook program for BPF_PROG_TEST_RUN: the prologue reads the packet as always; what
 * a test run cannot have (names, marks, conntrack, a socket) is given in a map. */
#define BPFTABLES_PROBE
#include "facts/kernel.h"
#include "facts/facts.h"
#include "netfilter/maps.h"
#include "netfilter/seat.h"
#include "facts/world.h"
#include "facts/fill.h"
#include "netfilter/count.h"
#include "netfilter/notes.h"
#include "facts/fields.h"
#include "facts/exthdr.h"
#include "facts/ext6.h"
#include "facts/options.h"
#include "facts/text.h"
#include "facts/clock.h"
#include "facts/policy.h"
#include "conntrack/extensions.h"
#include "memory/limit.h"
#include "memory/meter.h"
#include "route/addrtype.h"
#include "memory/recent.h"
#include "memory/set.h"

/* What became of the packet. */
struct outcome {
	u32 verdict;
	u32 rule;
	u32 overflow; /* more actions than a note holds */
	u32 n;
	u32 actions[NOTE_ACTIONS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct outcome);
} outcomes SEC(".maps");

/* get_field gives what the test said. */
__noinline u64 get_field(struct bpf_nf_ctx *ctx, struct facts *f, u32 field)
{
	struct given *g = given_facts();

	takes(ctx);
	if (!f || !g || field >= NUM_FIELDS)
		return 0;
	return g->fields[field];
}

/* get_addr copies an address of the conntrack entry to f->tmp. */
__noinline int get_addr(struct bpf_nf_ctx *ctx, struct facts *f, u32 which)
{
	struct given *g = given_facts();

	takes(ctx);
	if (!f || !g || which >= NUM_ADDRS)
		return 0;
	__builtin_memcpy(f->tmp, g->addrs[which], 16);
	return 1;
}

/* get_name copies the name of a bridge port to f->tmp. */
__noinline int get_name(struct bpf_nf_ctx *ctx, struct facts *f, u32 which)
{
	struct given *g = given_facts();

	takes(ctx);
	if (!f || !g || which >= NUM_NAMES)
		return 0;
	__builtin_memcpy(f->tmp, g->names[which], IFNAME);
	return 1;
}

/* given_type answers by the types that the test gave. */
static __always_inline int given_type(struct bpf_nf_ctx *ctx, struct facts *f, u32 arg)
{
	struct given *g = given_facts();
	u32 dst = arg >> 16 & 1, dev = arg >> 24 & 3;

	takes(ctx);
	if (!f || !g || dev > 2)
		return A_NO;
	return (arg & 0xffff & g->types[dst][dev]) != 0;
}

__noinline int addr_type(struct bpf_nf_ctx *ctx, struct facts *f, u32 arg)
{
	return given_type(ctx, f, arg);
}

__noinline int addr_type6(struct bpf_nf_ctx *ctx, struct facts *f, u32 arg)
{
	return given_type(ctx, f, arg);
}

/* control_group goes through those that the test gave. */
__noinline int control_group(struct bpf_nf_ctx *ctx, struct facts *f, u32 slot)
{
	struct control_group_config *c = bpf_map_lookup_elem(&control_group_configs, &slot);
	struct given *g = given_facts();
	u32 i;

	takes(ctx);
	if (!f || !g || !c)
		return A_HOTDROP;
	for (i = 0; i < GIVEN_GROUPS; i++)
		if (c->id && g->control_groups[i] == c->id)
			return A_YES;
	return A_NO;
}

/* groups goes through those that the test gave. */
__noinline int groups(struct bpf_nf_ctx *ctx, struct facts *f, u32 slot)
{
	struct group_config *c = bpf_map_lookup_elem(&group_configs, &slot);
	struct given *g = given_facts();
	u32 i;

	takes(ctx);
	if (!f || !g || !c)
		return A_HOTDROP;
	for (i = 0; i < GIVEN_GROUPS; i++)
		if (i < g->ngroups && c->lo <= g->groups[i] && g->groups[i] <= c->hi)
			return A_YES;
	return A_NO;
}

/* reverse_path gives what the test said. */
__noinline int reverse_path(struct bpf_nf_ctx *ctx, struct facts *f, u32 options)
{
	struct given *g = given_facts();

	takes(ctx);
	return f && g && g->reverse >> (options & 7) & 1;
}

#include "netfilter/class.h"
#include "netfilter/chain.h"

/* override takes what the kernel cannot be made to have from the map. */
static __always_inline void override(struct facts *f, const struct facts *g)
{
	f->len = g->len;
	f->mark = g->mark;
	f->ctmark = g->ctmark;
	f->ctstate = g->ctstate;
	f->hasconn = g->hasconn;
	__builtin_memcpy(f->iif, g->iif, IFNAME);
	__builtin_memcpy(f->oif, g->oif, IFNAME);
	f->ether = g->ether;
	f->mac_hi = g->mac_hi;
	f->mac_lo = g->mac_lo;
}

/* report_notes copies the actions that were noted and takes the note away. */
static __always_inline void report_notes(struct bpf_nf_ctx *ctx, struct facts *f, struct outcome *o)
{
	u64 skb = (u64)ctx->skb;
	struct note_entry *note = note_find(ctx);
	u32 i;

	o->overflow = f->notes > NOTE_ACTIONS;
	o->n = 0;
	if (!f->notes || !note)
		return;
	o->n = note->n;
	for (i = 0; i < NOTE_ACTIONS; i++)
		o->actions[i] = note->action[i];
	if (hook_number == HOOK_OUTPUT)
		bpf_map_delete_elem(&out_notes, &skb);
}

SEC("netfilter")
int probe(struct bpf_nf_ctx *ctx)
{
	struct given *g = given_facts();
	struct outcome *o;
	struct facts f;
	u32 zero = 0;

	/* What is left alone must not matter. */
	__builtin_memset(&f, 0xa5, sizeof(f));
	f.version = 0;
	o = bpf_map_lookup_elem(&outcomes, &zero);
	if (!o || !g || !fill_first(ctx, &f) || !fill_rest(ctx, &f))
		return NF_DROP;
	override(&f, &g->facts);
	o->verdict = run_base(ctx, &f);
	o->rule = f.rule;
	report_notes(ctx, &f, o);
	if (o->verdict == V_ACCEPT || o->verdict == V_DROP)
		count_packet(&f, f.rule);
	return NF_ACCEPT;
}

char _license[] SEC("license") = "Dual BSD/GPL";
