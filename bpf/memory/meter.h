/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* -m hashlimit, as net/netfilter/xt_hashlimit.c: a limit for each key in a table, which all rules of
 * the family share that name it. A table is a hash of the kernel; what it is like is that of the
 * rule that made it. Entries whose time has come are taken for gone where the kernel would have
 * collected them, and are removed when there is no room. */
#ifndef BPFTABLES_METER_H
#define BPFTABLES_METER_H

#include "facts/facts.h"
#include "facts/fill.h"
#include "facts/numbers.h"
#include "facts/world.h"

#define METER_CHUNK_SHIFT 4 /* XT_HASHLIMIT_BYTE_SHIFT */

/* Parts of a key (XT_HASHLIMIT_HASH_*). */
enum meter_part {
	METER_DST = 1 << 0,
	METER_DPORT = 1 << 1,
	METER_SRC = 1 << 2,
	METER_SPORT = 1 << 3,
};

/* A table of rates has, in the same places (struct dsthash_ent): the interval, and in the upper half
 * whether the last one was above the rate; what the packets of this one cost; the rate. */
struct meter_state {
	u64 credit;
	u64 cap;
	u64 cost;
	s64 burst;
};

#define METER_ENTRY 56 /* bytes of struct meter_entry */
#define METER_OVER (1ULL << 32)

struct meter_config {
	/* The rule. */
	u32 above;
	u32 in_bytes;
	u32 by_rate;
	/* The table. */
	u32 parts;
	u32 table_bytes;
	u32 table_rate;
	u32 src_mask[4]; /* as on the wire */
	u32 dst_mask[4];
	u64 expire; /* all times in jiffies */
	u64 collect;
	u64 swept;
	/* For this kernel's HZ. */
	u64 per_tick;
	u64 per_tick_bytes;
	struct meter_state first;
	u8 blank[METER_ENTRY]; /* an entry with nothing in it */
};

struct meter_key {
	u32 src[4];
	u32 dst[4];
	u16 sport, dport;
	u32 about; /* 1: no entry, it says what the table is like (bpf/maps/meter.go) */
};

struct meter_entry {
	struct bpf_spin_lock lock;
	u32 used; /* 0: it is new */
	u64 expires;
	u64 prev;
	struct meter_state s;
};

_Static_assert(sizeof(struct meter_entry) == METER_ENTRY, "");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct meter_config);
} meter_configs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, struct meter_key);
	__type(value, struct meter_entry);
} meter_table SEC(".maps");

/* The table of each slot; its inner maps are like meter_table. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} meter_tables SEC(".maps");

struct meter_walk {
	struct bpf_nf_ctx *ctx;
	u32 off;
	u8 next;
	bool broken;
};

/* meter_walk_turn is one turn of ipv6_skip_exthdr() (net/ipv6/exthdrs_core.c). */
static long meter_walk_turn(u64 turn, struct meter_walk *w)
{
	u8 h[4] = {};
	u32 size;

	if (!is_ext_header(w->next))
		return 1;
	w->broken = w->next == NEXTHDR_NONE || read_packet(w->ctx, h, w->off, 2);
	if (w->broken)
		return 1;
	size = ((u32)h[1] + 1) << 3;
	if (w->next == NEXTHDR_AUTH)
		size = ((u32)h[1] + 2) << 2;
	if (w->next == NEXTHDR_FRAGMENT) {
		w->broken = read_packet(w->ctx, h, w->off, 4);
		if (w->broken || be16_at(h + 2) & ~7)
			return 1;
		size = 8;
	}
	w->next = h[0];
	w->off += size;
	return 0;
}

/* ports_offset is proto_ports_offset() (include/linux/in.h); -1: there are none. */
static __always_inline int ports_offset(u8 proto)
{
	switch (proto) {
	case 6: /* TCP */
	case 17: /* UDP */
	case 33: /* DCCP */
	case 50: /* ESP: SPI */
	case 132: /* SCTP */
	case 136: /* UDP-Lite */
		return 0;
	case 51: /* AH: SPI */
		return 4;
	}
	return -1;
}

/* meter_ports reads what stands where ports do to f->word; false when it is not there. */
static __always_inline bool meter_ports(struct bpf_nf_ctx *ctx, struct facts *f, struct meter_walk *w)
{
	int at;

	w->ctx = ctx;
	w->off = f->thoff;
	w->next = f->proto;
	w->broken = false;
	if (family == 6) {
		w->off = 40;
		w->next = f->l3[6];
		if (is_ext_header(w->next))
			bpf_loop(8192, meter_walk_turn, w, 0);
		if (w->broken)
			return false;
	}
	f->word = 0;
	at = ports_offset(w->next);
	return at < 0 || !read_packet(ctx, &f->word, w->off + at, 4);
}

/* meter_key_of makes the key, as hashlimit_init_dst(). */
static __always_inline void meter_key_of(struct facts *f, struct meter_config *c, struct meter_key *key)
{
	u32 *src = (u32 *)(f->l3 + (family == 4 ? 12 : 8)), *dst = (u32 *)(f->l3 + (family == 4 ? 16 : 24));
	u32 i;

	__builtin_memset(key, 0, sizeof(*key));
#pragma unroll
	for (i = 0; i < 4; i++) {
		if (i && family == 4)
			break;
		key->src[i] = src[i] & c->src_mask[i];
		key->dst[i] = dst[i] & c->dst_mask[i];
	}
	if (c->parts & METER_SPORT)
		key->sport = f->word;
	if (c->parts & METER_DPORT)
		key->dport = f->word >> 16;
}

