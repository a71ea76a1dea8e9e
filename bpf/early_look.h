/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A program that is run once, with BPF_PROG_TEST_RUN in the namespace: it tells what the
 * namespace has at its netfilter hooks, and the generation of its routes. */
#ifndef BPFTABLES_EARLY_LOOK_H
#define BPFTABLES_EARLY_LOOK_H

#include "early.h"

#define LOOK_HOOKS 32

struct early_hook {
	s32 priority;
	u32 type; /* enum nf_hook_ops_type */
	u64 priv;
};

struct early_view {
	struct early_world world;
	struct early_hook hooks[EARLY_HOOKS][LOOK_HOOKS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct early_view);
} early_views SEC(".maps");

static __always_inline ulong word_at(ulong at)
{
	ulong p = 0;

	bpf_probe_read_kernel(&p, sizeof(p), (void *)at);
	return p;
}

/* look_hook reads one entry. The operations that an entry was made from stand behind all
 * entries (nf_hook_entries_get_hook_ops()). */
static __always_inline void look_hook(struct early_hook *to, ulong entries, u32 n, u32 i)
{
	ulong ops = entries + bpf_core_field_offset(struct nf_hook_entries, hooks) +
		    (u64)n * bpf_core_type_size(struct nf_hook_entry) + i * sizeof(ulong);
	struct nf_hook_ops *o;

	ops = word_at(ops);
	o = cast_to(struct nf_hook_ops, ops);
	to->priority = o->priority;
	to->type = BPF_CORE_READ_BITFIELD_PROBED(o, hook_ops_type);
	to->priv = (u64)o->priv;
}

SEC("xdp.frags")
int look(struct xdp_md *ctx)
{
	struct net___early *net = device_of(ctx)->nd_net.net;
	u32 zero = 0;
	struct early_view *view = bpf_map_lookup_elem(&early_views, &zero);

	if (!view)
		return XDP_ABORTED;
	view->world.routes = routes_of(net);
	for (u32 h = 0; h < EARLY_HOOKS; h++) {
		struct nf_hook_entries *e = family == 4 ? net->nf.hooks_ipv4[h] : net->nf.hooks_ipv6[h];
		u32 n = 0;

		view->world.hooks[h] = (u64)e;
		if (e)
			n = e->num_hook_entries;
		view->world.counts[h] = n;
		for (u32 i = 0; i < LOOK_HOOKS; i++) {
			if (i >= n)
				break;
			look_hook(&view->hooks[h][i], (ulong)e, n, i);
		}
	}
	return XDP_PASS;
}

#endif
