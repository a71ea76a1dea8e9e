#ifndef BPFTABLES_RECENT_H
#define BPFTABLES_RECENT_H
#include "facts.h"
__noinline int recent(struct bpf_nf_ctx *ctx, struct facts *f, u32 slot)
{
	if (!f) return A_NO;
	return slot & 1;
}
#endif
