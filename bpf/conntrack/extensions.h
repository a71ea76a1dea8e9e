/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What entries of conntrack have on demand: counters, and labels. */
#ifndef BPFTABLES_EXTENSIONS_H
#define BPFTABLES_EXTENSIONS_H

#include "conntrack/conntrack.h"
#include "facts/world.h"

struct conn_count_config {
	u64 from;
	u64 to;
	u32 of;	 /* enum xt_connbytes_what */
	u32 dir; /* enum xt_connbytes_direction */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct conn_count_config);
} conn_count_configs SEC(".maps");

enum {
	COUNT_PACKETS,
	COUNT_BYTES,
};

enum {
	DIR_ORIGINAL,
	DIR_REPLY,
};

#ifdef BPFTABLES_PROBE

static __always_inline bool conn_carried(struct bpf_nf_ctx *ctx, struct carried *c, u32 dir)
{
	struct given *g = given_facts();

	takes(ctx);
	if (!g || !g->counted)
		return false;
	if (dir != DIR_REPLY)
		*c = g->carried[0];
	if (dir != DIR_ORIGINAL) {
		c->packets += g->carried[1].packets;
		c->bytes += g->carried[1].bytes;
	}
	return true;
}

static __always_inline u64 conn_labels(struct bpf_nf_ctx *ctx, u32 word)
{
	struct given *g = given_facts();

	takes(ctx);
	return g ? g->labels[word & 1] : 0;
}

#else

/* The extension is one struct carried of each direction (struct nf_conn_acct,
 * include/net/netfilter/nf_conntrack_acct.h, the same since Linux 3.13): its type is in a module that need
 * not be there when the rules are loaded. */
#define counter_at(acct, dir, member) ((acct) + (dir) * sizeof(struct carried) + __builtin_offsetof(struct carried, member))

/* conn_carried adds up what a connection has carried; false where the kernel does not count. */
static __always_inline bool conn_carried(struct bpf_nf_ctx *ctx, struct carried *c, u32 dir)
{
	ulong ct = conn_of(ctx->skb), acct;

	if (!ct || !bpf_core_enum_value_exists(enum nf_ct_ext_id, NF_CT_EXT_ACCT))
		return false;
	acct = extension_of(ct, bpf_core_enum_value(enum nf_ct_ext_id, NF_CT_EXT_ACCT));
	if (!acct)
		return false;
	if (dir != DIR_REPLY) {
		c->packets = load8(counter_at(acct, 0, packets));
		c->bytes = load8(counter_at(acct, 0, bytes));
	}
	if (dir != DIR_ORIGINAL) {
		c->packets += load8(counter_at(acct, 1, packets));
		c->bytes += load8(counter_at(acct, 1, bytes));
	}
	return true;
}

/* conn_labels reads one of the words of labels. */
static __always_inline u64 conn_labels(struct bpf_nf_ctx *ctx, u32 word)
{
	ulong ct = conn_of(ctx->skb), labels;

	if (!ct || !bpf_core_enum_value_exists(enum nf_ct_ext_id, NF_CT_EXT_LABELS))
		return 0;
	labels = extension_of(ct, bpf_core_enum_value(enum nf_ct_ext_id, NF_CT_EXT_LABELS));
	return labels ? load8(labels + bpf_core_field_offset(struct nf_conn_labels, bits) + 8 * word) : 0;
}

#endif

/* conn_count is connbytes_mt() of net/netfilter/xt_connbytes.c. */
__noinline int conn_count(struct bpf_nf_ctx *ctx, struct facts *f, u32 slot)
{
	struct conn_count_config *c = bpf_map_lookup_elem(&conn_count_configs, &slot);
	struct carried n = {};
	u64 what;

	if (!f || !c)
		return A_HOTDROP;
	if (!conn_carried(ctx, &n, c->dir))
		return A_NO;
	if (c->of == COUNT_PACKETS)
		what = n.packets;
	else if (c->of == COUNT_BYTES)
		what = n.bytes;
	else
		what = n.packets ? n.bytes / n.packets : 0;
	if (c->to >= c->from)
		return c->from <= what && what <= c->to;
	return what < c->to || what > c->from;
}

/* conn_label is connlabel_mt() of net/netfilter/xt_connlabel.c, without --set. */
__noinline int conn_label(struct bpf_nf_ctx *ctx, struct facts *f, u32 bit)
{
	if (!f)
		return A_HOTDROP;
	return conn_labels(ctx, bit / 64 & 1) >> (bit & 63) & 1;
}

#endif
