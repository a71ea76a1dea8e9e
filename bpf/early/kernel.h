/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The kernel's types that the early stage reads, as facts/kernel.h: the device, and what the
 * namespace says about routing, conntrack and its netfilter hooks. */
#ifndef BPFTABLES_EARLY_KERNEL_H
#define BPFTABLES_EARLY_KERNEL_H

#include "facts/kernel.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	int counter;
} atomic_t;

struct vlan_info;

enum nf_hook_ops_type {
	NF_HOOK_OP_UNDEFINED,
};

struct nf_hook_ops {
	void *hook;
	void *priv;
	enum nf_hook_ops_type hook_ops_type : 8;
	int priority;
};

struct nf_hook_entry {
	void *hook;
	void *priv;
};

/* What nf_nat_core.c registers for all its chains. */
struct nf_nat_lookup_hook_priv {
	void *entries;
};

struct xt_table {
	void *private;
};

struct nf_hook_entries {
	u16 num_hook_entries;
	struct nf_hook_entry hooks[0];
};

struct netns_nf {
	struct nf_hook_entries *hooks_ipv4[5];
	struct nf_hook_entries *hooks_ipv6[5];
};

struct nf_tcp_net {
	u8 tcp_loose;
};

struct nf_ip_net {
	struct nf_tcp_net tcp;
};

struct netns_ct {
	struct nf_ip_net nf_ct_proto;
};

struct ipv4_devconf {
	int data[33];
};

struct in_device {
	struct ipv4_devconf cnf;
};

struct ipv6_devconf {
	s32 disable_ipv6;
};

struct inet6_dev {
	struct ipv6_devconf cnf;
};

struct netns_ipv4___early {
	struct ipv4_devconf *devconf_all;
	atomic_t rt_genid;
};

struct netns_ipv6___early {
	atomic_t fib6_sernum;
};

struct net___early {
	struct netns_ipv4___early ipv4;
	struct netns_ipv6___early ipv6;
	struct netns_nf nf;
	struct netns_ct ct;
};

struct net_device___early {
	unsigned long long priv_flags : 32;
	unsigned short type;
	void *rx_handler;
	unsigned char *dev_addr;
	struct vlan_info *vlan_info;
	struct in_device *ip_ptr;
	struct inet6_dev *ip6_ptr;
	char name[16];
	struct {
		struct net___early *net;
	} nd_net;
};

struct nsproxy {
	struct net___early *net_ns;
};

struct task_struct {
	struct nsproxy *nsproxy;
};

struct xdp_rxq_info {
	struct net_device___early *dev;
};

struct xdp_buff {
	struct xdp_rxq_info *rxq;
};

struct sk_buff___early {
	struct net_device___early *dev;
	u8 ip_summed : 2;
};

struct nf_conn {
	u32 timeout;
};

struct bpf_ct_opts {
	s32 netns_id;
	s32 error;
	u8 l4proto;
	u8 dir;
	u16 ct_zone_id;
	u8 ct_zone_dir;
	u8 reserved[3];
};

#pragma clang attribute pop

extern void *bpf_cast_to_kern_ctx(void *obj) __ksym;

#endif
