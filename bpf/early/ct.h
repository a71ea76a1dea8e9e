/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The conntrack state that a packet will have, where that can be known before conntrack
 * has seen it: no entry, no expectation, and what the trackers of TCP and UDP say about
 * the first packet of a connection (net/netfilter/nf_conntrack_proto_{tcp,udp}.c). */
#ifndef BPFTABLES_EARLY_CT_H
#define BPFTABLES_EARLY_CT_H

#include "early/early.h"

#define TH_FIN 0x01
#define TH_SYN 0x02
#define TH_RST 0x04
#define TH_ACK 0x10
#define TH_URG 0x20
#define TH_MASK 0x37 /* without PSH, ECE, CWR, as tcp_error() */

/* tcp_valid is tcp_valid_flags. */
static __always_inline bool tcp_valid(u32 flags)
{
	switch (flags) {
	case TH_SYN:
	case TH_SYN | TH_URG:
	case TH_SYN | TH_ACK:
	case TH_RST:
	case TH_RST | TH_ACK:
	case TH_FIN | TH_ACK:
	case TH_FIN | TH_ACK | TH_URG:
	case TH_ACK:
	case TH_ACK | TH_URG:
		return true;
	}
	return false;
}

/* tcp_first says whether a packet can begin a connection: tcp_new() lets SYN and, if
 * nf_conntrack_tcp_loose is set, ACK. */
static __always_inline bool tcp_first(struct net___early *net, u32 flags)
{
	if ((flags & ~TH_URG) == TH_SYN)
		return true;
	return (flags & ~TH_URG) == TH_ACK && net->ct.nf_ct_proto.tcp.tcp_loose;
}

/* ct_entry says whether conntrack has an entry: 0, 1, or -1 when it cannot be asked. */
static __always_inline int ct_entry(CTX *ctx, struct facts *f)
{
	struct bpf_ct_opts opts = { .netns_id = BPF_F_CURRENT_NETNS, .l4proto = f->proto };
	struct bpf_sock_tuple tuple = {};
	struct nf_conn *ct;
	u32 size = sizeof(tuple.ipv4), known = 12;

	if (bpf_core_field_exists(opts.ct_zone_id))
		known = 16;
	if (family == 4) {
		tuple.ipv4.saddr = *(u32 *)(f->l3 + 12);
		tuple.ipv4.daddr = *(u32 *)(f->l3 + 16);
		tuple.ipv4.sport = *(u16 *)f->l4;
		tuple.ipv4.dport = *(u16 *)(f->l4 + 2);
	} else {
		__builtin_memcpy(tuple.ipv6.saddr, f->l3 + 8, 32);
		tuple.ipv6.sport = *(u16 *)f->l4;
		tuple.ipv6.dport = *(u16 *)(f->l4 + 2);
		size = sizeof(tuple.ipv6);
	}
	ct = known == 16 ? ct_lookup(ctx, &tuple, size, &opts, 16) : ct_lookup(ctx, &tuple, size, &opts, 12);
	if (ct) {
		bpf_ct_release(ct);
		return 1;
	}
	return opts.error == -2 /* ENOENT */ ? 0 : -1;
}

/* ct_find is what can be known without the checksum. */
static __always_inline u32 ct_find(CTX *ctx, struct early_packet *e)
{
	struct facts *f = &e->f;
	u32 first = CT_UNSURE, flags;

	if (value_of(early_configs)->expects)
		return CT_UNKNOWN;
	if (f->proto == IPPROTO_TCP) {
		flags = f->l4[13] & TH_MASK;
		if (!tcp_valid(flags))
			return CT_INVALID;
		if (!tcp_first(device_of(ctx)->nd_net.net, flags))
			first = CT_INVALID;
	} else if (f->proto == IPPROTO_UDP) {
		if (!*(u16 *)(f->l4 + 6)) /* sent without a checksum */
			first = CT_NEW;
	} else {
		return CT_UNKNOWN; /* the kfunc knows only the two */
	}
	return ct_entry(ctx, f) ? CT_UNKNOWN : first;
}

/* Bytes of transport header and data that are added up in place. */
#define SUM_NEAR 64

/* ADD adds the next bytes of a packet; the barrier keeps the compiler from computing with
 * the end of the packet, which the verifier does not allow. */
#define ADD(type)                                                                                  \
	do {                                                                                       \
		asm volatile("" : "+r"(p));                                                        \
		if (p + sizeof(type) > end)                                                        \
			return false;                                                              \
		*sum += *(type *)p;                                                                \
		p += sizeof(type);                                                                 \
	} while (0)

