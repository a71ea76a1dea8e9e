/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The lead: the first rules of a base chain that ask for nothing of the packet's headers, such
 * as "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT". They are asked, as code, before
 * the headers are read, and before a classified chain is looked up: most packets end there.
 *
 * The rows of a classified chain may change while the code stays as it is. Whoever puts a rule
 * in front of the last one of the lead, or takes one of the lead away, says so in the chain's
 * descriptor, for the versions that have the change. Those ask all rows, as without a lead. */
#ifndef BPFTABLES_LEAD_H
#define BPFTABLES_LEAD_H

const volatile u32 leads; /* 1: there is a lead */
/* Of a classified chain: the label of the last rule of the lead, and the last row up to there. */
const volatile u32 lead_label, lead_row;

/* lead is replaced by generated code, which continues where none of its rules decides. */
__noinline enum verdict lead(struct bpf_nf_ctx *ctx, struct facts *f)
{
	volatile enum verdict verdict = V_CONTINUE;

	takes(ctx);
	takes(f);
	return verdict;
}

/* lead_holds says whether the lead is what the rules say in the packet's version. */
static __always_inline bool lead_holds(struct facts *f, u32 chain)
{
	return version_of(f) < chain_at(class_words(), chain)[CHAIN_LEAD_DEAD];
}

#endif
