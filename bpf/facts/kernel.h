/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The few kernel types that the datapath reads. Members are found by name at load
 * time (CO-RE), so only names and types matter here, not order or completeness. */
#ifndef BPFTABLES_KERNEL_H
#define BPFTABLES_KERNEL_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s16 s16;
typedef __s32 s32;
typedef __s64 s64;
typedef unsigned long ulong;

/* The context of the programs. */
#ifndef CTX
#define CTX struct bpf_nf_ctx
#endif

#define bool _Bool
#define true 1
#define false 0

#ifndef NULL
#define NULL ((void *)0)
#endif

/* Private flags of interfaces (enum netdev_priv_flags, include/linux/netdevice.h). */
#define IFF_L3MDEV_MASTER (1 << 18)
#define IFF_L3MDEV_SLAVE (1 << 21)

#define IPPROTO_ICMP 1
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define IPPROTO_ICMPV6 58

#define NF_DROP 0
#define NF_ACCEPT 1

enum {
	HOOK_PREROUTING,
	HOOK_INPUT,
	HOOK_FORWARD,
	HOOK_OUTPUT,
	HOOK_POSTROUTING,
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	u32 val;
} kuid_t;

typedef struct {
	u32 val;
} kgid_t;

struct bpf_map;
struct sock;

struct group_info {
	int ngroups;
	kgid_t gid[0];
};

struct cred {
	kuid_t fsuid;
	kgid_t fsgid;
	struct group_info *group_info;
};

struct file {
	struct cred *f_cred;
};

struct socket {
	struct file *file;
};

struct net;

typedef struct {
	struct net *net;
} possible_net_t;

struct sock_common {
	unsigned short skc_family;
	volatile unsigned char skc_state;
	possible_net_t skc_net;
	struct sock *skc_listener;
};

struct kernfs_node {
	u64 id;
};

struct cgroup {
	int level;
	struct kernfs_node *kn;
	struct cgroup *ancestors[0];
};

struct sock_cgroup_data {
	struct cgroup *cgroup;
	u32 classid;
};

struct sock {
	struct sock_common __sk_common;
	struct socket *sk_socket;
	struct sock_cgroup_data sk_cgrp_data;
};

struct net_device {
	unsigned long long priv_flags : 32;
	unsigned int flags;
	unsigned short type;
	int ifindex;
	int group;
	char name[16];
	possible_net_t nd_net;
};

struct skb_ext {
	u8 offset[8];
	u8 chunks;
	char data[0];
};

struct sk_buff {
	struct net_device *dev;
	struct sock *sk;
	unsigned long _skb_refdst;
	unsigned long _nfct;
	unsigned int len;
	unsigned int data_len;
	u8 active_extensions;
	u8 pkt_type : 3;
	u8 ip_summed : 2;
	u32 mark;
	u16 network_header;
	u16 mac_header;
	unsigned char *head;
	unsigned char *data;
	struct skb_ext *extensions;
};

/* Stand for 1, 2, 4 and 8 bytes of anything. Their members have the width of the load: bytes
 * would be loaded one by one, each with a check of the address. */
struct in6_addr {
	union {
		u8 u6_addr8[16];
		u16 u6_addr16[8];
		u32 u6_addr32[4];
	} in6_u;
};

struct timespec64 {
	s64 tv_sec;
};

struct nf_bridge_info {
	int physinif;
	struct net_device *physoutdev;
};

struct nf_hook_state {
	u8 hook;
	u8 pf;
	struct net_device *in;
	struct net_device *out;
	struct sock *sk;
	struct net *net;
};

struct bpf_nf_ctx {
	const struct nf_hook_state *state;
	struct sk_buff *skb;
};

struct dst_entry {
	unsigned long expires;
	short obsolete;
	short error;
	u32 tclassid;
};

#pragma clang attribute pop

#define BPF_NO_DYNPTR_FLAGS 0

/* takes names an argument that a function has for its callers only: the compiler would leave
 * it out of calls. */
#define takes(arg) asm volatile("" : : "r"(arg))

/* call_hole calls a function that generated code replaces, or is it: the loader may put the code
 * in the place of the call. It saves a call, and costs all registers. */
#define call_hole(name, ctx, facts)                                                         \
	({                                                                                  \
		register void *r1_ asm("r1") = (ctx);                                       \
		register void *r2_ asm("r2") = (facts);                                     \
		register u64 r0_ asm("r0");                                                 \
		asm volatile("call " #name                                                  \
			     : "=r"(r0_), "+r"(r1_), "+r"(r2_)                              \
			     :                                                              \
			     : "r3", "r4", "r5", "r6", "r7", "r8", "r9", "memory");         \
		(int)r0_;                                                                   \
	})

/* value_at is where the only value of a map lies. The loader makes the instruction give the
 * address of the value, instead of the map: there is nothing to look up. value_of is the same
 * for a map that has a type of its values. */
#define value_at(map)                                                                       \
	({                                                                                  \
		void *at_;                                                                  \
		asm("%0 = " #map " ll" : "=r"(at_));                                        \
		at_;                                                                        \
	})
#define value_of(map) ((typeof((map).value))value_at(map))

extern int bpf_dynptr_from_skb(struct __sk_buff *skb, u64 flags, struct bpf_dynptr *ptr) __ksym;
extern void *bpf_dynptr_slice(const struct bpf_dynptr *ptr, u32 off, void *buffer, u32 buffer__szk) __ksym;
extern void *bpf_rdonly_cast(void *obj, u32 btf_id) __ksym;

/* cast_to gives read access to a kernel object whose address is a plain number.
 * Its members are read with exception handling: a wrong address reads as zero. */
#define cast_to(type, addr) ((type *)bpf_rdonly_cast((void *)(addr), bpf_core_type_id_kernel(type)))

/* state_of is the hook's state, for pointers in it. What is reached through a pointer that
 * the verifier trusts it looks up in lists by name, among all types of the kernel, for each
 * instruction (btf_nested_type_is_trusted(), kernel/bpf/btf.c): that takes it longer than the
 * rest of a program. */
#define state_of(ctx) cast_to(struct nf_hook_state, (ctx)->state)
/* skb_of is the packet, for the same. */
#define skb_of(ctx) cast_to(struct sk_buff, (ctx)->skb)

/* load1 to load8 read at an address that is a plain number, like cast_to: for what lies
 * in a packet, and for members of types that are in a kernel module, to which cast_to
 * cannot cast. */
static __always_inline u8 load1(ulong at)
{
	return cast_to(struct in6_addr, at)->in6_u.u6_addr8[0];
}

static __always_inline u16 load2(ulong at)
{
	return cast_to(struct in6_addr, at)->in6_u.u6_addr16[0];
}

static __always_inline u32 load4(ulong at)
{
	return cast_to(struct in6_addr, at)->in6_u.u6_addr32[0];
}

static __always_inline u64 load8(ulong at)
{
	return cast_to(struct timespec64, at)->tv_sec;
}

#endif
