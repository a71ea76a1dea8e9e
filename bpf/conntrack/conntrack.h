/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The kernel's conntrack entry of a packet, read in place. */
#ifndef BPFTABLES_CONNTRACK_H
#define BPFTABLES_CONNTRACK_H

#include "facts/facts.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

union nf_inet_addr {
	u32 all[4];
};

union nf_conntrack_man_proto {
	u16 all;
};

struct nf_conntrack_man {
	union nf_inet_addr u3;
	union nf_conntrack_man_proto u;
	u16 l3num;
};

struct nf_conntrack_tuple {
	struct nf_conntrack_man src;
	struct {
		union nf_inet_addr u3;
		union {
			u16 all;
		} u;
		u8 protonum;
		u8 dir;
	} dst;
};

struct nf_conntrack_tuple_hash {
	struct nf_conntrack_tuple tuple;
};

struct nf_conn {
	u32 timeout;
	struct nf_conntrack_tuple_hash tuplehash[2];
	unsigned long status;
	u32 mark;
};

#pragma clang attribute pop

#define NFCT_INFOMASK 7UL
#define IP_CT_IS_REPLY 3
#define IP_CT_UNTRACKED 7

#define IPS_SRC_NAT (1 << 4)
#define IPS_DST_NAT (1 << 5)

#define STATE_INVALID (1 << 0)
#define STATE_BIT(info) (1 << ((info) % IP_CT_IS_REPLY + 1))
#define STATE_SNAT (1 << 6)
#define STATE_DNAT (1 << 7)
#define STATE_UNTRACKED (1 << 8)

/* conn_of gives the address of the entry; 0 for INVALID, UNTRACKED and not tracked
 * yet. */
static __always_inline ulong conn_of(struct sk_buff *skb)
{
	return skb->_nfct & ~NFCT_INFOMASK;
}

/* The address of a member of the entry (struct nf_conn may be in a module). */
#define conn_at(ct, member) ((ct) + bpf_core_field_offset(struct nf_conn, member))

/* fill_conntrack computes the state bits as conntrack_mt()
 * (net/netfilter/xt_conntrack.c). */
static __always_inline void fill_conntrack(struct sk_buff *skb, struct facts *f)
{
	u32 info = skb->_nfct & NFCT_INFOMASK;
	ulong ct = conn_of(skb);
	u64 status;

	f->hasconn = 0;
	f->ctmark = 0;
	if (!ct) {
		f->ctstate = info == IP_CT_UNTRACKED ? STATE_UNTRACKED : STATE_INVALID;
		return;
	}
	f->hasconn = 1;
	f->ctstate = STATE_BIT(info);
	status = load8(conn_at(ct, status));
	if (status & IPS_SRC_NAT)
		f->ctstate |= STATE_SNAT;
	if (status & IPS_DST_NAT)
		f->ctstate |= STATE_DNAT;
	if (bpf_core_field_exists(struct nf_conn, mark))
		f->ctmark = load4(conn_at(ct, mark));
}

#endif
