/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A program that is run once, with BPF_PROG_RUN by a thread in the namespace: it tells what
 * the namespace has at its netfilter hooks, and the generation of its routes. */
#ifndef BPFTABLES_EARLY_LOOK_H
#define BPFTABLES_EARLY_LOOK_H

#include "early/early.h"

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

static __always_inline void look_word(struct early_view *view, ulong at)
{
	u32 n = view->world.nwords;

	if (n >= EARLY_WORDS) {
		view->world.more = 1;
		return;
	}
	view->world.words[n].at = at;
	view->world.words[n].is = word_at(at);
	view->world.nwords = n + 1;
}

static __always_inline ulong ops_of(ulong entries, u32 n, u32 i)
{
	return word_at(entries + bpf_core_field_offset(struct nf_hook_entries, hooks) +
		       (u64)n * bpf_core_type_size(struct nf_hook_entry) + i * sizeof(ulong));
}

/* look_table remembers the rules of a table of iptables. */
static __always_inline void look_table(struct early_view *view, u64 table)
{
	look_word(view, table + bpf_core_field_offset(struct xt_table, private));
}

#define LOOK_NAT 4

/* look_nat remembers the chains of NAT, and the rules of those that are of iptables. */
static __always_inline void look_nat(struct early_view *view, u64 priv)
{
	ulong at = priv + bpf_core_field_offset(struct nf_nat_lookup_hook_priv, entries);
	ulong entries = word_at(at);
	struct nf_hook_ops *o;
	u32 n;

	look_word(view, at);
	if (!entries)
		return;
	n = cast_to(struct nf_hook_entries, entries)->num_hook_entries;
	if (n > LOOK_NAT)
		view->world.more = 1;
	for (u32 i = 0; i < LOOK_NAT; i++) {
		if (i >= n)
			break;
		o = cast_to(struct nf_hook_ops, ops_of(entries, n, i));
		if (BPF_CORE_READ_BITFIELD_PROBED(o, hook_ops_type) == NF_HOOK_OP_UNDEFINED)
			look_table(view, (u64)o->priv);
	}
}

/* look_behind remembers what a hook of the kernel's own leads to. */
static __always_inline void look_behind(struct early_view *view, struct early_hook *h)
{
	if (h->type != NF_HOOK_OP_UNDEFINED)
		return;
	switch (h->priority) {
	case -300:
	case -150:
	case 0:
	case 50:
		look_table(view, h->priv);
		break;
	case -100:
		look_nat(view, h->priv);
	}
}

/* look_entry reads one entry of a list of hooks. The operations that an entry was made from
 * stand behind all entries (nf_hook_entries_get_hook_ops()). It is a function of its own so
 * that the verifier looks at it once. */
__noinline int look_entry(u32 hook, u32 i)
{
	u32 zero = 0;
	struct early_view *view = bpf_map_lookup_elem(&early_views, &zero);
	struct early_hook *to;
	struct nf_hook_ops *o;

	if (!view || hook >= EARLY_HOOKS || i >= LOOK_HOOKS)
		return 0;
	to = &view->hooks[hook][i];
	o = cast_to(struct nf_hook_ops, ops_of(view->world.hooks[hook], view->world.counts[hook], i));
	to->priority = o->priority;
	to->type = BPF_CORE_READ_BITFIELD_PROBED(o, hook_ops_type);
	to->priv = (u64)o->priv;
	look_behind(view, to);
	return 0;
}

SEC("syscall")
int look(void *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct net___early *net = task->nsproxy->net_ns;
	u32 zero = 0;
	struct early_view *view = bpf_map_lookup_elem(&early_views, &zero);

	if (!view)
		return 0;
	view->world.routes = routes_of(net);
	view->world.nwords = 0;
	view->world.more = 0;
	for (u32 h = 0; h < EARLY_HOOKS; h++) {
		struct nf_hook_entries *e = family == 4 ? net->nf.hooks_ipv4[h] : net->nf.hooks_ipv6[h];

		view->world.hooks[h] = (u64)e;
		view->world.counts[h] = e ? e->num_hook_entries : 0;
		for (u32 i = 0; i < LOOK_HOOKS; i++) {
			if (i >= view->world.counts[h])
				break;
			look_entry(h, i);
		}
	}
	return 1;
}

#endif
