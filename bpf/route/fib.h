/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Lookups in the routing table "local", which without policy rules is one trie with
 * the main table. There is no helper for it in this program type: fib_table_lookup()
 * (net/ipv4/fib_trie.c) is followed step by step on the kernel's own trie. Hooks run
 * under rcu_read_lock(), which is all that the kernel asks of a reader. */
#ifndef BPFTABLES_FIB_H
#define BPFTABLES_FIB_H

#include "facts/bridge.h"
#include "route/fib_kernel.h"
#include "facts/kernel.h"
#include "facts/loop.h"

/* Numbers of RTN_* (include/uapi/linux/rtnetlink.h). */
enum {
	RTN_UNSPEC,
	RTN_UNICAST,
	RTN_LOCAL,
	RTN_BROADCAST,
	RTN_ANYCAST,
	RTN_MULTICAST,
	RTN_BLACKHOLE, /* this one and those after it are errors (fib_props) */
	RTN_UNREACHABLE,
	RTN_PROHIBIT,
	RTN_THROW, /* as if the table had no route */
};

#define RT_TABLE_LOCAL 255
#define RTNH_F_DEAD 1
#define RTNH_F_LINKDOWN 16
#define IGNORE_ROUTES_WITH_LINKDOWN 28 /* its index in ipv4_devconf.data */
#define KEYLENGTH 32

enum fib_phase {
	FIB_DESCEND,   /* to the longest prefix match */
	FIB_CHOP,      /* leaves below a shorter prefix */
	FIB_BACKTRACE, /* to a shorter prefix */
	FIB_LEAF,      /* the routes of a leaf */
	FIB_PATH,      /* the next hops of a route */
};

/* One lookup; addresses of kernel objects are plain numbers. */
struct fib_walk {
	ulong n, pn, fa;
	ulong info; /* of the route found */
	ulong route, nh, group; /* whose next hops are looked at */
	u32 path, paths;
	u64 cindex;
	u32 key;
	u32 leaf_key;
	/* Lookups lie on the stack, where there is little room. */
	u8 phase;
	u8 type;       /* of the route found */
	u8 tos;	       /* of the packet, those bits that routes have */
	bool any_link; /* next hops count whose link is down (FIB_LOOKUP_IGNORE_LINKSTATE) */
	bool missed;   /* the table has no route */
	u8 slen;       /* of the route found: bits that are no prefix */
};

/* pointer_at reads a pointer that lies at an address; as a number, with which the
 * verifier allows to count. */
static __always_inline ulong pointer_at(ulong at)
{
	ulong p = 0;

	bpf_probe_read_kernel(&p, sizeof(p), (void *)at);
	return p;
}

static __always_inline ulong fib_child(ulong kv, u64 index)
{
	return pointer_at(kv + bpf_core_field_offset(struct key_vector, tnode) + index * sizeof(ulong));
}

static __always_inline ulong fib_parent(ulong kv)
{
	return pointer_at(kv - bpf_core_field_offset(struct tnode, kv) + bpf_core_field_offset(struct tnode, parent));
}

/* fib_ignores is ip_ignore_linkdown(). */
static __always_inline bool fib_ignores(ulong dev)
{
	struct net_device___ip *d;
	ulong in_dev, net, all;

	if (!dev)
		return false;
	d = (struct net_device___ip *)cast_to(struct net_device, dev);
	in_dev = (ulong)d->ip_ptr;
	if (!in_dev)
		return false;
	if (cast_to(struct in_device, in_dev)->cnf.data[IGNORE_ROUTES_WITH_LINKDOWN])
		return true;
	net = (ulong)d->nd_net.net;
	all = (ulong)((struct net___ipv4 *)cast_to(struct net, net))->ipv4.devconf_all;
	return cast_to(struct ipv4_devconf, all)->data[IGNORE_ROUTES_WITH_LINKDOWN];
}

/* fib_good is fib_lookup_good_nhc() without an output interface. */
static __always_inline bool fib_good(ulong nhc, bool any_link)
{
	struct fib_nh_common *c = cast_to(struct fib_nh_common, nhc);

	if (c->nhc_flags & RTNH_F_DEAD)
		return false;
	return any_link || !(c->nhc_flags & RTNH_F_LINKDOWN) || !fib_ignores((ulong)c->nhc_dev);
}

static __always_inline ulong nexthop_nhc(ulong nh)
{
	return pointer_at(nh + bpf_core_field_offset(struct nexthop, nh_info)) + bpf_core_field_offset(struct nh_info, fib_nhc);
}

