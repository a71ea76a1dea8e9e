/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The way back of IPv6: rpfilter_lookup_reverse6() (net/ipv6/netfilter/ip6t_rpfilter.c), with
 * ip6_pol_route_lookup() and rt6_device_match() (net/ipv6/route.c), which choose among the routes of a
 * node by their interfaces instead of their neighbours. */
#ifndef BPFTABLES_REVERSE6_H
#define BPFTABLES_REVERSE6_H

#include "route/addrtype.h"

#define ADDR6_HEADS 256 /* IN6_ADDR_HSIZE */
#define IFA_HOST 0x10 /* IPV6_ADDR_LOOPBACK */
#define IFA_LINK 0x20 /* IPV6_ADDR_LINKLOCAL */

static __always_inline void take6(struct route6 *w, ulong route, ulong hop, bool blackhole)
{
	w->found = route;
	w->chosen = hop;
	w->flags = blackhole ? RTF_REJECT : get(route, struct fib6_info, fib6_flags);
	w->type = blackhole ? RTN_BLACKHOLE : get(route, struct fib6_info, fib6_type);
	w->phase = R6_FOUND;
}

static __always_inline bool is_black_route(ulong route)
{
	ulong nexthop = get(route, struct fib6_info, nh);

	return nexthop && is_blackhole(nexthop);
}

static __always_inline bool is_dead(ulong hop)
{
	return get(hop, struct fib_nh_common, nhc_flags) & RTNH_F_DEAD;
}

/* first6 takes the first route of the node, when no other one has the interface. */
static __always_inline void first6(struct route6 *w)
{
	ulong hop = hop6(w->head, 0);

	if (w->oif && w->strict)
		w->phase = R6_BACK;
	else if (is_black_route(w->head))
		take6(w, w->head, hop, true);
	else if (is_dead(hop))
		w->phase = R6_BACK;
	else
		take6(w, w->head, hop, false);
}

/* is_narrow: addresses of a link, or of the host, belong to their interface alone. */
static __always_inline bool is_narrow(u64 hi, u64 lo)
{
	return hi >> 54 == 0xfe80 >> 6 || (!hi && lo == 1);
}

/* is_of_vrf: addresses of a VRF are looked for by its interfaces alone. */
static __always_inline bool is_of_vrf(ulong dev)
{
	return in_vrf(cast_to(struct net_device, dev));
}

static __always_inline void devices6(struct route6 *w)
{
	w->route = w->head;
	w->path = 0;
	w->phase = R6_DEVICE;
}

/* select_device6 begins with the routes of a node. Where any interface will do, and the first one has
 * what it takes, the first one is found whether the source is ours or not. */
static __always_inline void select_device6(struct route6 *w)
{
	ulong leaf = get(w->node, struct fib6_node, leaf), hop;

	if (!leaf || leaf == get(w->net, struct net___ipv6, ipv6.fib6_null_entry)) {
		w->phase = R6_BACK;
		return;
	}
	w->head = leaf;
	w->owned = false;
	if (w->oif) {
		devices6(w);
		return;
	}
	hop = hop6(leaf, 0);
	if (!(w->src_hi | w->src_lo)) {
		first6(w);
	} else if (is_narrow(w->src_hi, w->src_lo)) {
		devices6(w);
	} else if (is_of_vrf(get(hop, struct fib_nh_common, nhc_dev))) {
		done6(w, TYPES_UNKNOWN);
	} else if (!is_black_route(leaf) && !is_dead(hop)) {
		take6(w, leaf, hop, false);
	} else {
		w->at = 0;
		w->chain = 0;
		w->phase = R6_OWNED;
	}
}

/* device6 looks at one next hop, as __rt6_device_match() does. */
static __always_inline void device6(struct route6 *w)
{
	ulong hop, dev, inet6;

	if (!w->route) {
		first6(w);
		return;
	}
	hop = is_black_route(w->route) ? 0 : hop6(w->route, w->path);
	if (!hop) {
		w->route = get(w->route, struct fib6_info, fib6_next);
		w->path = 0;
		return;
	}
	w->path++;
	if (is_dead(hop))
		return;
	dev = get(hop, struct fib_nh_common, nhc_dev);
	if (!w->oif && is_of_vrf(dev)) {
		done6(w, TYPES_UNKNOWN);
		return;
	}
	if (w->oif ? cast_to(struct net_device, dev)->ifindex == w->oif : w->owned) {
		take6(w, w->route, hop, false);
		return;
	}
	inet6 = w->oif ? 0 : get(dev, struct net_device___ip6, ip6_ptr);
	if (!inet6)
		return;
	w->chosen = hop;
	w->addrs = inside(inet6, struct inet6_dev, addr_list);
	w->at = load8(w->addrs);
	w->phase = R6_OWN;
}

