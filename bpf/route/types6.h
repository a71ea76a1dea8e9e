/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What routing makes of an IPv6 address: what the route that was found says of it, or a copy
 * that the kernel keeps of it, for each next hop that may be chosen. Asked for the way back to a
 * source (reverse6.h), it says whether that is the way a packet came. */
#ifndef BPFTABLES_TYPES6_H
#define BPFTABLES_TYPES6_H

#include "route/rules6.h"

/* Options of the match rpfilter (include/uapi/linux/netfilter/xt_rpfilter.h). */
#define REVERSE_LOOSE 1
#define REVERSE_VALID_MARK 2
#define REVERSE_ACCEPT_LOCAL 4

#define EAGAIN 11
#define EINVAL 22
#define DST_OBSOLETE_FORCE_CHK -1
#define EXCEPTION_BUCKETS 1024 /* FIB6_EXCEPTION_BUCKET_SIZE */

/* found6 begins with the next hops that fib6_select_path() may choose. It chooses by a secret
 * hash, so all of them have to say the same. */
static __always_inline void found6(struct route6 *w, bool back)
{
	ulong nexthop = get(w->found, struct fib6_info, nh);
	ulong dev = get(w->chosen, struct fib_nh_common, nhc_dev);
	bool given = w->oif && (back || cast_to(struct net_device, dev)->ifindex == w->oif);

	w->by = BY_CHOSEN;
	if (!given && nexthop)
		w->by = BY_GROUP;
	else if (!given && get(w->found, struct fib6_info, fib6_nsiblings))
		w->by = BY_SIBLINGS;
	w->route = w->found;
	w->path = 0;
	w->types = 0;
	w->phase = R6_PATH;
}

/* copies_of are the copies of a route that fib6_nh_get_excptn_bucket() finds. */
static __always_inline ulong copies_of(ulong hop)
{
	return get(hop, struct fib6_nh, rt6i_exception_bucket) & ~1UL;
}

/* is_shared says whether copies at a next hop may be those of another route. */
static __always_inline bool is_shared(struct route6 *w)
{
	return w->by == BY_SIBLINGS || get(w->found, struct fib6_info, nh);
}

/* is_address says whether the key at an address has the address that is looked up. */
static __always_inline bool is_address(struct route6 *w, ulong key)
{
	return bpf_be64_to_cpu(load8(key)) == w->hi && bpf_be64_to_cpu(load8(key + 8)) == w->lo;
}

/* copies_matter says whether a copy may say something else than the route. It has the whole
 * address for a prefix, which counts with suppress_prefixlength and next to anycast addresses; that of a
 * prefix itself is marked as anycast (ip6_rt_cache_alloc()). */
static __always_inline bool copies_matter(struct route6 *w, bool back)
{
	s32 len = get(w->found, struct fib6_info, fib6_dst.plen);

	if (!copies_of(w->chosen))
		return false;
	if (back && is_address(w, inside(w->found, struct fib6_info, fib6_dst)))
		return true;
	if (is_shared(w) || len == 127 || w->flags & (RTF_LOCAL | RTF_ANYCAST))
		return true;
	return by_rule(w) && (s32)get(rule_of(w), struct fib_rule, suppress_prefixlen) >= len;
}

/* is_suppressed is fib6_rule_suppress(). */
static __always_inline bool is_suppressed(ulong rule, ulong inet6, s32 len)
{
	s32 group = get(rule, struct fib_rule, suppress_ifgroup);

	if (len <= (s32)get(rule, struct fib_rule, suppress_prefixlen))
		return true;
	return group != -1 && cast_to(struct net_device, get(inet6, struct inet6_dev, dev))->group == group;
}

/* chooses_source says whether a rule is for the source that the kernel would choose. */
static __always_inline bool chooses_source(ulong rule)
{
	return get(rule, struct fib_rule, flags) & FIB_RULE_FIND_SADDR && get(rule, struct fib6_rule, src.plen);
}

#define WAY_BACK (1 << RTN_UNICAST)

/* back_says is the end of rpfilter_lookup_reverse6(). */
static __always_inline u32 back_says(struct route6 *w, u32 flags, ulong inet6)
{
	bool yes;

	if (flags & (RTF_REJECT | RTF_ANYCAST))
		yes = false;
	else if (flags & RTF_LOCAL)
		yes = w->options & REVERSE_ACCEPT_LOCAL;
	else
		yes = w->options & REVERSE_LOOSE || get(inet6, struct inet6_dev, dev) == w->in;
	return yes ? TYPES_KNOWN | WAY_BACK : TYPES_KNOWN;
}

/* says6 is what a route, or a copy of one, says of the address: the end of
 * __fib6_rule_action(), then match_lookup_rt6(). */