/* fib_group_nhc is the next hop number i of a group. */
static __always_inline ulong fib_group_nhc(ulong group, u64 i)
{
	ulong at = group + bpf_core_field_offset(struct nh_group, nh_entries);

	return nexthop_nhc(pointer_at(at + i * bpf_core_type_size(struct nh_grp_entry) +
				      bpf_core_field_offset(struct nh_grp_entry, nh)));
}

/* fib_device is the address of the device of a route's first next hop. */
__noinline u64 fib_device(u64 info)
{
	ulong nh = pointer_at(info + bpf_core_field_offset(struct fib_info, nh)), nhc;

	nhc = info + bpf_core_field_offset(struct fib_info, fib_nh);
	if (nh && cast_to(struct nexthop, nh)->is_group)
		nhc = fib_group_nhc(pointer_at(nh + bpf_core_field_offset(struct nexthop, nh_grp)), 0);
	else if (nh)
		nhc = nexthop_nhc(nh);
	return pointer_at(nhc + bpf_core_field_offset(struct fib_nh_common, nhc_dev));
}

/* fib_paths begins to look for a usable next hop of a route; true for a black hole,
 * which ends the lookup. */
static __always_inline bool fib_paths(struct fib_walk *w, ulong info)
{
	struct fib_info *fi = cast_to(struct fib_info, info);
	ulong nh = pointer_at(info + bpf_core_field_offset(struct fib_info, nh));

	w->route = info;
	w->nh = nh;
	w->group = 0;
	w->path = 0;
	w->paths = fi->fib_nhs;
	w->phase = FIB_PATH;
	if (!nh)
		return false;
	w->paths = 1;
	/* A group and a next hop share the place of their pointers. */
	if (cast_to(struct nexthop, nh)->is_group) {
		w->group = pointer_at(nh + bpf_core_field_offset(struct nexthop, nh_grp));
		w->paths = cast_to(struct nh_group, w->group)->num_nh;
		return false;
	}
	nh = pointer_at(nh + bpf_core_field_offset(struct nexthop, nh_info));
	return cast_to(struct nh_info, nh)->reject_nh != 0;
}

/* fib_route looks at one route of a leaf; true ends the lookup. */
static __always_inline bool fib_route(struct fib_walk *w)
{
	struct fib_alias *fa = cast_to(struct fib_alias, w->fa);
	ulong info = pointer_at(w->fa + bpf_core_field_offset(struct fib_alias, fa_info));
	struct fib_info *fi;

	w->fa = pointer_at(w->fa);
	if ((u64)(w->key ^ w->leaf_key) >= 1ULL << (fa->fa_slen & 63))
		return false;
	if (fa->fa_dscp && fa->fa_dscp != w->tos)
		return false;
	fi = cast_to(struct fib_info, info);
	if (fi->fib_dead)
		return false;
	if (fa->fa_type >= RTN_BLACKHOLE) {
		w->missed = fa->fa_type == RTN_THROW;
		return true;
	}
	if (fi->fib_flags & RTNH_F_DEAD)
		return false;
	w->type = fa->fa_type;
	w->slen = fa->fa_slen;
	return fib_paths(w, info);
}

/* fib_path_nhc is the next hop whose turn it is. */
static __always_inline ulong fib_path_nhc(struct fib_walk *w)
{
	if (w->group)
		return fib_group_nhc(w->group, w->path);
	if (w->nh)
		return nexthop_nhc(w->nh);
	return w->route + bpf_core_field_offset(struct fib_info, fib_nh) + (u64)w->path * bpf_core_type_size(struct fib_nh);
}

/* fib_path looks at one next hop, as the end of fib_table_lookup() and
 * nexthop_get_nhc_lookup() do; true when it is usable, which ends the lookup. */
static __always_inline bool fib_path(struct fib_walk *w)
{
	ulong nhc;

	if (w->path >= w->paths) {
		w->phase = FIB_LEAF;
		if (w->nh)
			w->fa = 0; /* then the whole leaf is a miss */
		return false;
	}
	nhc = fib_path_nhc(w);
	w->path++;
	if (!fib_good(nhc, w->any_link))
		return false;
	w->info = w->route;
	return true;
}

static __always_inline void fib_enter_leaf(struct fib_walk *w, struct key_vector *n)
{
	w->leaf_key = n->key;
	w->fa = pointer_at(w->n + bpf_core_field_offset(struct key_vector, leaf));
	w->phase = FIB_LEAF;
}

