/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where the rows of a chain that a packet may match are found: in lists, buckets of tuples
 * and leaves of trees.
 *
 * Every row that is found is asked completely: the structures only say which rows need
 * not be asked. They assume a packet whose transport header is whole, or
 * that is a later fragment. For others, rules answer hotdrop depending on where
 * they stand, so their rows are asked one after the other. */
#ifndef BPFTABLES_SEARCH_H
#define BPFTABLES_SEARCH_H

#include "lookup/match.h"

/* Odd multipliers of the hash, drawn anew for every generation. */
const volatile u64 hash_key0 = 1, hash_key1 = 3, hash_key2 = 5, hash_key3 = 7;

/* There are decision trees: without them they cost the verifier nothing. */
const volatile u32 class_trees;

/* What next_row() gives: the row that was found, 0 for none, and the guard that its
 * packet's broken header sets off (enum class_guard). */
#define FOUND_GUARD 24
#define FOUND_HOTDROP (1U << 31) /* the kernel's budget for loops is used up */

static __always_inline u64 name_hash(const u8 *name)
{
	const u64 *n = (const u64 *)name;

	return (n[0] * hash_key0 ^ n[1] * hash_key1) >> 32;
}

/* What the searches below carry along lies in the facts: the verifier does not follow it
 * there, or it would walk their loops once for every history. */

/* next_in_list looks for the next row of a chain whose fields match. */
static __always_inline u32 next_in_list(struct facts *f, const u32 *rows, const u32 *chain)
{
	u32 n = f->last ? f->last : chain[CHAIN_FIRST];
	const u32 *row;

	for (;;) {
		may_break;
		row = row_at(rows, n);
		if (!n || !row_differs(f, row, n))
			return n;
		n = row[ROW_ORDER];
	}
	return FOUND_HOTDROP;
}

/* may_match says that the packet has what an entry asks for. */
static __always_inline bool may_match(const struct facts *f, const u32 *entry)
{
	u32 off = entry[ENTRY_ROW] >> ENTRY_FACT & (FACT_OFFSETS - 1);

	return !other_port((const u8 *)f + off, entry[ENTRY_RANGE]);
}

/* in_entries looks for the row with the smallest label below the bound among the entries
 * of a bucket whose bytes in tags are not 0. It is a function of its own so that the
 * verifier walks its loop once; the kernel wants functions to have a result. */
__noinline int in_entries(struct facts *f, u32 off, u64 tags)
{
	const u32 *bucket = index_at(class_words(), off), *rows = row_words(), *entry, *row;
	u32 i, word;

	if (!f)
		return 0;
	for (;;) {
		may_break;
		if (!tags)
			return 0;
		i = ((tags & -tags) >> 7) * 0x0001020304050607ULL >> 56;
		tags &= tags - 1;
		entry = bucket + BUCKET_ENTRIES + (i & 7) * ENTRY_SIZE;
		if (!may_match(f, entry))
			continue;
		word = entry[ENTRY_ROW] & ROW_NUMBER;
		row = row_at(rows, word);
		if (row_differs(f, row, word) | !below(row[ROW_LABEL], f->at))
			continue;
		f->at = row[ROW_LABEL];
		f->word = word;
		f->base = 0;
	}
	return 0;
}

/* in_list looks for the row with the smallest label below the bound in the list of a
 * bucket; 0: none. */
static __always_inline u32 in_list(struct facts *f, const u32 *rows, u32 n)
{
	const u32 *row;

	for (;;) {
		may_break;
		row = row_at(rows, n);
		if (!n || row[ROW_LABEL] >= f->at)
			return 0;
		if (!row_differs(f, row, n))
			return n;
		n = row[ROW_NEXT];
	}
	return FOUND_HOTDROP;
}

/* mask_at reads a mask: tuples begin at even offsets. */
static __always_inline u64 mask_at(const u32 *tuple, u32 n)
{
	return *(const u64 *)(tuple + TUPLE_MASK + 2 * n);
}

static __always_inline u64 pair(const void *at)
{
	return ((const u32 *)at)[0] | (u64)((const u32 *)at)[1] << 32;
}

/* tuple_hash is the hash of the key under the mask of a tuple. first and transport are
 * parts of the key that are read once for all tuples. */
static __always_inline u64 tuple_hash(const struct facts *f, u64 first, u64 transport, const u32 *tuple)
{
	u32 at = family == 4 ? 1 : 4;
	u64 h = (first & mask_at(tuple, 0)) * hash_key0;

	if (family == 6) {
		h ^= (pair(f->l3 + 16) & mask_at(tuple, 1)) * hash_key1;
		h = (h ^ h >> 32) * hash_key3;
		h ^= (pair(f->l3 + 24) & mask_at(tuple, 2)) * hash_key0;
		h ^= (pair(f->l3 + 32) & mask_at(tuple, 3)) * hash_key1;
		h = (h ^ h >> 32) * hash_key3;
	}
	h ^= (transport & mask_at(tuple, at)) * hash_key2;
	if (tuple[TUPLE_WIDE]) {
		h = (h ^ h >> 32) * hash_key3;
		h ^= ((name_hash(f->iif) | name_hash(f->oif) << 32) & mask_at(tuple, at + 1)) * hash_key0;
		h ^= (f->mark & mask_at(tuple, at + 2)) * hash_key1;
	}
	return (h ^ h >> 32) * hash_key3;
}