static __always_inline u32 says6(struct route6 *w, bool back, u32 flags, ulong dst, s16 error, ulong inet6)
{
	s32 len = get(dst, struct rt6key, plen);
	u32 types = TYPES_KNOWN;

	if (by_rule(w) && !inet6)
		return TYPES_AGAIN;
	if (by_rule(w) && !(w->src_hi | w->src_lo) && chooses_source(rule_of(w)))
		return TYPES_UNKNOWN;
	if (error == -EAGAIN)
		return TYPES_AGAIN;
	if (error)
		return back ? types : types | 1 << RTN_UNREACHABLE;
	if (by_rule(w) && is_suppressed(rule_of(w), inet6, len))
		return TYPES_AGAIN;
	if (back)
		return back_says(w, flags, inet6);
	if (flags & RTF_REJECT)
		types |= 1 << RTN_UNREACHABLE;
	if (!w->oif && flags & RTF_LOCAL)
		types |= 1 << RTN_LOCAL;
	/* ipv6_anycast_destination() */
	if (flags & RTF_ANYCAST ||
	    (len < 127 && !(flags & (RTF_GATEWAY | RTF_NONEXTHOP)) && is_address(w, dst)))
		types |= 1 << RTN_ANYCAST;
	return types & (w->asked | TYPES_KNOWN);
}

/* type_error is ip6_rt_type_to_error(). */
static __always_inline s16 type_error(u8 type)
{
	if (type == RTN_THROW)
		return -EAGAIN;
	return type >= RTN_BLACKHOLE ? -EINVAL : 0;
}

/* this_cpu_of is what a per-CPU pointer of the kernel points to here: as far from it as the
 * value of a map of ours is from the pointer of the map. What includes this has the map, counters
 * (netfilter/maps.h). */
static __always_inline ulong this_cpu_of(ulong pointer)
{
	ulong map = (ulong)cast_to(struct bpf_array___percpu, &counters);
	u32 zero = 0;
	void *value = bpf_map_lookup_elem(&counters, &zero);
	ulong at = 0;

	bpf_probe_read_kernel(&at, sizeof(at), &value);
	return pointer + at - load8(inside(map, struct bpf_array___percpu, pptrs));
}

/* copy_here is rt6_get_pcpu_route(): the copy of the first route that used a next hop. */
static __always_inline ulong copy_here(struct route6 *w)
{
	ulong rt = load8(this_cpu_of(get(w->chosen, struct fib6_nh, rt6i_pcpu)));
	u32 made;

	if (!rt)
		return 0;
	made = get(rt, struct rt6_info, sernum);
	return made && made != load4(inside(w->net, struct net___ipv6, ipv6.fib6_sernum)) ? 0 : rt;
}

/* path_end takes what one next hop says, and goes to the next one. */
static __always_inline void path_end(struct route6 *w, u32 types)
{
	if (w->types && w->types != types)
		types = TYPES_UNKNOWN;
	w->types = types;
	w->path++;
	if (w->by == BY_SIBLINGS)
		w->route = load8(inside(w->route, struct fib6_info, fib6_siblings)) -
			   bpf_core_field_offset(struct fib6_info, fib6_siblings);
	w->phase = R6_PATH;
}

static __always_inline void copy_says(struct route6 *w, bool back, ulong rt)
{
	path_end(w, says6(w, back, get(rt, struct rt6_info, rt6i_flags), inside(rt, struct rt6_info, rt6i_dst),
			  get(rt, struct rt6_info, dst.error), get(rt, struct rt6_info, rt6i_idev)));
}

/* route_says is for a route without a copy for this address. One that is not to be used, as for the way
 * back, is made anew (ip6_pol_route_lookup()). */
static __always_inline void route_says(struct route6 *w, bool back)
{
	ulong rt = !back && is_shared(w) ? copy_here(w) : 0;
	ulong dev = get(w->chosen, struct fib_nh_common, nhc_dev);
	u32 flags = w->flags;

	if (rt) {
		copy_says(w, back, rt);
		return;
	}
	if (get(w->chosen, struct fib_nh_common, nhc_gw_family))
		flags |= RTF_GATEWAY;
	path_end(w, says6(w, back, flags, inside(w->found, struct fib6_info, fib6_dst),
			  flags & RTF_REJECT ? type_error(w->type) : 0, get(dev, struct net_device___ip6, ip6_ptr)));
}

/* path6 begins with the next one of the next hops. */
static __always_inline void path6(struct route6 *w, bool back)
{
	ulong hop = w->path ? 0 : w->chosen;

	if (w->by == BY_GROUP)
		hop = hop6(w->found, w->path);
	else if (w->by == BY_SIBLINGS && (!w->path || w->route != w->found))
		hop = inside(w->route, struct fib6_info, fib6_nh);
	if (!hop) {
		if (w->types & TYPES_AGAIN)
			again6(w);
		else
			done6(w, w->types);
		return;
	}
	w->chosen = hop;
	w->chain = 0;
	w->at = 0;
	w->phase = R6_CACHED;
	if (!copies_matter(w, back))
		w->chain = EXCEPTION_BUCKETS;
}