static __always_inline void fib_descend(struct fib_walk *w)
{
	struct key_vector *n = cast_to(struct key_vector, w->n);
	u64 index = (u64)(w->key ^ n->key) >> (n->pos & 63);

	if (index >= 1ULL << (n->bits & 63)) {
		w->phase = FIB_CHOP;
		return;
	}
	if (!n->bits) {
		fib_enter_leaf(w, n);
		return;
	}
	if (n->slen > n->pos) {
		w->pn = w->n;
		w->cindex = index;
	}
	w->n = fib_child(w->n, index);
	if (!w->n)
		w->phase = FIB_BACKTRACE;
}

static __always_inline void fib_chop(struct fib_walk *w)
{
	struct key_vector *n = cast_to(struct key_vector, w->n);
	u32 prefix = n->key;

	if (((w->key ^ prefix) & (prefix | -prefix)) || n->slen == n->pos) {
		w->phase = FIB_BACKTRACE;
		return;
	}
	if (!n->bits) {
		fib_enter_leaf(w, n);
		return;
	}
	w->n = fib_child(w->n, 0);
	if (!w->n)
		w->phase = FIB_BACKTRACE;
}

/* fib_backtrace goes to the next shorter prefix; true when there is none. */
static __always_inline bool fib_backtrace(struct fib_walk *w)
{
	struct key_vector *pn = cast_to(struct key_vector, w->pn);
	u32 key = pn->key;

	if (!w->cindex) {
		w->missed = pn->pos >= KEYLENGTH;
		if (w->missed)
			return true;
		w->pn = fib_parent(w->pn);
		w->missed = !w->pn;
		if (w->missed)
			return true;
		pn = cast_to(struct key_vector, w->pn);
		w->cindex = (u64)(key ^ pn->key) >> (pn->pos & 63);
		return false;
	}
	w->cindex &= w->cindex - 1;
	w->n = fib_child(w->pn, w->cindex);
	if (w->n)
		w->phase = FIB_CHOP;
	return false;
}

/* fib_step does one step of a lookup; true when it has ended. */
static __always_inline bool fib_step(struct fib_walk *w)
{
	switch (w->phase) {
	case FIB_DESCEND:
		fib_descend(w);
		return 0;
	case FIB_CHOP:
		fib_chop(w);
		return 0;
	case FIB_LEAF:
		if (w->fa)
			return fib_route(w);
		w->phase = FIB_BACKTRACE;
		return 0;
	case FIB_PATH:
		return fib_path(w);
	}
	return fib_backtrace(w);
}

static long fib_turn(u64 turn, struct fib_walk *w)
{
	return fib_step(w);
}

/* fib_one is fib_step() as a function of its own: what a lookup knows is then nothing that the
 * verifier tells turns apart by. */
__noinline int fib_one(struct fib_walk *w)
{
	return !w || fib_step(w);
}

/* fib_find looks a key up from a first node on. */
static __always_inline void fib_find(struct fib_walk *w)
{
	if (!loops) {
		bpf_loop(65536, fib_turn, w, 0);
		return;
	}
	for (;;) {
		may_break;
		if (fib_one(w))
			return;
	}
}

struct table_walk {
	ulong node;
	ulong table;
};

static long table_turn(u64 turn, struct table_walk *w)
{
	ulong table;

	if (!w->node)
		return 1;
	table = w->node - bpf_core_field_offset(struct fib_table, tb_hlist);
	if (cast_to(struct fib_table, table)->tb_id == RT_TABLE_LOCAL) {
		w->table = table;
		return 1;
	}
	w->node = pointer_at(w->node);
	return 0;
}

/* local_table gives the address of the table "local". */
static __always_inline ulong local_table(struct bpf_nf_ctx *ctx)
{
	ulong at = pointer_at((ulong)ctx->state + bpf_core_field_offset(struct nf_hook_state, net));
	struct net___ipv4 *net = (struct net___ipv4 *)cast_to(struct net, at);
	ulong head = (ulong)net->ipv4.fib_table_hash;
	struct table_walk w = {};
	/* 256 buckets with policy routing, 2 without (include/net/ip_fib.h). */
	u32 bucket = bpf_core_field_exists(struct netns_ipv4, rules_ops) ? RT_TABLE_LOCAL : 1;

	if (!head)
		return 0;
	w.node = pointer_at(head + bucket * sizeof(ulong));
	bpf_loop(65536, table_turn, &w, 0);
	return w.table;
}

#endif