/* own6 looks at one address of an interface. */
static __always_inline void own6(struct route6 *w)
{
	ulong a = w->at - bpf_core_field_offset(struct inet6_ifaddr, if_list);

	if (!w->at || w->at == w->addrs) {
		w->phase = R6_DEVICE;
		return;
	}
	w->at = load8(w->at);
	if (is_own6(a, w->src_hi, w->src_lo) && get(a, struct inet6_ifaddr, addr_lst.pprev))
		take6(w, w->route, w->chosen, false);
}

/* owned6 looks through all addresses of this host: ipv6_chk_addr() takes one of any interface, but of
 * another one not if it belongs to a link. */
static __always_inline void owned6(struct route6 *w)
{
	ulong heads = get(w->net, struct net___ipv6, ipv6.inet6_addr_lst), a;

	if (!w->at) {
		if (w->chain >= ADDR6_HEADS)
			first6(w);
		else
			w->at = load8(heads + w->chain++ * sizeof(ulong));
		return;
	}
	a = w->at - bpf_core_field_offset(struct inet6_ifaddr, addr_lst);
	w->at = load8(w->at);
	if (!is_own6(a, w->src_hi, w->src_lo) || get(a, struct inet6_ifaddr, scope) & (IFA_LINK | IFA_HOST))
		return;
	if (is_of_vrf(get(get(a, struct inet6_ifaddr, idev), struct inet6_dev, dev))) {
		done6(w, TYPES_UNKNOWN);
	} else {
		w->owned = true;
		devices6(w);
	}
}

static long reverse6_turn(u64 turn, struct route6 **lookup)
{
	struct route6 *w = *lookup;

	switch (w->phase) {
	case R6_SELECT: select_device6(w); break;
	case R6_DEVICE: device6(w); break;
	case R6_OWN: own6(w); break;
	case R6_OWNED: owned6(w); break;
	default: step6(w, true);
	}
	return w->phase == R6_DONE;
}

/* is_unicast6 is ipv6_addr_type() & IPV6_ADDR_UNICAST. */
static __always_inline bool is_unicast6(u64 hi, u64 lo)
{
	return hi >> 56 != 0xff && (hi || (lo && lo >> 32 != 0xffff));
}

/* is_linklocal6 is ipv6_addr_type() & IPV6_ADDR_LINKLOCAL, which groups of a link have, too. */
static __always_inline bool is_linklocal6(u64 hi)
{
	return hi >> 54 == 0xfe80 >> 6 || (hi >> 56 == 0xff && (hi >> 48 & 0xf) == 2);
}

static __always_inline void reverse6_begin(struct bpf_nf_ctx *ctx, struct facts *f, struct route6 *w, u32 options)
{
	const struct net_device *in = state_of(ctx)->in;
	u64 hi = be64_at(f->l3 + 24), lo = be64_at(f->l3 + 32);
	bool known = is_unicast6(hi, lo);

	w->src_hi = known ? hi : 0;
	w->src_lo = known ? lo : 0;
	w->net = (ulong)state_of(ctx)->net;
	w->in = (ulong)in;
	w->options = options;
	w->mark = options & REVERSE_VALID_MARK ? f->mark : 0;
	w->class = be32_at(f->l3) & 0x0fffffff;
	w->protocol = f->l3[6];
	w->strict = is_linklocal6(w->hi);
	w->oif = w->strict || !(options & REVERSE_LOOSE) ? in->ifindex : 0;
	tables6(w);
}

/* reverse6 looks the way back up, of a packet from the network. */
static __always_inline int reverse6(struct bpf_nf_ctx *ctx, struct facts *f, u32 options)
{
	u64 hi = be64_at(f->l3 + 8), lo = be64_at(f->l3 + 16);
	struct route6 *w;
	int answer;

	if (!(hi | lo))
		return A_YES; /* it cannot be answered; forwarding drops it */
	w = route6_take();
	if (!w)
		return A_HOTDROP;
	w->hi = hi;
	w->lo = lo;
	reverse6_begin(ctx, f, w, options);
	bpf_loop(1 << 23, reverse6_turn, &w, 0);
	answer = w->phase != R6_DONE || w->types & TYPES_UNKNOWN ? A_HOTDROP : (w->types & WAY_BACK) != 0;
	route6_give(w);
	return answer;
}

#endif