/* is_old is rt6_check_expired(). */
static __always_inline bool is_old(ulong rt)
{
	ulong from = get(rt, struct rt6_info, from);
	u64 now = bpf_jiffies64();

	if (get(rt, struct rt6_info, rt6i_flags) & RTF_EXPIRES)
		return (s64)(get(rt, struct rt6_info, dst.expires) - now) < 0;
	if (!from)
		return false;
	if ((s16)get(rt, struct rt6_info, dst.obsolete) != DST_OBSOLETE_FORCE_CHK)
		return true;
	return get(from, struct fib6_info, fib6_flags) & RTF_EXPIRES && (s64)(get(from, struct fib6_info, expires) - now) < 0;
}

/* next_copies goes to the next chain of copies; most of them are empty. */
static __always_inline void next_copies(struct route6 *w)
{
	ulong size = bpf_core_type_size(struct rt6_exception_bucket);
	ulong at = copies_of(w->chosen) + w->chain * size, copy = 0;
	u32 i;

#pragma unroll
	for (i = 0; i < 8; i++) {
		if (w->chain + i >= EXCEPTION_BUCKETS)
			break;
		copy = load8(at);
		at += size;
		if (copy) {
			i++;
			break;
		}
	}
	w->at = copy;
	w->chain += i;
}

/* cached6 looks for a copy of the route for this address, as rt6_find_cached_rt() does: in all
 * chains, as the hash of addresses is secret. */
static __always_inline void cached6(struct route6 *w, bool back)
{
	ulong rt;

	if (!w->at && w->chain >= EXCEPTION_BUCKETS) {
		route_says(w, back);
		return;
	}
	if (!w->at) {
		next_copies(w);
		return;
	}
	rt = get(w->at - bpf_core_field_offset(struct rt6_exception, hlist), struct rt6_exception, rt6i);
	w->at = load8(w->at);
	if (!is_address(w, inside(rt, struct rt6_info, rt6i_dst)))
		return;
	if (HAVE_SUBTREES && get(w->found, struct fib6_info, fib6_src.plen))
		path_end(w, TYPES_UNKNOWN); /* there may be one for each source */
	else if (is_old(rt))
		route_says(w, back);
	else
		copy_says(w, back, rt);
}

/* step6 does the steps that all lookups have. */
static __always_inline void step6(struct route6 *w, bool back)
{
	switch (w->phase) {
	case R6_RULE:
		if (HAVE_RULES)
			rule6(w);
		break;
	case R6_TABLE: table6(w); break;
	case R6_DESCEND: descend6(w); break;
	case R6_UP: up6(w); break;
	case R6_SRC_DESCEND: source_descend6(w); break;
	case R6_SRC_UP: source_up6(w); break;
	case R6_BACK: back6(w); break;
	case R6_MISS: again6(w); break;
	case R6_FOUND: found6(w, back); break;
	case R6_PATH: path6(w, back); break;
	case R6_CACHED: cached6(w, back); break;
	}
}

static long route6_turn(u64 turn, struct route6 **lookup)
{
	struct route6 *w = *lookup;

	switch (w->phase) {
	case R6_SELECT: routes6(w); break;
	case R6_ROUTE: one_route6(w); break;
	case R6_HOP: next_hop6(w); break;
	case R6_NEIGHBOUR: neighbour6(w); break;
	default: step6(w, false);
	}
	return w->phase == R6_DONE;
}

/* tables6 begins with the first table, or rule. */
static __always_inline void tables6(struct route6 *w)
{
	ulong net = w->net;

	w->rule = 0;
	w->local = false;
	if (HAVE_RULES && get(net, struct net___ipv6, ipv6.fib6_has_custom_rules)) {
		w->rule = load8(inside(get(net, struct net___ipv6, ipv6.fib6_rules_ops), struct fib_rules_ops___6, rules_list));
		w->phase = R6_RULE;
	} else if (HAVE_RULES) {
		w->local = true;
		table6_begin(w, get(net, struct net___ipv6, ipv6.fib6_local_tbl));
	} else {
		table6_begin(w, get(net, struct net___ipv6, ipv6.fib6_main_tbl));
	}
}

/* types6 gives the types of the address of a lookup, or TYPES_UNKNOWN. */
static __always_inline u32 types6(struct route6 *w)
{
	w->src_hi = 0;
	w->src_lo = 0;
	w->mark = 0;
	w->class = 0;
	w->protocol = 0;
	tables6(w);
	bpf_loop(1 << 23, route6_turn, &w, 0);
	return w->phase == R6_DONE ? w->types : TYPES_UNKNOWN;
}

#endif
