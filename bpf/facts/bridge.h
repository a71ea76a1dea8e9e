/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The bridge ports of a packet that a bridge forwards (br_netfilter). */
#ifndef BPFTABLES_BRIDGE_H
#define BPFTABLES_BRIDGE_H

#include "facts/kernel.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct hlist_node {
	struct hlist_node *next, **pprev;
};

struct hlist_head {
	struct hlist_node *first;
};

/* A kernel before 6.8 keeps a pointer to the bridge port. */
struct nf_bridge_info___old {
	struct net_device *physindev;
};

enum skb_ext_id {
	SKB_EXT_BRIDGE_NF,
};

struct net_device___byindex {
	int ifindex;
	struct hlist_node index_hlist;
	char name[16];
};

struct net {
	struct hlist_head *dev_index_head;
};

#pragma clang attribute pop

/* bridge_info is nf_bridge_info_get() (include/linux/netfilter_bridge.h). */
static __always_inline struct nf_bridge_info *bridge_info(struct sk_buff *skb)
{
	struct skb_ext *ext;
	u32 id;

	/* A kernel without bridge netfilter has neither. */
	if (!bpf_core_type_exists(struct nf_bridge_info) ||
	    !bpf_core_enum_value_exists(enum skb_ext_id, SKB_EXT_BRIDGE_NF))
		return NULL;
	id = bpf_core_enum_value(enum skb_ext_id, SKB_EXT_BRIDGE_NF);
	if (!(skb->active_extensions & (1 << id)))
		return NULL;
	ext = cast_to(struct skb_ext, cast_to(struct sk_buff, skb)->extensions);
	return cast_to(struct nf_bridge_info, (ulong)ext + ((u32)ext->offset[id & 7] << 3));
}

struct device_walk {
	ulong node; /* address of the hlist_node */
	ulong dev;  /* address of the device found */
	s32 ifindex;
};

static long device_turn(u64 turn, struct device_walk *w)
{
	ulong dev;

	if (!w->node)
		return 1;
	dev = w->node - bpf_core_field_offset(struct net_device___byindex, index_hlist);
	if (cast_to(struct net_device, dev)->ifindex == w->ifindex) {
		w->dev = dev;
		return 1;
	}
	w->node = (ulong)cast_to(struct hlist_node, w->node)->next;
	return 0;
}

/* phys_in gives the address of the bridge port the packet came in on:
 * nf_bridge_get_physindev(), with dev_get_by_index_rcu() (net/core/dev.c). */
static __always_inline ulong phys_in(struct bpf_nf_ctx *ctx, struct nf_bridge_info *b)
{
	struct device_walk w = {};
	ulong head;

	if (bpf_core_field_exists(struct nf_bridge_info___old, physindev))
		return (ulong)((struct nf_bridge_info___old *)b)->physindev;
	w.ifindex = b->physinif;
	head = (ulong)cast_to(struct net, state_of(ctx)->net)->dev_index_head;
	if (!w.ifindex || !head)
		return 0;
	head += (w.ifindex & 255) * sizeof(struct hlist_head); /* NETDEV_HASHENTRIES */
	w.node = (ulong)cast_to(struct hlist_head, head)->first;
	bpf_loop(65536, device_turn, &w, 0);
	return w.dev;
}

/* bridged_field gives the bits of pred.FieldBridged, for physdev_mt()
 * (net/netfilter/xt_physdev.c). */
static __always_inline u64 bridged_field(struct bpf_nf_ctx *ctx)
{
	struct nf_bridge_info *b = bridge_info(ctx->skb);
	u64 bits = 1;

	if (!b)
		return 0;
	if (phys_in(ctx, b))
		bits |= 2;
	if (b->physoutdev)
		bits |= 4 | 8;
	return bits;
}

#endif
