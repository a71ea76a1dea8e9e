/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Classified chains: finding the rules that a packet matches without asking all of them.
 *
 * Every row is asked completely before it counts as matched: the structures only say
 * which rows need not be asked. They assume a packet whose transport header is whole, or
 * that is a later fragment. For others, rules answer hotdrop depending on their
 * place, so their rows are asked one after the other. */
#ifndef BPFTABLES_CLASSIFY_H
#define BPFTABLES_CLASSIFY_H

#ifndef CLASS_EARLY
#include "conntrack.h"
#include "count.h"
#include "notes.h"
#endif
#include "facts.h"
#include "program.h"
#include "rows.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__uint(value_size, 4 * ROW_SIZE6);
} class_rows SEC(".maps");

/* Rows, a power of two, less one. */
const volatile u32 rows_mask;

/* Odd multipliers of the hash, drawn anew for every generation. */
const volatile u64 hash_key0 = 1, hash_key1 = 3, hash_key2 = 5, hash_key3 = 7;

/* There are decision trees: without them they cost the verifier nothing. */
const volatile u32 class_trees;

/* Never read: it keeps the layout's names in the type information, from which the Go side
 * has them. */
const volatile struct {
	enum class_header header;
	enum class_chain chain;
	enum class_kind kind;
	enum class_tuple tuple;
	enum class_bucket bucket;
	enum class_entry entry;
	enum class_tree tree;
	enum class_node node;
	enum class_row row;
	enum class_action action;
	enum class_flag flag;
	enum class_note note;
	enum class_set set;
	enum class_op op;
	enum class_guard guard;
} class_layout;

/* How deep chains may call each other. */
#define CLASS_DEPTH 12

/* What next_row() gives: the row that was found, 0 for none, and the guard that its
 * packet's broken header sets off (enum class_guard). */
#define FOUND_ROW 0xffffff
#define FOUND_GUARD 24
#define FOUND_HOTDROP (1U << 31) /* the kernel's budget for loops is used up */

/* row_words is where the rows begin, see class_words(). */
static __always_inline const u32 *row_words(void)
{
	const u32 *words;

	asm("%0 = class_rows ll" : "=r"(words));
	return words;
}

static __always_inline const u32 *row_at(const u32 *rows, u32 n)
{
	return rows + (n & rows_mask) * (family == 4 ? ROW_SIZE4 : ROW_SIZE6);
}

/* header_bytes is how much of the transport header the rules of a protocol may ask for.
 * Package codegen/rows leaves to programs what asks for more. */
static __always_inline u32 header_bytes(u8 proto)
{
	switch (proto) {
	case 6:
		return 20;
	case 17:
	case 136:
	case 1:
	case 58:
		return 8;
	case 132:
	case 33:
		return 12;
	}
	return 0;
}

static __always_inline u64 name_hash(const u8 *name)
{
	const u64 *n = (const u64 *)name;

	return (n[0] * hash_key0 ^ n[1] * hash_key1) >> 32;
}

/* is_broken says that the transport header is not whole, as far as rows may ask. */
static __always_inline bool is_broken(const struct facts *f)
{
#ifdef CLASS_EARLY
	return false; /* such packets go up before rules are asked */
#endif
	if (f->l4good >= L4_MAX && f->l4state == L4_FOUND)
		return false; /* the usual packet */
	return f->l4state != L4_FOUND || (family == 4 && f->fragoff == 1) ||
	       (!f->fragoff && f->l4avail < header_bytes(f->proto));
}

/* Comparisons that give 0 or 1 without a branch: one for each field would cost more than it
 * saves, and the verifier would walk all combinations. */
static __always_inline u32 differs(u32 a, u32 b)
{
	u64 d = a ^ b;

	d = -d;
	takes(d);
	return d >> 63;
}

static __always_inline u32 below(u32 a, u32 b)
{
	u64 d = (u64)a - b;

	takes(d);
	return d >> 63;
}

static __always_inline u32 flag(u32 flags, enum class_flag which)
{
	return flags / which & 1;
}

static __always_inline u32 hidden(const u32 *row, u32 version)
{
	return below(version, row[ROW_BORN]) | !below(version, row[ROW_DEAD]);
}

