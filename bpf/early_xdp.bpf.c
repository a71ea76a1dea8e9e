// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The early stage at XDP. */
#define CTX struct xdp_md

#include "early/early.h"

#define EARLY_SEC SEC("xdp.frags")
#define EARLY_UP XDP_PASS
#define EARLY_DROP XDP_DROP
#define BEFORE_GRO 1

extern struct nf_conn *bpf_xdp_ct_lookup(struct xdp_md *ctx, struct bpf_sock_tuple *tuple, u32 size,
						  struct bpf_ct_opts *opts, u32 opts_size) __ksym;
extern void bpf_ct_release(struct nf_conn *ct) __ksym;

#define ct_lookup bpf_xdp_ct_lookup
#define load_bytes(ctx, off, to, n) bpf_xdp_load_bytes(ctx, off, to, n)
#define frame_len(ctx) bpf_xdp_get_buff_len(ctx)
#define tagged(ctx) false /* see device_ours() */

static __always_inline struct net_device___early *device_of(struct xdp_md *ctx)
{
	struct xdp_buff *xdp = bpf_cast_to_kern_ctx(ctx);

	return xdp->rxq->dev;
}

/* The driver has not said yet whether it has looked at the checksum. */
#define checksum_known(ctx) false

#include "early/stage.h"
#include "early/look.h"
