/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whether a packet matches the fields of a row. */
#ifndef BPFTABLES_MATCH_H
#define BPFTABLES_MATCH_H

#include "facts/facts.h"
#include "lookup/program.h"
#include "lookup/rows.h"

words_map(class_rows, row_words, ROW_SIZE6)

/* Rows, a power of two, less one. */
const volatile u32 rows_mask;

static __always_inline const u32 *row_at(const u32 *rows, u32 n)
{
	return rows + (n & rows_mask) * (family == 4 ? ROW_SIZE4 : ROW_SIZE6);
}

/* header_bytes is how much of the transport header the rules of a protocol may ask for.
 * Package codegen/rows/rule leaves to programs what asks for more. */
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

/* address_bits compares both addresses, whether or not that is negated; 0: they match. */
static __always_inline void address_bits(const u32 *row, const struct facts *f, u32 *src, u32 *dst)
{
	*src = *dst = 0;
	if (family == 4) {
		*src = (*(u32 *)(f->l3 + 12) & row[ROW_SRC + 1]) ^ row[ROW_SRC];
		*dst = (*(u32 *)(f->l3 + 16) & row[ROW_SRC + 3]) ^ row[ROW_SRC + 2];
	} else {
#pragma unroll
		for (int i = 0; i < 4; i++) {
			*src |= (*(u32 *)(f->l3 + 8 + 4 * i) & row[ROW_SRC + 4 + i]) ^ row[ROW_SRC + i];
			*dst |= (*(u32 *)(f->l3 + 24 + 4 * i) & row[ROW_SRC + 12 + i]) ^ row[ROW_SRC + 8 + i];
		}
	}
}

static __always_inline u32 other_addresses(const u32 *row, const struct facts *f, u32 flags)
{
	u32 src, dst;

	address_bits(row, f, &src, &dst);
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

/* other_fields asks what a row has beside a plain one's fields. It is a function of its own, as
 * few rows need it: the verifier walks it once, and not for each loop over rows. */
__noinline u32 other_fields(struct facts *f, u32 n)
{
	const u32 *row = row_at(row_words(), n);
	u32 flags = row[ROW_ACTION] >> 4, states = states_of(row);

	if (!f)
		return 1;
	return other_addresses(row, f, flags) | other_proto(row, f, flags) | other_state(states, f, flags) |
	       other_transport(row, f, flags);
}

/* row_differs asks the fields of row n, for a packet whose transport header is whole or that
 * is a later fragment: the fields of a row that asks for no header bytes hold for whatever
 * lies there. 0: they match. */
static __always_inline u32 row_differs(struct facts *f, const u32 *row, u32 n)
{
	u32 flags = row[ROW_ACTION] >> 4;
	u32 other, src, dst;

	other = !below(f->after, row[ROW_LABEL]);
	other |= hidden(row, f->version);
	other |= below(f->l4good, row[ROW_PROTO] >> 24);
	if (flags & PLAIN) { /* most rows: less than half of the work */
		address_bits(row, f, &src, &dst);
		other |= src | dst;
		other |= (f->proto ^ row[ROW_PROTO]) & (0 - flag(flags, HAS_PROTO)) & 0xff;
		other |= other_port(f->l4, row[ROW_SPORT]) | other_port(f->l4 + 2, row[ROW_DPORT]);
	} else {
		other |= other_fields(f, n);
	}
	return other;
}

/* row_matches_broken asks the same for a packet with a broken header, in the order of the
 * rule; fired is the guard that ends it: the row's program then has the rest. */
static __always_inline bool row_matches_broken(const u32 *row, const struct facts *f,
					       enum class_guard *fired)
{
	u32 flags = row[ROW_ACTION] >> 4, states = states_of(row);
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

#endif