#define EACH_BYTE 0x0101010101010101ULL
#define EACH_ENTRY 0x0000808080808080ULL

/* next_in_tuples looks for the row with the smallest label whose fields match. */
static __always_inline u32 next_in_tuples(struct facts *f, const u32 *rows, const u32 *index,
					  const u32 *chain)
{
	u32 at = chain[CHAIN_TUPLES], left = chain[CHAIN_NTUPLES], off, n;
	u64 transport = *(u32 *)f->l4 | (u64)f->proto << 32;
	u64 first = pair(f->l3 + (family == 4 ? 12 : 8)), h, tags, same;
	const u32 *tuple, *bucket;

	for (;;) {
		may_break;
		if (!left)
			return f->word;
		left--;
		tuple = index_at(index, at);
		at += family == 4 ? TUPLE_SIZE4 : TUPLE_SIZE6;
		if (tuple[TUPLE_LEAST] >= f->at || tuple[TUPLE_MOST] <= f->after)
			continue;
		h = tuple_hash(f, first, transport, tuple);
		off = tuple[TUPLE_BUCKETS] + (h >> (tuple[TUPLE_SHIFT] & 63)) * BUCKET_SIZE;
		bucket = index_at(index, off);
		tags = *(const u64 *)(bucket + BUCKET_TAGS);
		same = tags ^ BUCKET_TAG(h) * EACH_BYTE;
		same = (same - EACH_BYTE) & ~same & EACH_ENTRY;
		if (same)
			in_entries(f, off, same);
		if (!(tags >> 56))
			continue;
		n = in_list(f, rows, off == f->slot ? f->last : bucket[BUCKET_MORE]);
		if (!n)
			continue;
		if (n == FOUND_HOTDROP)
			break;
		f->at = row_at(rows, n)[ROW_LABEL];
		f->word = n;
		f->base = off;
	}
	return FOUND_HOTDROP;
}

/* decision is one of the three of a node: 1 if the packet's number is not below the limit.
 * Which way it goes cannot be foreseen: there is no branch. */
static __always_inline u32 decision(const struct facts *f, const u32 *node, u32 which)
{
	u32 off = node[NODE_FACTS] >> (8 * which) & (FACT_OFFSETS - 1);

	return 1 ^ below(__builtin_bswap32(*(const u32 *)((const u8 *)f + off)), node[NODE_LIMITS + which]);
}

/* find_leaf gives the leaf of a tree that has the rows of a packet; NULL: the kernel's
 * budget for loops is used up. */
static __always_inline const u32 *find_leaf(const struct facts *f, const u32 *index, u32 root)
{
	u32 at = root, first, lower, upper;
	const u32 *node;

	for (;;) {
		may_break;
		node = index_at(index, at);
		if (node[NODE_FACTS] == NODE_LEAF)
			return node;
		first = decision(f, node, 0);
		lower = decision(f, node, 1);
		upper = decision(f, node, 2);
		lower ^= (lower ^ upper) & -first;
		at = root + node[NODE_CHILD] + (2 * first + lower) * NODE_SIZE;
	}
	return NULL;
}

/* in_leaf looks for the row with the smallest label below the bound among those of a
 * leaf, at. Rows up to that of f->slot have been looked at. False: the budget is used up. */
static __always_inline bool in_leaf(struct facts *f, const u32 *rows, const u32 *index, u32 at, u32 left)
{
	u32 done = f->slot - at, n;
	const u32 *entry, *row;

	if (done < left * ENTRY_SIZE) {
		at += done + ENTRY_SIZE;
		left -= done / ENTRY_SIZE + 1;
	}
	for (;;) {
		may_break;
		if (!left)
			return true;
		entry = index_at(index, at);
		if (may_match(f, entry)) {
			n = entry[ENTRY_ROW] & ROW_NUMBER;
			row = row_at(rows, n);
			if (row[ROW_LABEL] >= f->at)
				return true;
			if (!row_differs(f, row, n)) {
				f->at = row[ROW_LABEL];
				f->word = n;
				f->base = at;
				return true;
			}
		}
		at += ENTRY_SIZE;
		left--;
	}
	return false;
}

/* next_in_trees goes on where next_in_tuples() has ended: with trees, whose rows may have
 * smaller labels than what was found. */
static __always_inline u32 next_in_trees(struct facts *f, const u32 *rows, const u32 *index,
					 const u32 *chain)
{
	u32 at = chain[CHAIN_TREES], left = chain[CHAIN_NTREES];
	const u32 *tree, *leaf;

	for (;;) {
		may_break;
		if (!left)
			return f->word;
		left--;
		tree = index_at(index, at);
		at += TREE_SIZE;
		if (tree[TREE_LEAST] >= f->at)
			continue;
		leaf = find_leaf(f, index, tree[TREE_ROOT]);
		if (!leaf)
			break;
		if (!in_leaf(f, rows, index, tree[TREE_ROOT] + leaf[NODE_CHILD], leaf[NODE_LIMITS]))
			break;
	}
	return FOUND_HOTDROP;
}

#endif
