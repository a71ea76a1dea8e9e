/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The kernel's types of IPv6 routing that fib6.h and those that include it read, as facts/kernel.h. IPv6
 * may be a module, to whose types cast_to() cannot cast: members are read by their offset. */
#ifndef BPFTABLES_FIB6_KERNEL_H
#define BPFTABLES_FIB6_KERNEL_H

#include "facts/bridge.h"
#include "facts/kernel.h"
#include "route/fib_kernel.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct list_head {
	struct list_head *next, *prev;
};

struct rt6key {
	struct in6_addr addr;
	int plen;
};

struct fib6_info;

struct fib6_node {
	struct fib6_node *parent, *left, *right, *subtree;
	struct fib6_info *leaf;
	u16 fn_bit, fn_flags;
	struct fib6_info *rr_ptr;
};

struct fib6_table {
	struct hlist_node tb6_hlist;
	u32 tb6_id;
	struct fib6_node tb6_root;
};

struct rt6_exception_bucket {
	struct hlist_head chain;
	int depth;
};

struct fib6_nh {
	unsigned long last_probe;
	void *rt6i_pcpu;
	struct rt6_exception_bucket *rt6i_exception_bucket;
};

struct fib6_info {
	struct fib6_info *fib6_next;
	struct list_head fib6_siblings;
	unsigned int fib6_nsiblings;
	unsigned long expires;
	struct rt6key fib6_dst;
	u32 fib6_flags;
	struct rt6key fib6_src;
	u32 fib6_metric;
	u8 fib6_type;
	struct nexthop *nh;
	struct fib6_nh fib6_nh[0];
};

struct rt6_info {
	struct dst_entry dst;
	struct fib6_info *from;
	int sernum;
	struct rt6key rt6i_dst;
	struct inet6_dev *rt6i_idev;
	u32 rt6i_flags;
};

struct rt6_exception {
	struct hlist_node hlist;
	struct rt6_info *rt6i;
};

/* Neighbours: a kernel before 6.13 chains them by a pointer. */
struct neighbour___old {
	struct neighbour___old *next;
};

struct neighbour {
	struct hlist_node hash;
	u8 nud_state;
	struct net_device *dev;
	u8 primary_key[0];
};

struct neigh_hash_table___old {
	struct neighbour___old **hash_buckets;
};

struct neigh_hash_table {
	struct hlist_head *hash_heads;
	unsigned int hash_shift;
	u32 hash_rnd[4];
};

struct neigh_table {
	struct neigh_hash_table *nht;
};

struct neigh_parms {
	struct neigh_table *tbl;
};

struct ipv6_devconf {
	s32 forwarding;
	s32 ignore_routes_with_linkdown;
};

struct inet6_dev {
	struct net_device *dev;
	struct list_head addr_list;
	struct neigh_parms *nd_parms;
	struct ipv6_devconf cnf;
};

struct net_device___ip6 {
	struct inet6_dev *ip6_ptr;
};

struct inet6_ifaddr {
	struct in6_addr addr;
	u32 flags;
	u16 scope;
	struct inet6_dev *idev;
	struct hlist_node addr_lst;
	struct list_head if_list;
};

struct fib_rule_port_range {
	u16 start;
};

struct fib_kuid_range {
	kuid_t start;
};

struct fib_rule {
	struct list_head list;
	int iifindex, oifindex;
	u32 mark, mark_mask, flags, table;
	u8 action, l3mdev, ip_proto;
	u64 tun_id;
	struct fib_rule *ctarget;
	int suppress_ifgroup, suppress_prefixlen;
	struct fib_kuid_range uid_range;
	struct fib_rule_port_range sport_range, dport_range;
	u8 iif_is_l3_master, oif_is_l3_master;
};

struct fib6_rule {
	struct fib_rule common;
	struct rt6key src, dst;
	u32 flowlabel, flowlabel_mask;
	u8 dscp, dscp_mask;
};

struct fib_rules_ops___6 {
	struct list_head rules_list;
};

typedef struct {
	int counter;
} atomic_t___6;

struct netns_ipv6 {
	struct ipv6_devconf *devconf_all;
	struct fib6_info *fib6_null_entry;
	struct hlist_head *fib_table_hash;
	struct fib6_table *fib6_main_tbl, *fib6_local_tbl;
	bool fib6_has_custom_rules;
	struct fib_rules_ops___6 *fib6_rules_ops;
	atomic_t___6 fib6_sernum;
	struct hlist_head *inet6_addr_lst;
};

struct net___ipv6 {
	struct netns_ipv6 ipv6;
};

struct bpf_array___percpu {
	void *pptrs[0];
};

#pragma clang attribute pop

/* get reads a member of an object that lies at an address; as a number. */
#define get(at, type, member) get_at((at) + bpf_core_field_offset(type, member), sizeof(((type *)0)->member))
#define get_at(at, size)                                                        \
	((size) == 8 ? load8(at) : (size) == 4 ? load4(at) : (size) == 2 ? load2(at) : load1(at))

/* inside is the address of a member. */
#define inside(at, type, member) ((at) + bpf_core_field_offset(type, member))

#endif
