/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* IPv6 extension headers, and words at any offset of the packet. */
#ifndef BPFTABLES_EXTHDR_H
#define BPFTABLES_EXTHDR_H

#include "facts/facts.h"
#include "facts/packet.h"

/* ext_size is the size of the extension header in f->tmp by its own account. */
static __always_inline u32 ext_size(struct facts *f, u32 header)
{
	if (f->tmplen < 2)
		return 2;
	return header == NEXTHDR_AUTH ? ((u32)f->tmp[1] + 2) * 4 : ((u32)f->tmp[1] + 1) * 8;
}

/* find_ext looks for an IPv6 extension header as ipv6_find_hdr(); want is the header
 * number, plus 256 if a broken header on the way is hotdrop, plus 512 if the header found
 * must be whole, too. */
__noinline int find_ext(struct bpf_nf_ctx *ctx, struct facts *f, u32 want)
{
	struct walk w;
	u32 n, there;

	if (!f)
		return A_NO;
	__builtin_memset(f->tmp, 0, EXT_MAX);
	f->tmplen = 0;
	walk_ipv6(ctx, f, &w, want & 255);
	if (w.result == WALK_BROKEN)
		return want & 256 ? A_HOTDROP : A_NO;
	if (w.result < 0)
		return A_NO;
	there = f->len > w.off ? f->len - w.off : 0;
	n = there < EXT_MAX ? there : EXT_MAX;
	f->tmplen = n;
	if (n)
		read_packet(ctx, f->tmp, w.off, n);
	if (want & 512 && there < ext_size(f, want & 255))
		return want & 256 ? A_HOTDROP : A_NO;
	return A_YES;
}

/* load_be32 is the word at an offset from the IP header, -1 when it is not all
 * there (net/netfilter/xt_u32.c). */
__noinline s64 load_be32(struct bpf_nf_ctx *ctx, struct facts *f, u32 off)
{
	u8 word[4];

	if (!f || f->len < 4 || off > f->len - 4 || read_packet(ctx, word, off, 4))
		return -1;
	return be32_at(word);
}

#endif