static __always_inline u32 other_addresses(const u32 *row, const struct facts *f, u32 flags)
{
	u32 src = 0, dst = 0;

	if (family == 4) {
		src = (*(u32 *)(f->l3 + 12) & row[ROW_SRC + 1]) ^ row[ROW_SRC];
		dst = (*(u32 *)(f->l3 + 16) & row[ROW_SRC + 3]) ^ row[ROW_SRC + 2];
	} else {
#pragma unroll
		for (int i = 0; i < 4; i++) {
			src |= (*(u32 *)(f->l3 + 8 + 4 * i) & row[ROW_SRC + 4 + i]) ^ row[ROW_SRC + i];
			dst |= (*(u32 *)(f->l3 + 24 + 4 * i) & row[ROW_SRC + 12 + i]) ^ row[ROW_SRC + 8 + i];
		}
	}
	return (differs(src, 0) ^ flag(flags, NOT_SRC)) | (differs(dst, 0) ^ flag(flags, NOT_DST));
}

static __always_inline u32 other_proto(const u32 *row, const struct facts *f, u32 flags)
{
	u32 asked = 0 - flag(flags, HAS_PROTO) & 0xff;

	return differs((f->proto ^ row[ROW_PROTO]) & asked, 0) ^ flag(flags, NOT_PROTO);
}

static __always_inline u32 other_state(u32 states, const struct facts *f, u32 flags)
{
	u32 found = differs(f->ctstate & states, 0);

	return differs(states, 0) & (1 ^ found ^ flag(flags, NOT_STATE));
}

static __always_inline u32 other_port(const u8 *at, u32 ports)
{
	u32 lo = ports & 0xffff;

	return below((ports >> 16) - lo, be16_at(at) - lo);
}

static __always_inline u32 other_transport(const u32 *row, const struct facts *f, u32 flags)
{
	u32 tcp = row[ROW_PROTO] >> 8;
	u32 other;

	other = other_port(f->l4, row[ROW_SPORT]) ^ flag(flags, NOT_SPORT);
	other |= other_port(f->l4 + 2, row[ROW_DPORT]) ^ flag(flags, NOT_DPORT);
	return other | (differs(f->l4[13] & tcp & 0xff, tcp >> 8 & 0xff) ^ flag(flags, NOT_TCP_FLAGS));
}

/* row_matches asks the fields of a row, for a packet whose transport header is whole or that
 * is a later fragment: the fields of a row that asks for no header bytes hold for whatever
 * lies there. */
static __always_inline bool row_matches(const u32 *row, const struct facts *f)
{
	u32 flags = row[ROW_ACTION] >> 4, states = row[ROW_ACTION] >> 20;
	u32 other;

	other = !below(f->after, row[ROW_LABEL]);
	other |= hidden(row, f->version);
	other |= other_addresses(row, f, flags);
	other |= other_proto(row, f, flags);
	other |= other_state(states, f, flags);
	other |= below(f->l4good, row[ROW_PROTO] >> 24);
	other |= other_transport(row, f, flags);
	return !other;
}

/* row_matches_broken asks the same for a packet with a broken header, in the order of the
 * rule; fired is the guard that ends it: the row's program then has the rest. */
static __always_inline bool row_matches_broken(const u32 *row, const struct facts *f,
					       enum class_guard *fired)
{
	u32 flags = row[ROW_ACTION] >> 4, states = row[ROW_ACTION] >> 20;
	u32 need = row[ROW_PROTO] >> 24;

	if (!below(f->after, row[ROW_LABEL]) | hidden(row, f->version) | other_addresses(row, f, flags))
		return false;
	if (flags & NEED_TRANSPORT && f->l4state != L4_FOUND) {
		*fired = GUARD_TRANSPORT;
		return true;
	}
	if (other_proto(row, f, flags) | (flag(flags, STATE_FIRST) & other_state(states, f, flags)))
		return false;
	if (f->l4good < need) {
		*fired = GUARD_HEADER;
		return f->fragoff <= flag(flags, HOT_FRAGMENT);
	}
	return !(other_transport(row, f, flags) | other_state(states, f, flags));
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
		if (!n || row_matches(row, f))
			return n;
		n = row[ROW_ORDER];
	}
	return FOUND_HOTDROP;
}

