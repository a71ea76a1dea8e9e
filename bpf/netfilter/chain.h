/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The hole that generated rules fill. */
#ifndef BPFTABLES_CHAIN_H
#define BPFTABLES_CHAIN_H

/* chain is replaced by generated code. It mentions every function that generated code
 * may call, so that they are in the object; the loader takes out those that nobody
 * calls. */
__noinline enum verdict chain(struct bpf_nf_ctx *ctx, struct facts *f)
{
	/* Volatile, or the compiler takes the stub's answer for the answer. */
	volatile enum verdict verdict = V_DROP;

	if (!f)
		return verdict;
	get_field(ctx, f, 0);
	get_addr(ctx, f, 0);
	get_name(ctx, f, 0);
	find_ext(ctx, f, 0);
	tcp_option(ctx, f, 0);
	tcp_mss(ctx, f, 0);
	add_mss(ctx, f);
	meets_demand(ctx, f, 0);
	dccp_option(ctx, f, 0);
	sctp_chunks(ctx, f, 0);
	load_be32(ctx, f, 0);
	addr_type(ctx, f, 0);
	addr_type6(ctx, f, 0);
	limit(ctx, f, 0);
	nth(ctx, f, 0);
	random31(ctx, f, 0);
	recent(ctx, f, 0);
	named_set(ctx, f, 0);
	search_text(ctx, f, 0);
	meter(ctx, f, 0);
	groups(ctx, f, 0);
	control_group(ctx, f, 0);
	in_time(ctx, f, 0);
	headers6(ctx, f, 0);
	eui64(ctx, f, 0);
	options6(ctx, f, 0);
	hops6(ctx, f, 0);
	policy(ctx, f, 0);
	conn_count(ctx, f, 0);
	conn_label(ctx, f, 0);
	reverse_path(ctx, f, 0);
	quota(ctx, f, 0);
	count(ctx, f, 0);
	note(ctx, f, 0);
	classify(ctx, f, 0);
	return verdict;
}

/* 1 more than the number of the base chain's class, where it is classified: the detour over
 * generated code is saved. */
const volatile u32 base_class;

/* base_of gives the same for a program of rows alone. */
static __always_inline u32 base_of(struct bpf_nf_ctx *ctx)
{
	return rows_alone ? seat_words(ctx)[SEAT_BASE] : base_class;
}

/* has_headers says that fill_rest() was called before the base chain is run. */
#ifdef BPFTABLES_PROBE
#define has_headers(ctx) true
#else
#define has_headers(ctx) nat_done(ctx)
#endif

/* run_base runs a base chain. What it asks of constants and seats it asks again: to keep an answer
 * over a call takes a slot of the stack, of which rows that may ask everything leave none. */
static __always_inline enum verdict run_base(struct bpf_nf_ctx *ctx, struct facts *f)
{
	enum verdict verdict;

	if (leads && (!base_class || lead_holds(f, base_class - 1))) {
		verdict = call_hole(lead, ctx, f);
		if (verdict != V_CONTINUE)
			return verdict;
		f->begun = BEGUN_LED;
	}
	if (!has_headers(ctx) && !fill_rest(ctx, f))
		return V_HOTDROP;
	if (!rows_alone && !base_class)
		return call_hole(chain, ctx, f);
	return leads && f->begun == BEGUN_LED ? run_class(ctx, f, base_of(ctx) - 1, lead_label, lead_row) :
						run_class(ctx, f, base_of(ctx) - 1, 0, 0);
}

#endif
