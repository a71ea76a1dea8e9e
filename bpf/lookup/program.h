/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Programs of rows: the conditions that a row has no field for, in the order of the
 * rule, see enum class_op. What they ask of the datapath (get_field() and others) is defined by
 * what includes this: netfilter/class.h, early/class.h. */
#ifndef BPFTABLES_PROGRAM_H
#define BPFTABLES_PROGRAM_H

#include "lookup/index.h"

/* same_bytes compares up to four words of the facts under a mask. */
static __always_inline bool same_bytes(const struct facts *f, const u32 *op, u32 n)
{
	u32 off = op[1], i, different = 0;
	const u32 *at;

	if (off > sizeof(*f) - 16)
		return false;
	at = (const u32 *)((const u8 *)f + off);
#pragma unroll
	for (i = 0; i < 4; i++)
		if (i < n)
			different |= (at[i] & op[6 + i]) ^ op[2 + i];
	return !different;
}

static __always_inline u64 wire64(const u32 *at)
{
	return __builtin_bswap64((u64)at[1] << 32 | at[0]);
}

/* in_bounds compares 16 bytes with two limits, as big-endian numbers. */
static __always_inline bool in_bounds(const struct facts *f, const u32 *op)
{
	u32 off = op[1];
	u64 hi, lo, limit;
	const u32 *at;

	if (off > sizeof(*f) - 16)
		return false;
	at = (const u32 *)((const u8 *)f + off);
	hi = wire64(at);
	lo = wire64(at + 2);
	limit = wire64(op + 2);
	if (hi < limit || (hi == limit && lo < wire64(op + 4)))
		return false;
	limit = wire64(op + 6);
	return hi < limit || (hi == limit && lo <= wire64(op + 8));
}

#define U32_OFFSETS 0x7fffffff /* beyond any packet; compared with before it wraps */

/* run_program answers for the conditions of one row. fired is the guard that failed
 * where the packet has a broken header (enum class_guard). What it keeps from instruction to
 * instruction lies in the facts, where the verifier does not follow it: the loop is then
 * walked once. */
