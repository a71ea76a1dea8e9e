/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Named sets: keys of packets, with the time at which each leaves the set. A set is a hash
 * of the kernel, one for all rules of the namespace that name it; packets and commands
 * change it at once. */
#ifndef BPFTABLES_SET_H
#define BPFTABLES_SET_H

#include "facts/facts.h"
#include "facts/numbers.h"
#include "facts/world.h"

#define SET_SHORT 2 /* words in a key of a short set; a long one has SET_WORDS */
#define SET_PART_WORDS 4

enum set_op {
	SET_HAS,
	SET_ADD,
	SET_RENEW,
	SET_DELETE,
};

/* What a rule asks of a set, or does to it. */
struct set_use {
	enum set_op op;
	u32 words;		/* of the set's keys */
	u64 timeout;		/* nanoseconds; 0: for ever */
	struct {
		u32 at;		/* in struct facts */
		u32 mask;	/* of the last word: parts have less than four bytes, too */
		u32 words;	/* 0: no part */
	} part[SET_PARTS];
};

struct set_value {
	u64 expires; /* 0: never */
};

struct short_key {
	u32 word[SET_SHORT];
};

struct long_key {
	u32 word[SET_WORDS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct set_use);
} set_uses SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, struct short_key);
	__type(value, struct set_value);
} short_set SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, struct long_key);
	__type(value, struct set_value);
} long_set SEC(".maps");

/* The set of each slot: one of the two has it. Their inner maps are like short_set and
 * long_set. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} short_sets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} long_sets SEC(".maps");

/* set_key reads the key of the packet. */
static __always_inline void set_key(struct facts *f, struct set_use *u, struct long_key *key)
{
	u32 n = 0, i, k;

	for (i = 0; i < SET_PARTS; i++) {
		for (k = 0; k < SET_PART_WORDS; k++) {
			u32 at = u->part[i].at + 4 * k, word;

			if (k >= u->part[i].words || n >= SET_WORDS || at > sizeof(*f) - sizeof(u32))
				break;
			word = *(u32 *)((u8 *)f + at);
			if (k + 1 == u->part[i].words)
				word &= u->part[i].mask;
			key->word[n++] = word;
		}
	}
}

/* set_ask asks a set, or changes it. */
static __always_inline int set_ask(void *set, void *key, struct set_use *u)
{
	struct set_value *have = bpf_map_lookup_elem(set, key), fresh = {};
	u64 now = 0;
	bool in;

	if (u->op == SET_DELETE) {
		bpf_map_delete_elem(set, key);
		return A_YES;
	}
	if (u->timeout || (have && have->expires))
		now = world_nanoseconds();
	in = have && (!have->expires || (s64)(now - have->expires) < 0);
	if (u->op == SET_HAS || (in && u->op == SET_ADD))
		return in;
	if (u->timeout)
		fresh.expires = now + u->timeout;
	/* What was found may be another element by now: it is not written to. */
	return bpf_map_update_elem(set, key, &fresh, BPF_ANY) ? A_NO : A_YES;
}

/* named_set answers a question to a named set. */
__noinline int named_set(struct bpf_nf_ctx *ctx, struct facts *f, u32 slot)
{
	struct set_use *u = bpf_map_lookup_elem(&set_uses, &slot);
	struct long_key key = {};
	void *set;

	takes(ctx);
	if (!f || !u)
		return A_HOTDROP;
	set_key(f, u, &key);
	if (u->words <= SET_SHORT)
		set = bpf_map_lookup_elem(&short_sets, &slot);
	else
		set = bpf_map_lookup_elem(&long_sets, &slot);
	return set ? set_ask(set, &key, u) : A_HOTDROP;
}

#endif