/* meter_gone says whether the kernel has collected an entry: that happens in turns. */
static __always_inline bool meter_gone(struct meter_config *c, u64 expires, u64 now)
{
	u64 turn;

	if ((s64)(now - expires) < 0)
		return false;
	turn = c->collect ? (expires + c->collect - 1) / c->collect * c->collect : expires;
	return (s64)(now - turn) >= 0;
}

static long meter_sweep_one(struct bpf_map *map, struct meter_key *key, struct meter_entry *e, struct meter_config **c)
{
	if (!key->about && e->used && meter_gone(*c, e->expires, (*c)->swept))
		bpf_map_delete_elem(map, key);
	return 0;
}

/* meter_make makes an entry, if there is room; at most once in a turn the old ones are looked for. */
static __always_inline long meter_make(void *table, struct meter_config *c, struct meter_key *key, u64 now)
{
	u64 swept;
	long err;

	err = bpf_map_update_elem(table, key, c->blank, BPF_NOEXIST);
	if (err != -7) /* E2BIG */
		return err;
	swept = *(volatile u64 *)&c->swept;
	if (now - swept < c->collect || __sync_val_compare_and_swap(&c->swept, swept, now) != swept)
		return err;
	bpf_for_each_map_elem(table, meter_sweep_one, &c, 0);
	return bpf_map_update_elem(table, key, c->blank, BPF_NOEXIST);
}

/* meter_recalc is rateinfo_recalc(). */
static __always_inline void meter_recalc(struct meter_config *c, struct meter_entry *e, u64 now)
{
	u64 delta = now - e->prev, before, interval, cap;

	if (!delta)
		return;
	if (c->table_rate) {
		interval = (u64)(u32)e->s.credit * hz;
		if (delta < interval)
			return;
		e->prev = now;
		e->s.credit = (u32)e->s.credit;
		if (e->s.cap * interval > delta * e->s.cost)
			e->s.credit |= METER_OVER;
		e->s.cap = 0;
		return;
	}
	e->prev = now;
	if (c->table_bytes) {
		before = e->s.credit;
		e->s.credit += c->per_tick_bytes * delta;
		cap = c->per_tick_bytes * hz;
		if (before >= e->s.credit) { /* it wrapped */
			e->s.credit = cap;
			return;
		}
	} else {
		e->s.credit += delta * c->per_tick;
		cap = e->s.cap;
	}
	if (e->s.credit > cap)
		e->s.credit = cap;
}

/* meter_within says whether a packet is within the limit, and takes its cost. */
static __always_inline bool meter_within(struct meter_config *c, struct meter_entry *e, u32 len)
{
	u64 cost = e->s.cost, most = c->per_tick_bytes * hz;

	if (c->by_rate) {
		e->s.cap += c->in_bytes ? len : 1;
		return e->s.credit < METER_OVER && e->s.cap <= (u64)e->s.burst;
	}
	if (c->in_bytes) { /* hashlimit_byte_cost() */
		cost = ((u64)(len >> METER_CHUNK_SHIFT) + 1) * e->s.cost;
		if (cost > most)
			cost = most;
		if (e->s.credit < cost && e->s.cap) {
			e->s.cap--;
			e->s.credit = most;
		}
		cost = (u32)cost;
	}
	if (e->s.credit < cost)
		return false;
	e->s.credit -= cost;
	return true;
}

/* meter is hashlimit_mt_common(). */
__noinline int meter(struct bpf_nf_ctx *ctx, struct facts *f, u32 slot)
{
	struct meter_config *c = bpf_map_lookup_elem(&meter_configs, &slot);
	void *table = bpf_map_lookup_elem(&meter_tables, &slot);
	union { /* not both at once: there is little room on the stack */
		struct meter_walk walk;
		struct meter_key key;
	} m;
	struct meter_entry *e;
	bool within;
	u64 now = world_jiffies();
	u32 len;

	if (!f || !c || !table)
		return A_HOTDROP;
	if (c->parts & (METER_SPORT | METER_DPORT) && !meter_ports(ctx, f, &m.walk))
		return A_HOTDROP;
	meter_key_of(f, c, &m.key);
	len = f->len;
	e = bpf_map_lookup_elem(table, &m.key);
	if (!e) {
		meter_make(table, c, &m.key, now);
		e = bpf_map_lookup_elem(table, &m.key);
		if (!e)
			return A_HOTDROP;
	}
	bpf_spin_lock(&e->lock);
	if (!e->used || meter_gone(c, e->expires, now)) {
		e->used = 1;
		e->prev = now;
		e->s = c->first;
	} else {
		meter_recalc(c, e, now);
	}
	e->expires = now + c->expire;
	within = meter_within(c, e, len);
	bpf_spin_unlock(&e->lock);
	return within != (bool)c->above;
}

#endif