__noinline enum answer run_program(CTX *ctx, struct facts *f, u32 program, u32 fired)
{
	const u32 *index = class_words(), *op;
	u32 kind, a;
	s64 got;

	if (!f)
		return A_HOTDROP;
	f->at = program;
	for (;;) {
		may_break;
		op = index_at(index, f->at);
		kind = op[0] & 0xff;
		a = op[0] >> 8 & 0xff;
		got = A_YES;
		switch (kind) {
		case OP_YES:
			return A_YES;
		case OP_NO:
			return A_NO;
		case OP_GUARD:
			if (fired == a)
				return A_HOTDROP;
			f->at += 1;
			continue;
		case OP_JUMP:
			got = A_NO;
			break;
		case OP_FACT:
			got = within(op + 2, fact(f, op[1], a));
			f->at += 5;
			break;
		case OP_BYTES:
			if (!has(OP_BYTES))
				return A_HOTDROP;
			got = same_bytes(f, op, a);
			f->at += 10;
			break;
		case OP_BOUNDS:
			if (!has(OP_BOUNDS))
				return A_HOTDROP;
			got = in_bounds(f, op);
			f->at += 10;
			break;
#ifndef CLASS_EARLY
		case OP_FIELD:
			if (!has(OP_FIELD))
				return A_HOTDROP;
			got = within(op + 2, get_field(ctx, f, op[1]));
			f->at += 5;
			break;
		case OP_FIND_EXT:
			if (!has(OP_FIND_EXT))
				return A_HOTDROP;
			got = find_ext(ctx, f, op[1]);
			f->at += 2;
			break;
		case OP_TCP_OPTION:
			if (!has(OP_TCP_OPTION))
				return A_HOTDROP;
			got = tcp_option(ctx, f, op[1]);
			f->at += 2;
			break;
		case OP_TCP_MSS:
			if (!has(OP_TCP_MSS))
				return A_HOTDROP;
			got = tcp_mss(ctx, f, op[1]);
			f->at += 2;
			break;
		case OP_DCCP_OPTION:
			if (!has(OP_DCCP_OPTION))
				return A_HOTDROP;
			got = dccp_option(ctx, f, op[1]);
			f->at += 2;
			break;
		case OP_SCTP_CHUNKS:
			if (!has(OP_SCTP_CHUNKS))
				return A_HOTDROP;
			got = sctp_chunks(ctx, f, op[1]);
			f->at += 2;
			break;
		case OP_ADDR_TYPE:
			if (!has(OP_ADDR_TYPE))
				return A_HOTDROP;
			got = family == 4 ? addr_type(ctx, f, op[1]) : addr_type6(ctx, f, op[1]);
			f->at += 2;
			break;
		case OP_LIMIT:
			if (!has(OP_LIMIT))
				return A_HOTDROP;
			got = limit(ctx, f, op[1]);
			f->at += 2;
			break;
		case OP_NTH:
			if (!has(OP_NTH))
				return A_HOTDROP;
			got = nth(ctx, f, op[1]);
			f->at += 2;
			break;
		case OP_RANDOM:
			if (!has(OP_RANDOM))
				return A_HOTDROP;
			got = random31(ctx, f, op[1]);
			f->at += 2;
			break;
		case OP_RECENT:
			if (!has(OP_RECENT))
				return A_HOTDROP;
			got = recent(ctx, f, op[1]);
			f->at += 2;
			break;
		case OP_NAMED_SET:
			if (!has(OP_NAMED_SET))
				return A_HOTDROP;
			got = named_set(ctx, f, op[1]);
			f->at += 2;
			break;
		case OP_SEARCH:
			if (!has(OP_SEARCH))
				return A_HOTDROP;
			got = search_text(ctx, f, op[1]);
			f->at += 2;
			break;
		case OP_METER:
			if (!has(OP_METER))
				return A_HOTDROP;
			got = meter(ctx, f, op[1]);
			f->at += 2;
			break;
		case OP_QUOTA:
			if (!has(OP_QUOTA))
				return A_HOTDROP;
			got = quota(ctx, f, op[1]);
			f->at += 2;
			break;
		case OP_REVERSE:
			if (!has(OP_REVERSE))
				return A_HOTDROP;
			got = reverse_path(ctx, f, op[1]);
			f->at += 2;
			break;
		case OP_GROUPS:
			if (!has(OP_GROUPS))
				return A_HOTDROP;
			got = groups(ctx, f, op[1]);
			f->at += 2;
			break;
		case OP_CONTROL_GROUP:
			if (!has(OP_CONTROL_GROUP))
				return A_HOTDROP;
			got = control_group(ctx, f, op[1]);
			f->at += 2;
			break;
		case OP_POLICY:
			if (!has(OP_POLICY))
				return A_HOTDROP;
			got = policy(ctx, f, op[1]);
			f->at += 2;
			break;
		case OP_HEADERS6:
			if (family == 4 || !has(OP_HEADERS6))
				return A_HOTDROP;
			got = headers6(ctx, f, op[1]);
			f->at += 2;
			break;
		case OP_EUI64:
			if (family == 4 || !has(OP_EUI64))
				return A_HOTDROP;
			got = eui64(ctx, f, op[1]);
			f->at += 2;
			break;
		case OP_OPTIONS6:
			if (family == 4 || !has(OP_OPTIONS6))
				return A_HOTDROP;
			got = options6(ctx, f, op[1]);
			f->at += 2;
			break;
		case OP_HOPS6:
			if (family == 4 || !has(OP_HOPS6))
				return A_HOTDROP;
			got = hops6(ctx, f, op[1]);
			f->at += 2;
			break;
		case OP_TIME:
			if (!has(OP_TIME))
				return A_HOTDROP;
			got = in_time(ctx, f, op[1]);
			f->at += 2;
			break;
		case OP_CONN_COUNT:
			if (!has(OP_CONN_COUNT))
				return A_HOTDROP;
			got = conn_count(ctx, f, op[1]);
			f->at += 2;
			break;
		case OP_CONN_LABEL:
			if (!has(OP_CONN_LABEL))
				return A_HOTDROP;
			got = conn_label(ctx, f, op[1]);
			f->at += 2;
			break;
		case OP_GET_ADDR:
			if (!has(OP_GET_ADDR))
				return A_HOTDROP;
			get_addr(ctx, f, op[1]);
			f->at += 2;
			continue;
		case OP_GET_NAME:
			if (!has(OP_GET_NAME))
				return A_HOTDROP;
			get_name(ctx, f, op[1]);
			f->at += 2;
			continue;
		case OP_U32_START:
			f->base = 0;
			f->at += 1;
			continue;
		case OP_U32_LOAD:
			if (!has(OP_U32_LOAD))
				return A_HOTDROP;
			got = A_NO;
			f->at += 2;
			if ((u64)f->base + op[1] <= U32_OFFSETS) {
				s64 read = load_be32(ctx, f, f->base + op[1]);

				f->word = read;
				got = read >= 0;
			}
			break;
		case OP_U32_AND:
			f->word &= op[1];
			f->at += 2;
			continue;
		case OP_U32_LEFT:
			f->word <<= op[1] & 31;
			f->at += 2;
			continue;
		case OP_U32_RIGHT:
			f->word >>= op[1] & 31;
			f->at += 2;
			continue;
		case OP_U32_ADVANCE:
			got = (u64)f->base + f->word <= U32_OFFSETS;
			f->base += f->word;
			f->at += 1;
			break;
		case OP_U32_IN:
			got = op[1] <= f->word && f->word <= op[2];
			f->at += 3;
			break;
#else
		case OP_FIELD:
			if (!has(OP_FIELD))
				return A_HOTDROP;
			got = early_length(f, op + 2);
			f->at += 5;
			break;
		case OP_ADDR_TYPE:
			if (!has(OP_ADDR_TYPE))
				return A_HOTDROP;
			got = early_type(ctx);
			f->at += 2;
			break;
#endif
		default: /* OP_HOT, or not a program */
			return A_HOTDROP;
		}
		if (got == A_HOTDROP)
			return A_HOTDROP;
		if (got == A_NO)
			f->at = program + (op[0] >> 16);
	}
	return A_HOTDROP;
}

#endif
