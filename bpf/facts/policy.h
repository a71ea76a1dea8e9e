/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The transformations of IPsec that a packet had or will have, and -m policy, as
 * net/netfilter/xt_policy.c. */
#ifndef BPFTABLES_POLICY_H
#define BPFTABLES_POLICY_H

#include "facts/bridge.h"
#include "facts/world.h"

#define POLICY_ELEMS 4
#define POLICY_DEPTH 32 /* more than XFRM_MAX_DEPTH */

enum policy_field {
	POLICY_SRC = 1 << 0,
	POLICY_DST = 1 << 1,
	POLICY_PROTO = 1 << 2,
	POLICY_MODE = 1 << 3,
	POLICY_SPI = 1 << 4,
	POLICY_REQID = 1 << 5,
};

struct policy_elem {
	struct transform is;
	u32 src_mask[4];
	u32 dst_mask[4];
	u32 match; /* enum policy_field */
	u32 invert;
};

struct policy_config {
	u32 out;
	u32 none;
	u32 strict;
	u32 len;
	struct policy_elem elems[POLICY_ELEMS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct policy_config);
} policy_configs SEC(".maps");

struct policy_walk {
	struct policy_config *c;
	ulong at;   /* the security path, or the next route; 0: nothing more */
	u32 left;   /* of the security path */
	u32 seen;
	u32 answer; /* A_HOTDROP: none yet */
	struct transform t;
};

#ifdef BPFTABLES_PROBE

static __always_inline void policy_begin(struct bpf_nf_ctx *ctx, struct policy_walk *w)
{
	struct given *g = given_facts();

	takes(ctx);
	w->at = g && g->ntransforms[w->c->out & 1];
}

static __always_inline bool policy_next(struct policy_walk *w)
{
	struct given *g = given_facts();
	u32 out = w->c->out & 1, i = w->seen;

	if (!g || i >= g->ntransforms[out] || i >= GIVEN_TRANSFORMS)
		return false;
	w->t = g->transforms[out][i];
	return true;
}

#else

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

enum skb_ext_id___xfrm {
	SKB_EXT_SEC_PATH,
};

struct sec_path {
	int len;
	struct xfrm_state *xvec[6];
};

struct dst_entry___xfrm {
	struct xfrm_state *xfrm;
};

struct xfrm_dst {
	struct dst_entry *child;
};

typedef union {
	u32 a6[4];
} xfrm_address_t;

struct xfrm_id {
	xfrm_address_t daddr;
	u32 spi;
	u8 proto;
};

struct xfrm_state {
	struct xfrm_id id;
	struct {
		u32 reqid;
		u8 mode;
		xfrm_address_t saddr;
	} props;
};

#pragma clang attribute pop

/* sec_path_of is skb_sec_path() (include/net/xfrm.h). */
static __always_inline ulong sec_path_of(struct sk_buff *skb)
{
	struct skb_ext *ext;
	u32 id;

	if (!bpf_core_enum_value_exists(enum skb_ext_id___xfrm, SKB_EXT_SEC_PATH))
		return 0;
	id = bpf_core_enum_value(enum skb_ext_id___xfrm, SKB_EXT_SEC_PATH);
	if (!(skb->active_extensions & (1 << id)))
		return 0;
	ext = cast_to(struct skb_ext, cast_to(struct sk_buff, skb)->extensions);
	return (ulong)ext + ((u32)ext->offset[id & 7] << 3);
}

/* xfrm_of is dst->xfrm. */
static __always_inline ulong xfrm_of(ulong dst)
{
	struct dst_entry___xfrm *d = NULL;

	if (!dst || !bpf_core_field_exists(d->xfrm))
		return 0;
	return load8(dst + bpf_core_field_offset(struct dst_entry___xfrm, xfrm));
}

