#ifndef BPFTABLES_ADDRTYPE_H
#define BPFTABLES_ADDRTYPE_H
#include "facts.h"
__noinline int addr_type(struct bpf_nf_ctx *ctx, struct facts *f, u32 arg)
{
	if (!f) return A_NO;
	return arg & 1;
}
#endif
