/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The early stage: the rules that a received packet will meet, asked at XDP or at tcx
 * ingress with what is known there. A packet is dropped if it would be dropped later, and
 * the rules on its way are credited; every other packet goes up the stack, to the hooks
 * that judge it as if there were no early stage.
 *
 *   front (one per namespace, attached)  by family -->
 *   early (the newest generation's)      is it live? facts; chains of PREROUTING;
 *                                        for this host? chains of INPUT, else of FORWARD
 *
 * What is odd goes up: other headers than plain TCP, UDP and ICMP, fragments, options,
 * wrong lengths and checksums, addresses that are not unicast, frames for others. The
 * including file defines the context (XDP or tc). */
#ifndef BPFTABLES_EARLY_H
#define BPFTABLES_EARLY_H

#include "facts/kernel.h"
#include "facts/facts.h"
#include "netfilter/maps.h"
#include "early/kernel.h"

#define EARLY_RULES 16 /* rules passed on the way that can be credited */
#define EARLY_NEAR 8
#define EARLY_BYTES 512 /* transport header and data whose checksum is computed */

#define STATE_INVALID (1 << 0)
#define STATE_NEW (1 << 3)

#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd
#define ETH_HLEN 14
#define ARPHRD_ETHER 1
#define IFF_EBRIDGE (1 << 1)

#define be16_at(p) __builtin_bswap16(*(const u16 *)(p))

/* More than enum verdict: the packet goes up. Generated code uses the value between.
 * Functions that make facts known answer 0, or V_UP where they cannot. */
enum early_verdict {
	V_KNOWN,
	V_UP = 5,
};

/* What is known about the packet's conntrack state. */
enum early_state {
	CT_UNASKED,
	CT_NEW,	    /* no entry: it will be NEW */
	CT_UNSURE,  /* no entry: NEW, or INVALID if its checksum is wrong; if some rule tells them
		     * apart, the checksum was not good */
	CT_INVALID, /* it will be INVALID */
	CT_UNKNOWN,
};

/* A packet on its way; facts come first, where generated code expects them. */
struct early_packet {
	struct facts f;
	u32 n;			/* rules passed so far */
	u32 ids[EARLY_RULES];
	enum early_state ct;
	u32 l4len;
	u64 dropped;		/* by this CPU so far */
	u64 seen;
	u8 bytes[EARLY_BYTES];
};

/* One per CPU: the stage runs with softirqs disabled and calls nothing that would run
 * it again. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct early_packet);
} early_packets SEC(".maps");

#define EARLY_HOOKS 3 /* PREROUTING, INPUT, FORWARD */

#define EARLY_WORDS 12

/* A pointer of the kernel that is another one after a change: the rules of a table of
 * iptables, the chains of NAT. */
struct early_word {
	u64 at;
	u64 is;
};

/* What was found in the namespace when the stage was set up; what the kernel has now is
 * compared with it for every packet. */
struct early_world {
	u64 hooks[EARLY_HOOKS];	     /* addresses of the lists of hooks */
	u32 counts[EARLY_HOOKS];     /* their lengths */
	u32 routes;		     /* generation of the routes */
	struct early_word words[EARLY_WORDS];
	u32 nwords;
	u32 more; /* 1: there are more words than that */
};

struct early_config {
	struct early_world world;
	u32 on;
	u32 addrs;   /* 1: the set of local addresses is complete */
	u32 expects; /* 1: connections may be expected: without entry is not always NEW */
	u32 mtu;     /* what every interface takes */
	u32 tracks;  /* 1: conntrack is on */
	u32 few;     /* 1: near has all addresses of IPv4, and the set need not be asked */
	u32 near[EARLY_NEAR]; /* addresses; 0: none */
	u32 near_local;	      /* bits: those that are local; the others are ADDR_OTHER */
	u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct early_config);
} early_configs SEC(".maps");

struct early_address {
	u32 word[4];
};

enum early_addr {
	ADDR_FORWARD, /* not in the set */
	ADDR_LOCAL,
	ADDR_OTHER, /* broadcast, anycast */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct early_address);
	__type(value, enum early_addr);
} early_addrs SEC(".maps");

/* IPv4, IPv6. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__type(key, u32);
	__type(value, u32);
} early_families SEC(".maps");

const volatile u32 family;
const volatile u32 generation;
const volatile u32 needs;
const volatile u32 exact;  /* counters without exception */
const volatile u32 chains; /* those that there are: bits of enum early_chain */

enum early_chain {
	UNTRACKED_PREROUTING,
	TRACKED_PREROUTING,
	NAT_PREROUTING,
	FIRST_INPUT,
	SECOND_INPUT,
	THIRD_INPUT,
	FIRST_FORWARD,
	SECOND_FORWARD,
	THIRD_FORWARD,
	EARLY_CHAINS,
};

/* 1 more than the number of a chain's class, where it is classified, and what its rules ask
 * of conntrack: a mask of states for early_ct(), and ASKS_STATE. */
const volatile u32 base_classes[EARLY_CHAINS];
const volatile u32 base_states[EARLY_CHAINS];

/* Of a classified chain whose first rules are code: the label of the last one of them, and the
 * last row up to there. */
const volatile u32 lead_labels[EARLY_CHAINS], lead_rows[EARLY_CHAINS];

#define ASKS_STATE (1U << 31)

/* Chains whose first rules ask for the conntrack state: bits as in chains. */
const volatile u32 state_first;
#define INPUT_CHAINS (1 << FIRST_INPUT | 1 << SECOND_INPUT | 1 << THIRD_INPUT)
#define FORWARD_CHAINS (1 << FIRST_FORWARD | 1 << SECOND_FORWARD | 1 << THIRD_FORWARD)

/* Some rule tells NEW from INVALID. */
const volatile u32 tells_invalid;

#endif