/* may_match says that the packet has what an entry asks for. */
static __always_inline bool may_match(const struct facts *f, const u32 *entry)
{
	u32 place = entry[ENTRY_ROW] >> ENTRY_PLACE & (PLACES - 1);

	return !other_port((const u8 *)f + place, entry[ENTRY_RANGE]);
}

/* in_entries looks for the row with the smallest label below the bound among the entries
 * of a bucket whose bytes in tags are not 0. False: the budget is used up. */
static __always_inline bool in_entries(struct facts *f, const u32 *rows, const u32 *bucket, u64 tags)
{
	const u32 *entry, *row;
	u32 i;

	for (;;) {
		may_break;
		if (!tags)
			return true;
		i = ((tags & -tags) >> 7) * 0x0001020304050607ULL >> 56;
		tags &= tags - 1;
		entry = bucket + BUCKET_ENTRIES + (i & 7) * ENTRY_SIZE;
		if (!may_match(f, entry))
			continue;
		row = row_at(rows, entry[ENTRY_ROW] & ROW_NUMBER);
		if (row[ROW_LABEL] >= f->at || !row_matches(row, f))
			continue;
		f->at = row[ROW_LABEL];
		f->word = entry[ENTRY_ROW] & ROW_NUMBER;
		f->base = 0;
	}
	return false;
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
		if (row_matches(row, f))
			return n;
		n = row[ROW_NEXT];
	}
	return FOUND_HOTDROP;
}

/* mask_at reads a mask: tables begin at even offsets. */
static __always_inline u64 mask_at(const u32 *tuple, u32 n)
{
	return *(const u64 *)(tuple + TUPLE_MASK + 2 * n);
}

static __always_inline u64 pair(const void *at)
{
	return ((const u32 *)at)[0] | (u64)((const u32 *)at)[1] << 32;
}