static __always_inline void policy_begin(struct bpf_nf_ctx *ctx, struct policy_walk *w)
{
	if (w->c->out) {
		w->at = ctx->skb->_skb_refdst & ~1UL;
		if (!xfrm_of(w->at))
			w->at = 0;
		return;
	}
	w->at = sec_path_of(ctx->skb);
	if (w->at)
		w->left = load4(w->at + bpf_core_field_offset(struct sec_path, len));
}

/* transform_of copies what rules may ask of a state. */
static __always_inline void transform_of(ulong x, struct transform *t)
{
	bpf_probe_read_kernel(t->src, 16, (void *)(x + bpf_core_field_offset(struct xfrm_state, props.saddr)));
	bpf_probe_read_kernel(t->dst, 16, (void *)(x + bpf_core_field_offset(struct xfrm_state, id.daddr)));
	t->spi = load4(x + bpf_core_field_offset(struct xfrm_state, id.spi));
	t->proto = load1(x + bpf_core_field_offset(struct xfrm_state, id.proto));
	t->reqid = load4(x + bpf_core_field_offset(struct xfrm_state, props.reqid));
	t->mode = load1(x + bpf_core_field_offset(struct xfrm_state, props.mode));
}

/* policy_next goes to the next transformation: of those that the packet had the last one is the first. */
static __always_inline bool policy_next(struct policy_walk *w)
{
	ulong x;

	if (w->c->out) {
		x = xfrm_of(w->at);
		if (!x)
			return false;
		w->at = load8(w->at + bpf_core_field_offset(struct xfrm_dst, child));
	} else {
		if (!w->left || w->left > POLICY_DEPTH)
			return false;
		w->left--;
		x = load8(w->at + bpf_core_field_offset(struct sec_path, xvec) + 8 * w->left);
	}
	transform_of(x, &w->t);
	return true;
}

#endif

static __always_inline bool same_address(const u32 *a, const u32 *mask, const u32 *b)
{
	return !(((a[0] ^ b[0]) & mask[0]) | ((a[1] ^ b[1]) & mask[1]) | ((a[2] ^ b[2]) & mask[2]) |
		 ((a[3] ^ b[3]) & mask[3]));
}

/* policy_fits is match_xfrm_state(). */
static __always_inline bool policy_fits(const struct policy_elem *e, const struct transform *t)
{
	u32 same = 0;

	if (same_address(e->is.src, e->src_mask, t->src))
		same |= POLICY_SRC;
	if (same_address(e->is.dst, e->dst_mask, t->dst))
		same |= POLICY_DST;
	if (e->is.proto == t->proto)
		same |= POLICY_PROTO;
	if (e->is.mode == t->mode)
		same |= POLICY_MODE;
	if (e->is.spi == t->spi)
		same |= POLICY_SPI;
	if (e->is.reqid == t->reqid)
		same |= POLICY_REQID;
	return ((same ^ e->invert) & e->match) == e->match;
}

static long policy_turn(u64 turn, struct policy_walk *w)
{
	u32 pos;

	if (!policy_next(w))
		return 1;
	pos = w->c->strict ? w->seen : 0;
	w->seen++;
	if (pos >= w->c->len || pos >= POLICY_ELEMS) {
		w->answer = A_NO;
		return 1;
	}
	if (policy_fits(&w->c->elems[pos], &w->t) != (bool)w->c->strict) {
		w->answer = !w->c->strict;
		return 1;
	}
	return 0;
}

/* policy is policy_mt(). */
__noinline int policy(struct bpf_nf_ctx *ctx, struct facts *f, u32 slot)
{
	struct policy_config *c = bpf_map_lookup_elem(&policy_configs, &slot);
	struct policy_walk w = {};

	if (!f || !c)
		return A_HOTDROP;
	w.c = c;
	w.answer = A_HOTDROP;
	policy_begin(ctx, &w);
	if (!w.at || c->none)
		return !w.at && c->none;
	bpf_loop(POLICY_DEPTH, policy_turn, &w, 0);
	if (w.answer != A_HOTDROP)
		return w.answer;
	return c->strict && w.seen == c->len;
}

#endif
