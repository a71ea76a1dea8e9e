/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Classified chains: what their rows do, one found after the other. How packets are counted
 * and what else a datapath does is defined by what includes this: netfilter/class.h,
 * early/class.h. */
#ifndef BPFTABLES_CLASSIFY_H
#define BPFTABLES_CLASSIFY_H

#include "lookup/search.h"

/* Never read: it keeps the layout's names in the type information, from which the Go side
 * has them. */
const volatile struct {
	enum class_header header;
	enum class_seat seat;
	enum class_seat_flag seat_flag;
	enum class_chain chain;
	enum class_state state;
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
	enum class_how how;
	enum class_op op;
	enum class_guard guard;
	enum class_number number;
} class_layout;

static __always_inline const u32 *chain_at(const u32 *index, u32 chain)
{
	return index_at(index, HDR_SIZE + chain * CHAIN_SIZE);
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
	f->at = ~0U;
	f->word = found = 0;
	if (at[CHAIN_NTUPLES])
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

	f->last = n & ROW_NUMBER;
	if (!f->last)
		return A_YES;
	row = row_at(rows, f->last);
	f->after = row[ROW_LABEL];
	if (row[ROW_PROGRAM])
		return run_program(ctx, f, row[ROW_PROGRAM], guard);
	return guard == GUARD_NONE ? A_YES : A_HOTDROP;
}

/* version_of gives the version of the rules that the packet meets on its whole way. */
static __always_inline u32 version_of(struct facts *f)
{
	if (!f->version)
		f->version = class_words()[HDR_VERSION];
	return f->version;
}

/* start makes the search begin in the class that was asked for. */
static __always_inline void start(struct facts *f, u32 chain)
{
	version_of(f);
	start_chain(f);
	f->depth = 0;
	f->root = chain;
}

/* any_broken is is_broken() where the verifier is to see the answer alone, and not once for each
 * way to it. */
__noinline int any_broken(struct facts *f)
{
	return f && is_broken(f);
}

/* classify runs a classified chain and those that it calls. Its stack lies below that of a
 * generated chain and above that of what programs call: what can be read again is not
 * kept (512 bytes for all). */
__noinline enum verdict classify(CTX *ctx, struct facts *f, u32 chain)
{
	const u32 *rows = row_words(), *row;
	u32 calls[CLASS_DEPTH], n, calling;
	enum verdict verdict;
	enum answer answer;

	if (!f)
		return V_HOTDROP;
	if (f->begun == BEGUN_NOT)
		start(f, chain);
	for (;;) {
		may_break;
		if (any_broken(f)) {
			n = next_broken(f, chain);
			if (n & FOUND_HOTDROP)
				return V_HOTDROP;
		} else {
			verdict = f->begun == BEGUN_FOUND ? V_CONTINUE : next_row(f, chain);
			if (verdict != V_CONTINUE)
				return verdict;
			n = f->word;
		}
		f->begun = BEGUN_SEARCH;
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
			n = f->depth;
			if (!n)
				goto end;
			n--;
			takes(n); /* or the verifier is shown another copy of it than is compared */
			if (n >= CLASS_DEPTH)
				return V_HOTDROP;
			f->depth = n;
			n = calls[n];
			row = row_at(rows, n);
			chain = chain_of(row);
			start_chain(f);
			f->last = n;
			f->after = row[ROW_LABEL];
			continue;
		case DO_JUMP:
			calling = f->depth;
			takes(calling);
			if (calling >= CLASS_DEPTH)
				return V_HOTDROP;
			calls[calling] = n;
			f->depth = calling + 1;
			break;
		case DO_GOTO:
			break;
#ifdef CLASS_EARLY
		case DO_UP:
			return (enum verdict)V_UP;
#else
		case DO_NOTE:
			f->rule = row[ROW_ID];
			verdict = take_note(ctx, f, row[ROW_ARG]);
			if (verdict != V_CONTINUE)
				return verdict;
			continue;
#endif
		default:
			return V_HOTDROP;
		}
		count_packet(f, row[ROW_ID]);
		chain = chain_to(row);
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

/* run_class runs the class of a base chain, behind its lead if that has been asked: behind a
 * label, and the last row up to there. Most packets are decided by the first row that is found,
 * or by the policy: for them there is one call. */
static __always_inline enum verdict run_class(CTX *ctx, struct facts *f, u32 chain, u32 label, u32 row)
{
	enum verdict verdict;

	start(f, chain);
	f->after = label;
	f->last = row;
	f->begun = BEGUN_SEARCH;
	if (!is_broken(f)) {
		verdict = next_row(f, chain);
		if (verdict != V_CONTINUE)
			return verdict;
		f->begun = BEGUN_FOUND;
	}
	return classify(ctx, f, chain);
}

#endif