/* tuple_hash is the hash of the key under the masks of a table. first and transport are
 * parts of the key that are read once for all tables. */
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

	f->at = ~0U;
	f->word = 0;
	for (;;) {
		may_break;
		if (!left)
			return f->word;
		left--;
		tuple = index_at(index, at);
		at += family == 4 ? TUPLE_SIZE4 : TUPLE_SIZE6;
		if (tuple[TUPLE_LEAST] >= f->at)
			continue;
		h = tuple_hash(f, first, transport, tuple);
		off = tuple[TUPLE_BUCKETS] + (h >> (tuple[TUPLE_SHIFT] & 63)) * BUCKET_SIZE;
		bucket = index_at(index, off);
		tags = *(const u64 *)(bucket + BUCKET_TAGS);
		same = tags ^ BUCKET_TAG(h) * EACH_BYTE;
		same = (same - EACH_BYTE) & ~same & EACH_ENTRY;
		if (same && !in_entries(f, rows, bucket, same))
			break;
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
	u32 place = node[NODE_PLACES] >> (8 * which) & (PLACES - 1);

	return 1 ^ below(__builtin_bswap32(*(const u32 *)((const u8 *)f + place)), node[NODE_LIMITS + which]);
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
		if (node[NODE_PLACES] == NODE_LEAF)
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
			if (row_matches(row, f)) {
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

static __always_inline const u32 *chain_at(const u32 *index, u32 chain)
{
	return index_at(index, *index_at(index, index[HDR_CHAINS] + chain));
}

/* next_broken is next_row() for packets with a broken header: all rows are asked, one after
 * the other. */
__noinline u32 next_broken(struct facts *f, u32 chain)
{
	const u32 *index = class_words(), *rows = row_words(), *row;
	enum class_guard fired;
	u32 n;

	if (!f)
		return FOUND_HOTDROP;
	n = f->last ? f->last : chain_at(index, chain)[CHAIN_FIRST];
	for (;;) {
		may_break;
		fired = GUARD_NONE;
		row = row_at(rows, n);
		if (!n || row_matches_broken(row, f, &fired))
			return n | fired << FOUND_GUARD;
		n = row[ROW_ORDER];
	}
	return FOUND_HOTDROP;
}

/* find_row looks for the next row of a chain whose fields match. */
static __always_inline u32 find_row(struct facts *f, u32 chain)
{
	const u32 *index = class_words(), *rows = row_words(), *at = chain_at(index, chain);
	u32 found;

	if (at[CHAIN_KIND] == KIND_LIST)
		return next_in_list(f, rows, at);
	found = next_in_tuples(f, rows, index, at);
	if (class_trees && found != FOUND_HOTDROP)
		found = next_in_trees(f, rows, index, at);
	f->slot = f->base;
	return found;
}

/* find_policy gives the policy of a chain that is in force; 0 in a user chain. */
static __always_inline u32 find_policy(struct facts *f, u32 chain)
{
	const u32 *index = class_words(), *rows = row_words(), *row;
	u32 n = chain_at(index, chain)[CHAIN_POLICY];

	for (;;) {
		may_break;
		row = row_at(rows, n);
		if (!n || !hidden(row, f->version))
			return n;
		n = row[ROW_ORDER];
	}
	return 0;
}

__noinline u32 policy_row(struct facts *f, u32 chain)
{
	return f ? find_policy(f, chain) : 0;
}

/* accepted credits the rule that ends a traversal: that is left to the hook, and in the
 * early stage other tables follow. */
static __always_inline void accepted(struct facts *f, u32 rule)
{
	f->rule = rule;
#ifdef CLASS_EARLY
	count_packet(f, rule);
#endif
}

/* next_row looks for the next row of a chain, f->word. If that decides, which is usual, or
 * there is none and the policy does, the verdict is the answer; otherwise it is V_CONTINUE.
 * It is a function of its own: inside the loop of classify() the verifier would walk its loops again
 * and again. */
__noinline enum verdict next_row(struct facts *f, u32 chain)
{
	const u32 *row;
	u32 n;

	if (!f)
		return V_HOTDROP;
	f->word = find_row(f, chain);
	/* Read again: the verifier need not tell apart how it was found. */
	n = *(volatile u32 *)&f->word;
	if (!n && !f->depth)
		n = find_policy(f, f->root);
	if (n == FOUND_HOTDROP)
		return V_HOTDROP;
	row = row_at(row_words(), n);
	if (!n || row[ROW_PROGRAM])
		return V_CONTINUE;
	switch (row[ROW_ACTION] & 15) {
	case DO_ACCEPT:
		accepted(f, row[ROW_ID]);
		return V_ACCEPT;
	case DO_DROP:
		f->rule = row[ROW_ID];
		return V_DROP;
	}
	return V_CONTINUE;
}

#ifndef CLASS_EARLY
/* set_mark does to the facts what a target of netfilter will do to the packet. */
static __always_inline void set_mark(struct facts *f, const u32 *set)
{
	u32 dst = set[SET_DST], src = set[SET_SRC], v;
	s32 shift = set[SET_SHIFT];
	u32 *to;

	if (dst > sizeof(*f) - 4 || (set[SET_NEED_CONN] && !f->hasconn))
		return;
	v = (fact(f, src, 4) & set[SET_AND]) ^ set[SET_XOR];
	v = shift < 0 ? v >> (-shift & 31) : v << (shift & 31);
	to = (u32 *)((u8 *)f + dst);
	*to = (*to & set[SET_KEEP]) ^ v;
}

#define NOTE_SETS_MAX 4

/* take_note does what a rule with a target of netfilter does; 1: it ends the traversal. */
__noinline int take_note(struct bpf_nf_ctx *ctx, struct facts *f, u32 at)
{
	const u32 *index = class_words(), *n;
	u32 i, sets;

	if (!f)
		return 1;
	n = index_at(index, at);
	sets = n[NOTE_NSETS];
	note(ctx, f, n[NOTE_NUMBER]);
	if (n[NOTE_TERMINAL])
		return 1;
	count_packet(f, f->rule);
#pragma unroll
	for (i = 0; i < NOTE_SETS_MAX; i++)
		if (i < sets)
			set_mark(f, n + NOTE_SETS + i * SET_SIZE);
	if (n[NOTE_UNTRACK] && !f->hasconn)
		f->ctstate = STATE_UNTRACKED;
	return 0;
}
#endif

/* start_chain makes the search begin with the first row. */
static __always_inline void start_chain(struct facts *f)
{
	f->after = 0;
	f->last = 0;
	f->slot = 0;
}

/* ask_row runs the program of a row that was found, which is f->last then; no row is yes. */
static __always_inline enum answer ask_row(CTX *ctx, struct facts *f, const u32 *rows, u32 n)
{
	u32 guard = n >> FOUND_GUARD;
	const u32 *row;

	f->last = n & FOUND_ROW;
	if (!f->last)
		return A_YES;
	row = row_at(rows, f->last);
	f->after = row[ROW_LABEL];
	if (row[ROW_PROGRAM])
		return run_program(ctx, f, row[ROW_PROGRAM], guard);
	return guard == GUARD_NONE ? A_YES : A_HOTDROP;
}

/* start makes the search begin in the class that was asked for. */
static __always_inline void start(struct facts *f, u32 chain)
{
	if (!f->version)
		f->version = class_words()[HDR_VERSION];
	start_chain(f);
	f->depth = 0;
	f->root = chain;
}

/* classify runs a classified chain and those that it calls. Its stack lies below that of a
 * generated chain and above that of what programs call: what can be read again is not
 * kept (512 bytes for all). */
__noinline enum verdict classify(CTX *ctx, struct facts *f, u32 chain)
{
	const u32 *rows = row_words(), *row;
	u32 calls[CLASS_DEPTH], n;
	enum verdict verdict;
	enum answer answer;

	if (!f)
		return V_HOTDROP;
	if (!f->begun)
		start(f, chain);
	for (;;) {
		may_break;
		if (is_broken(f)) {
			n = next_broken(f, chain);
			if (n & FOUND_HOTDROP)
				return V_HOTDROP;
		} else {
			verdict = f->begun ? V_CONTINUE : next_row(f, chain);
			if (verdict != V_CONTINUE)
				return verdict;
			n = f->word;
		}
		f->begun = 0;
		answer = ask_row(ctx, f, rows, n);
		if (answer == A_NO)
			continue;
		if (answer == A_HOTDROP)
			return V_HOTDROP;
		n = f->last;
		row = row_at(rows, n);
		switch (n ? row[ROW_ACTION] & 15 : DO_RETURN) {
		case DO_ACCEPT:
			accepted(f, row[ROW_ID]);
			return V_ACCEPT;
		case DO_DROP:
			f->rule = row[ROW_ID];
			return V_DROP;
		case DO_CONTINUE:
			count_packet(f, row[ROW_ID]);
			continue;
		case DO_RETURN:
			if (n)
				count_packet(f, row[ROW_ID]);
			if (!f->depth)
				goto end;
			n = --f->depth;
			if (n >= CLASS_DEPTH)
				return V_HOTDROP;
			n = calls[n];
			row = row_at(rows, n);
			chain = row[ROW_ARG] >> 16;
			start_chain(f);
			f->last = n;
			f->after = row[ROW_LABEL];
			continue;
		case DO_JUMP:
			if (f->depth >= CLASS_DEPTH)
				return V_HOTDROP;
			calls[f->depth] = n;
			f->depth++;
			break;
		case DO_GOTO:
			break;
#ifdef CLASS_EARLY
		case DO_UP:
			return (enum verdict)V_UP;
#else
		case DO_NOTE:
			f->rule = row[ROW_ID];
			if (take_note(ctx, f, row[ROW_ARG]))
				return V_DROP;
			continue;
#endif
		default:
			return V_HOTDROP;
		}
		count_packet(f, row[ROW_ID]);
		chain = row[ROW_ARG] & 0xffff;
		start_chain(f);
	}
	return V_HOTDROP;
end:
	n = policy_row(f, f->root);
	if (!n)
		return V_CONTINUE;
	row = row_at(rows, n);
	if ((row[ROW_ACTION] & 15) == DO_ACCEPT) {
		accepted(f, row[ROW_ID]);
		return V_ACCEPT;
	}
	f->rule = row[ROW_ID];
	return V_DROP;
}

#ifndef CLASS_EARLY
/* run_class runs the class of a base chain. Most packets are decided by the first row that is
 * found, or by the policy: for them there is one call. */
static __always_inline enum verdict run_class(struct bpf_nf_ctx *ctx, struct facts *f, u32 chain)
{
	enum verdict verdict;

	start(f, chain);
	if (!is_broken(f)) {
		verdict = next_row(f, chain);
		if (verdict != V_CONTINUE)
			return verdict;
		f->begun = 1;
	}
	return classify(ctx, f, chain);
}
#endif

#endif
