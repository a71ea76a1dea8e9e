/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which packets netfilter asks chains about that translate addresses: those of a connection
 * whose source, or destination, is not settled yet (nf_nat_inet_fn(),
 * net/netfilter/nf_nat_core.c). */
#ifndef BPFTABLES_NAT_H
#define BPFTABLES_NAT_H

#include "facts/fill.h"
#include "netfilter/notes.h"

#define IP_CT_ESTABLISHED 0
#define IP_CT_ESTABLISHED_REPLY 3

/* is_established says that both sides of the packet's connection have been seen: no chain
 * is asked about it any more. */
static __always_inline bool is_established(struct sk_buff *skb)
{
	u32 info = skb->_nfct & NFCT_INFOMASK;

	return (info == IP_CT_ESTABLISHED || info == IP_CT_ESTABLISHED_REPLY) && conn_of(skb);
}

/* leaves_vrf says that the packet goes to the device of a VRF, and comes by once more with the
 * device behind it (in_vrf_postrouting()). */
static __always_inline bool leaves_vrf(struct bpf_nf_ctx *ctx)
{
	const struct net_device *out;

	if (hook_of(ctx) != HOOK_POSTROUTING)
		return false;
	out = state_of(ctx)->out;
	return out && out->priv_flags & IFF_L3MDEV_MASTER;
}

enum asked {
	ASKED_NOT,
	ASKED_FIRST, /* the chain is asked */
	ASKED_CLOSED /* nobody keeps conntrack on, so that nothing would be translated */
};

/* asked says whether the chain is asked about a packet. */
static __always_inline enum asked asked(struct bpf_nf_ctx *ctx)
{
	struct sk_buff *skb = ctx->skb;
	ulong ct = conn_of(skb);

	if (!ct) {
		if (!asks(ctx, NEED_TRACKED) || (skb->_nfct & NFCT_INFOMASK) == IP_CT_UNTRACKED)
			return ASKED_NOT;
		return conntrack_on(ctx) ? ASKED_NOT : ASKED_CLOSED;
	}
	if (load8(conn_at(ct, status)) & nat_done(ctx) || leaves_vrf(ctx))
		return ASKED_NOT;
	return ASKED_FIRST;
}

/* is_new says that the connection of a packet that the chain is asked about is its own: errors of
 * ICMP are related to the one that they tell of, and are translated as that is
 * (nf_nat_ipv4_fn(), nf_nat_ipv6_fn()). */
static __always_inline bool is_new(struct sk_buff *skb, struct facts *f)
{
	return (skb->_nfct & NFCT_INFOMASK) == IP_CT_NEW ||
	       f->proto != (family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
}

/* passes says whether a packet with a note for a chain that translates may go on without it:
 * another chain has translated it, or the note is an earlier packet's. Another chain may also
 * have settled the addresses as they are, so that netfilter did not ask ours. Then the packet has met the
 * first of our chains, which says that it was asked, and not the last, which drops
 * what still has a note. */
static __always_inline bool passes(struct sk_buff *skb, struct note_entry *note)
{
	ulong ct = conn_of(skb);

	return ct && (note->asked || is_established(skb) || load8(conn_at(ct, status)) & note->unless);
}

#endif
