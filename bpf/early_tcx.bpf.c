// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The early stage at tcx ingress. */
#define CTX struct __sk_buff

#include "early/early.h"

#define EARLY_SEC SEC("tcx/ingress")
#define EARLY_UP (-1) /* TCX_NEXT */
#define EARLY_DROP 2 /* TCX_DROP */
#define BEFORE_GRO 0

extern struct nf_conn *bpf_skb_ct_lookup(struct __sk_buff *ctx, struct bpf_sock_tuple *tuple, u32 size,
						  struct bpf_ct_opts *opts, u32 opts_size) __ksym;
extern void bpf_ct_release(struct nf_conn *ct) __ksym;

#define ct_lookup bpf_skb_ct_lookup
#define load_bytes(ctx, off, to, n) bpf_skb_load_bytes(ctx, off, to, n)
#define frame_len(ctx) ((ctx)->len)
#define tagged(ctx) ((ctx)->vlan_present) /* the tag is no longer in the frame */

static __always_inline struct net_device___early *device_of(struct __sk_buff *ctx)
{
	struct sk_buff___early *skb = bpf_cast_to_kern_ctx(ctx);

	return skb->dev;
}

/* checksum_known: CHECKSUM_UNNECESSARY and CHECKSUM_PARTIAL need no computation
 * (nf_ip_checksum(), net/netfilter/utils.c). */
static __always_inline bool checksum_known(struct __sk_buff *ctx)
{
	struct sk_buff___early *skb = bpf_cast_to_kern_ctx(ctx);

	return BPF_CORE_READ_BITFIELD(skb, ip_summed) & 1;
}

#include "early/stage.h"
