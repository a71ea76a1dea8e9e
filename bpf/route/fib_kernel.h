/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The kernel's types of IPv4 routing that fib.h reads, as facts/kernel.h. */
#ifndef BPFTABLES_FIB_KERNEL_H
#define BPFTABLES_FIB_KERNEL_H

#include "facts/bridge.h"
#include "facts/kernel.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct key_vector {
	u32 key;
	unsigned char pos;
	unsigned char bits;
	unsigned char slen;
	struct hlist_head leaf;
	struct key_vector *tnode[0];
};

struct tnode {
	struct key_vector *parent;
	struct key_vector kv[1];
};

struct fib_table {
	struct hlist_node tb_hlist;
	u32 tb_id;
	unsigned long *tb_data;
};

struct fib_nh_common {
	struct net_device *nhc_dev;
	u8 nhc_gw_family;
	unsigned char nhc_flags;
	union {
		struct in6_addr ipv6;
	} nhc_gw;
};

struct fib_nh {
	struct fib_nh_common nh_common;
};

struct nh_info {
	u8 reject_nh;
	struct fib_nh_common fib_nhc;
};

struct nexthop;

struct nh_grp_entry {
	struct nexthop *nh;
};

struct nh_group {
	u16 num_nh;
	struct nh_grp_entry nh_entries[0];
};

struct nexthop {
	u8 is_group;
	struct nh_info *nh_info;
	struct nh_group *nh_grp;
};

struct fib_info {
	unsigned int fib_flags;
	unsigned char fib_dead;
	int fib_nhs;
	struct nexthop *nh;
	struct fib_nh fib_nh[0];
};

struct fib_alias {
	struct hlist_node fa_list;
	struct fib_info *fa_info;
	u8 fa_dscp;
	u8 fa_type;
	u8 fa_slen;
};

struct ipv4_devconf {
	int data[33];
};

struct in_device {
	struct ipv4_devconf cnf;
};

struct net_device___ip {
	struct in_device *ip_ptr;
	possible_net_t nd_net;
};

struct fib_rules_ops;

struct netns_ipv4 {
	struct ipv4_devconf *devconf_all;
	struct fib_rules_ops *rules_ops;
	struct hlist_head *fib_table_hash;
};

struct net___ipv4 {
	struct netns_ipv4 ipv4;
};

#pragma clang attribute pop

#endif