/* sum_near adds up a short packet; false when it is not all in the first part of the
 * frame. */
static __always_inline bool sum_near(CTX *ctx, struct early_packet *e, u64 *sum)
{
	u8 *p = (u8 *)(long)ctx->data + ETH_HLEN + (family == 4 ? 20 : 40), *end = (u8 *)(long)ctx->data_end;
	u32 n = e->l4len, i;

	for (i = 0; i < SUM_NEAR / 8 && i < n / 8; i++) {
		ADD(u32);
		ADD(u32);
	}
	if (n & 4)
		ADD(u32);
	if (n & 2)
		ADD(u16);
	if (n & 1)
		ADD(u8);
	return true;
}

/* sum_far does the same to longer packets, by a copy. */
static __always_inline bool sum_far(CTX *ctx, struct early_packet *e, u64 *sum)
{
	u32 n = e->l4len;

	if (n < 8 || n > EARLY_BYTES - 4)
		return false;
	*(u32 *)(e->bytes + (n & (EARLY_BYTES - 4))) = 0;
	if (load_bytes(ctx, ETH_HLEN + e->f.thoff, e->bytes, n))
		return false;
	*sum += (u32)bpf_csum_diff(NULL, 0, (__be32 *)e->bytes, ((n + 3) & ~3) & (EARLY_BYTES - 4), 0);
	return true;
}

/* checksum_good computes the checksum of the transport header and data. A packet that
 * comes from this machine may carry half of one only: that is not good, either. */
static __always_inline bool checksum_good(CTX *ctx, struct early_packet *e)
{
	u64 sum = 0;

	if (checksum_known(ctx))
		return true;
	if (e->l4len <= SUM_NEAR ? !sum_near(ctx, e, &sum) : !sum_far(ctx, e, &sum))
		return false;
	if (family == 4) {
		sum += *(u32 *)(e->f.l3 + 12);
		sum += *(u32 *)(e->f.l3 + 16);
	} else {
#pragma unroll
		for (int i = 0; i < 8; i++)
			sum += *(u32 *)(e->f.l3 + 8 + 4 * i);
	}
	sum += bpf_htons(e->l4len);
	sum += bpf_htons(e->f.proto);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum == 0xffff;
}

/* ct_ask asks once, for all that the rules want to know: calls are dear. */
static __always_inline void ct_ask(CTX *ctx, struct early_packet *e)
{
	bool tells = tells_invalid || chains & 1 << NAT_PREROUTING;

	if (e->ct != CT_UNASKED)
		return;
	e->ct = ct_find(ctx, e);
	if (e->ct == CT_UNSURE && tells && checksum_good(ctx, e))
		e->ct = CT_NEW;
	e->f.ctstate = e->ct == CT_INVALID ? STATE_INVALID : STATE_NEW;
	e->f.hasconn = e->ct != CT_INVALID;
}

/* early_ct makes the conntrack facts of the packet good for a question that tells the
 * states of a mask from the others. Generated code calls it when e->ct does not tell. */
__noinline enum early_verdict early_ct(CTX *ctx, struct early_packet *e, u32 mask)
{
	if (!e)
		return V_UP;
	ct_ask(ctx, e);
	if (e->ct == CT_UNKNOWN)
		return V_UP;
	if (e->ct == CT_UNSURE && !(mask & STATE_NEW) != !(mask & STATE_INVALID))
		return V_UP;
	return V_KNOWN;
}

static __always_inline bool ct_known(CTX *ctx, struct early_packet *e, u32 mask)
{
	return e->ct == CT_NEW || e->ct == CT_INVALID || early_ct(ctx, e, mask) == V_KNOWN;
}

/* early_untold says whether conntrack learns nothing from the packet: it has no entry that
 * the packet would refresh, or make one that was answered, and no expectation. */
__noinline enum early_verdict early_untold(CTX *ctx, struct early_packet *e)
{
	if (!e)
		return V_UP;
	ct_ask(ctx, e);
	return e->ct == CT_UNKNOWN ? V_UP : V_KNOWN;
}

/* early_len is asked before the packet's length is: UDP may be merged on the way up for
 * sockets that want it (UDP_GRO), and is longer then. */
__noinline enum early_verdict early_len(CTX *ctx, struct early_packet *e, u32 arg)
{
	/* Or the compiler knows the answer, and calls nothing. */
	asm volatile("" : : "r"(ctx), "r"(arg) : "memory");
	if (!e || (BEFORE_GRO && e->f.proto == IPPROTO_UDP))
		return V_UP;
	return V_KNOWN;
}

#endif
