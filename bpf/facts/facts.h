/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What generated rules may ask about a packet. A struct facts lies on the stack of
 * the hook program (LOCAL_OUT is preemptible: a per-CPU scratch would be overwritten
 * there) and goes down to all functions as a pointer. Numbers are in host order
 * unless they are bytes of the packet. The Go side takes the offsets from the
 * generated package bpf/abi. */
#ifndef BPFTABLES_FACTS_H
#define BPFTABLES_FACTS_H

#include "facts/kernel.h"

#define L3_MAX 40
#define L4_MAX 20
#define EXT_MAX 24
#define IFNAME 16
#define NOTES_OVERFLOW 0xffff

struct facts {
	u8 l3[L3_MAX];	  /* the IP header on the wire: 20 bytes for IPv4, 40 for IPv6 */
	u8 l4[L4_MAX];	  /* bytes from the transport header on; zero where absent */
	u16 fragoff;	  /* IPv4: units of 8 bytes, IPv6: bytes */
	u16 thoff;	  /* offset of the transport header */
	u8 proto;	  /* transport protocol */
	u8 l4state;	  /* enum l4state */
	u8 ether;	  /* 1: an Ethernet source address could be read */
	u8 begun;	  /* enum begun */
	u32 l4avail;	  /* how many there are from there on, at most 65535 */
	u32 len;	  /* skb->len */
	u32 mark;	  /* packet mark */
	u32 ctmark;	  /* conntrack mark; 0 without an entry */
	u32 ctstate;	  /* one state bit, plus SNAT and DNAT (xt_conntrack.h) */
	u8 iif[IFNAME];	  /* device names as they lie in struct net_device */
	u8 oif[IFNAME];
	u8 tmp[EXT_MAX];  /* result of get_addr, get_name and find_ext */
	u16 tmplen;	  /* find_ext: bytes that are there, at most EXT_MAX */
	u16 depth;	  /* calls of chains that have not ended */
	u32 hasconn;	  /* 1: there is a conntrack entry */
	u32 mac_hi;	  /* first 4 bytes of it */
	u16 mac_lo;	  /* last 2 bytes of it */
	u16 notes;	  /* actions noted so far, or NOTES_OVERFLOW */
	u32 rule;	  /* id of the rule that ended the traversal */
	u32 l4good;	  /* l4avail, but 0 in a fragment other than the first */
	u32 version;	  /* of classified chains, the same for all of the hook; 0: not read yet.
			     * What begins with a packet sets it */
	u32 at;		  /* run_program(): where it is; next_row(): only rows with smaller labels;
			     * generated code: key of a map */
	u32 word;	  /* the numbers of -m u32; next_row(): what it has found, 0: none */
	u32 base;
	u32 after;	  /* the search in a chain: only rows with larger labels */
	u32 last;	  /* row that was found last; 0: none */
	u32 slot;	  /* where its list begins */
	u32 root;	  /* classify(): the chain that was asked for, whose policy decides at the end */
};

enum l4state {
	L4_FOUND,  /* proto, thoff, fragoff are valid */
	L4_NONE,   /* there is none: rules with -p do not match */
	L4_BROKEN, /* a header on the way is cut: rules with -p drop the packet */
};

/* How far a lookup is when classify() is called. */
enum begun {
	BEGUN_NOT,
	BEGUN_LED,    /* the chain's lead has been asked */
	BEGUN_SEARCH, /* where it begins is set */
	BEGUN_FOUND,  /* next_row() was called */
};

/* What the chain function answers. */
enum verdict {
	V_CONTINUE,
	V_ACCEPT,
	V_DROP,
	V_HOTDROP, /* drop without crediting any rule */
};

/* Answers of match functions: no, yes, and netfilter's hotdrop. */
enum answer {
	A_NO,
	A_YES,
	A_HOTDROP,
};

/* Parts of struct facts that cost something and are filled on demand. Always there:
 * l3, len, mark, and for IPv4 proto, thoff, fragoff. */
enum need {
	NEED_L4 = 1 << 0,
	NEED_CT = 1 << 1,
	NEED_IIF = 1 << 2,
	NEED_OIF = 1 << 3,
	NEED_MAC = 1 << 4,
	NEED_WIDE = 1 << 5, /* more than 8 bytes of the transport header */
	NEED_TRACKED = 1 << 6, /* with NEED_CT: that the kernel tracks connections */
	NEED_CT_MARK = 1 << 7, /* with NEED_CT: ctmark */
	NEED_CT_NAT = 1 << 8, /* with NEED_CT: SNAT and DNAT in ctstate */
};

#endif
