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
	dccp_option(ctx, f, 0);
	sctp_chunks(ctx, f, 0);
	load_be32(ctx, f, 0);
	addr_type(ctx, f, 0);
	limit(ctx, f, 0);
	nth(ctx, f, 0);
	random31(ctx, f, 0);
	recent(ctx, f, 0);
	named_set(ctx, f, 0);
	count(ctx, f, 0);
	note(ctx, f, 0);
	classify(ctx, f, 0);
	return verdict;
}

/* 1 more than the number of the base chain's class, where it is classified: the detour over
 * generated code is saved. */
const volatile u32 base_class;

/* run_chain calls chain(), or is it: the loader may put the generated code in the place of the
 * call. It saves a call, and costs all registers. */
static __always_inline enum verdict run_chain(struct bpf_nf_ctx *ctx, struct facts *f)
{
	register struct bpf_nf_ctx *r1 asm("r1") = ctx;
	register struct facts *r2 asm("r2") = f;
	register u64 r0 asm("r0");

	asm volatile("call chain"
		     : "=r"(r0), "+r"(r1), "+r"(r2)
		     :
		     : "r3", "r4", "r5", "r6", "r7", "r8", "r9", "memory");
	return r0;
}

static __always_inline enum verdict run_base(struct bpf_nf_ctx *ctx, struct facts *f)
{
	return base_class ? run_class(ctx, f, base_class - 1) : run_chain(ctx, f);
}

#endif
