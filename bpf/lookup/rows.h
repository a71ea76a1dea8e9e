/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The layout of classified chains: rules as data instead of code.
 *
 *   class_index                                    class_rows
 *   header: version                                row 1: label, birth, death, rule id,
 *   chain: first row, tuples, trees                   action, conditions, links
 *   tuple: masks, buckets -> rows            row 2: ...
 *   tree: nodes, leaves -> rows
 *   programs: conditions that a row has no field for
 *
 * Both are the single values of mmapable array maps, read with plain loads and written by
 * user space (package codegen/rows/edit) while packets pass: a row is complete before one
 * store links it, and is visible to packets of the versions from its birth to before its
 * death. One store of the version makes a batch of changes visible. All numbers are u32
 * in host order; addresses and ports are as on the wire unless said otherwise. Offsets
 * count u32 words. */
#ifndef BPFTABLES_ROWS_H
#define BPFTABLES_ROWS_H

#include "facts/kernel.h"

/* words_map declares a map with one value, words that user space shares, and a function that
 * says where they begin. */
#define words_map(map, words, size)                                                         \
	struct {                                                                            \
		__uint(type, BPF_MAP_TYPE_ARRAY);                                           \
		__uint(map_flags, BPF_F_MMAPABLE);                                          \
		__uint(max_entries, 1);                                                     \
		__uint(key_size, 4);                                                        \
		__uint(value_size, 4 * (size));                                             \
	} map SEC(".maps");                                                                 \
	static __always_inline const u32 *words(void) { return value_at(map); }

/* The header of the index. What follows word HDR_OWN is user space's own, then come the seats by
 * level and hook. The descriptors of the chains come next, by number. */
enum class_header {
	HDR_VERSION,
	HDR_NCHAINS,
	HDR_OWN,
	HDR_SEATS = 64,
	HDR_SIZE = 576,
};

/* A seat, for the program of its level that runs rows alone (netfilter/seat.h), and for what stands
 * there as code. */
enum class_seat {
	SEAT_BASE,  /* 1 more than the number of its base chain; 0: it has none */
	SEAT_FLAGS, /* enum class_seat_flag, and what is read of a packet, of enum need */
	SEAT_CODE_DEAD, /* from this version on, code at the seat is not what the rules say */
	SEAT_SIZE = 4,
	SEAT_HOOKS = 8, /* seats of a level */
};

enum class_seat_flag {
	SEAT_NOTED = 1 << 16, /* some program at its level leaves notes */
	SEAT_SHIM = 1 << 17,  /* its rules do */
	SEAT_NAT = 1 << 18,   /* netfilter asks the chain for the first packet of a connection */
	SEAT_CODED = 1 << 19, /* user space's: what stands there is code */
	SEAT_RUNS = 1 << 20,  /* and its level has a program of rows alone beside it */
};

/* The descriptor of a chain. */
enum class_chain {
	CHAIN_KIND,   /* enum class_kind */
	CHAIN_FIRST,  /* first row in the order of the rules; 0: none */
	CHAIN_POLICY, /* row of the policy, linked to others by ROW_ORDER; 0: a user chain */
	CHAIN_TUPLES, /* offset of the first tuple */
	CHAIN_NTUPLES, /* up to the last one with rows */
	CHAIN_TREES, /* offset of the roots of the decision trees */
	CHAIN_NTREES,
	CHAIN_ROWS, /* user space's: how many rows there are */
	CHAIN_ALL_TUPLES, /* and how many tuples, empty ones included */
	CHAIN_LEAD, /* label of the last rule that is also code, see lead.h; 0: none */
	CHAIN_LEAD_DEAD, /* from this version on, the code is not what the rules say */
	/* The rest is user space's. */
	CHAIN_OPS, /* what its rows may ask, as bits of two words, see program_ops */
	CHAIN_MORE_OPS,
	CHAIN_TABLE, /* chains of one table have the same */
	CHAIN_CODED, /* 1: what stands at its table's seats as code is not what the rows say, should they change */
	CHAIN_NEEDS, /* what is read of a packet for its rows (enum need) */
	CHAIN_BORN, /* versions that have the chain; never born: the descriptor is free */
	CHAIN_DEAD,
	CHAIN_STATE, /* enum class_state */
	CHAIN_SIZE = 32,
};

enum class_state {
	CHAIN_REFUSED = 0xff, /* 1 << hook: rules of it may be refused where packets come from there */
	CHAIN_BARE = 1 << 8, /* it has rules without rows */
	CHAIN_REACHED = 0xff0000, /* 1 << (hook + 16): packets may come from there */
	CHAIN_UNMET = 1 << 9, /* it has jumps that lead nowhere, as no packet meets them */
};

enum class_kind {
	KIND_LIST, /* rows are asked in order */
	KIND_TUPLES, /* and trees, if there are any */
};

/* A tuple: a mask, and rows whose conditions fix all bits of its masks. Rows are found by the
 * hash of the masked key, which chooses one of the buckets. */
enum class_tuple {
	TUPLE_BUCKETS, /* offset of the buckets */
	TUPLE_SHIFT, /* 64 - log2 of their number */
	TUPLE_LEAST, /* no row has a smaller label */
	TUPLE_WIDE,  /* masks beyond addresses, ports and protocol are not all zero */
	TUPLE_ROWS,  /* user space's */
	TUPLE_OWN,
	TUPLE_MOST,  /* no row has a larger label */
	TUPLE_MASK = 8, /* pairs of words: a mask for every key word */
	TUPLE_SIZE4 = 16,
	TUPLE_SIZE6 = TUPLE_MASK + 14,
};

/* A bucket: one line of the processor's cache. Its first two words are 8 bytes: a tag of
 * the row's hash for each entry that is taken, or 0, and a last byte that says whether
 * there are more rows, in a list that is sorted by label. */
enum class_bucket {
	BUCKET_TAGS,
	BUCKET_ENTRIES = 2,
	BUCKET_ROWS = 6, /* that have entries */
	BUCKET_MORE = 14, /* first row of the list */
	BUCKET_SIZE = 16,
};

/* The tag of a hash is never 0. */
#define BUCKET_TAG(hash) (((hash) & 0x7f) | TAG_TAKEN)

/* An entry: a row, and what most packets that do not match it lack: to touch a row costs
 * more than to read its entry. The packet has a number of 16 bits on the wire
 * at some offset of the facts. It must be in a range, lo | hi << 16. */
enum class_entry {
	ENTRY_ROW, /* row | offset of the number << 24 */
	ENTRY_RANGE,
	ENTRY_SIZE,
	ENTRY_FACT = 24,
};

/* A decision tree: rows by ranges of numbers in the facts. Several leaves may have the
 * same row. */
enum class_tree {
	TREE_ROOT, /* offset of the root */
	TREE_LEAST, /* no row has a smaller label */
	TREE_ROWS, /* user space's */
	TREE_OWN,
	TREE_SIZE,
};

/* A node of a tree, with two decisions at once. Packets with the first number below the
 * first limit go on at child 0 or 1, as the second number is below the second limit or not;
 * others at child 2 or 3, as the third one is. A number is 4 bytes of the facts as on the
 * wire: what is shorter than that has its limit in the first bytes. In a leaf, the first limit
 * is how many rows there are, and the child the first of their entries, in the order of
 * labels; row 0: none. */
enum class_node {
	NODE_LIMITS,
	NODE_FACTS = 3, /* of the numbers in the facts, a byte each; or NODE_LEAF */
	NODE_CHILD,	 /* offset of child 0 from the root */
	NODE_SIZE,
	NODE_LEAF = 0xff,
};

/* Numbers that entries and nodes ask for lie in the facts below this. */
#define FACT_OFFSETS 128

/* A row. IPv4 has 16 words, IPv6 32. */
enum class_row {
	ROW_LABEL, /* order in the chain: grows from rule to rule; rows of one rule share it */
	ROW_BORN,
	ROW_DEAD,
	ROW_ID,	    /* counter slot */
	ROW_ACTION, /* action | flags << 4 | conntrack states << ROW_STATES | high bits of a jump's own chain << ROW_OWN */
	ROW_ARG,    /* jump, goto: chain number | low bits of its own chain's << CHAIN_BITS; note: its offset */
	ROW_PROGRAM, /* offset; 0: none */
	ROW_SPORT,  /* lo | hi << 16, in host order */
	ROW_DPORT,
	ROW_PROTO, /* protocol | TCP flags mask << 8 | value << 16 | header bytes << 24 */
	ROW_ORDER, /* the row of the next rule; 0: none */
	ROW_NEXT,  /* the next row of the bucket's list */
	ROW_SRC,
	ROW_SIZE4 = 16, /* source, its mask, destination, its mask */
	ROW_SIZE6 = 32,
};

enum class_action {
	DO_CONTINUE,
	DO_ACCEPT,
	DO_DROP,
	DO_RETURN,
	DO_JUMP,
	DO_GOTO,
	DO_NOTE,
	DO_UP, /* early stage: the packet goes up the stack */
};

/* Flags of a row. A condition without its flag or field always holds. */
enum class_flag {
	NOT_SRC = 1 << 0,
	NOT_DST = 1 << 1,
	HAS_PROTO = 1 << 2,
	NOT_PROTO = 1 << 3,
	NOT_SPORT = 1 << 4,
	NOT_DPORT = 1 << 5,
	NOT_TCP_FLAGS = 1 << 6,
	NOT_STATE = 1 << 7,
	STATE_FIRST = 1 << 8,	/* conntrack state is asked before the transport header */
	NEED_TRANSPORT = 1 << 9, /* IPv6: hotdrop where there is no transport header */
	HOT_FRAGMENT = 1 << 10, /* hotdrop at fragment offset 1 */
	PLAIN = 1 << 11, /* nothing is negated, and there are no states and TCP flags */
	ENDS_CHAIN = 1 << 12, /* user space's: no packet meets the rules behind it */
};

/* A note: what a rule asks of netfilter, and what that changes for later rules. */
enum class_note {
	NOTE_NUMBER,
	NOTE_TERMINAL,
	NOTE_UNTRACK,
	NOTE_NSETS,
	NOTE_SETS, /* of enum class_set */
};

/* One change of what later rules ask: of a mark or of the IP header. */
enum class_set {
	SET_DST, /* offset in struct facts */
	SET_SRC,
	SET_KEEP,
	SET_AND,
	SET_XOR,
	SET_SHIFT, /* signed */
	SET_HOW,
	SET_SIZE,
};

enum class_how {
	HOW_ALWAYS,
	HOW_TRACKED, /* only with a conntrack entry */
	HOW_ADD, /* SET_XOR is added to the byte at SET_DST, between 0 and 255 */
	HOW_ADD_MSS, /* as add_mss() says */
	HOW_MEETS_DEMAND, /* as meets_demand() says, with SET_XOR; it comes first */
};

/* Instructions of a program: kind | a << 8 | else << 16, then words. "Else" is where it
 * goes on when the answer is no, in words from the start of the program. */
enum class_op {
	OP_YES,
	OP_NO,
	OP_HOT,
	OP_GUARD, /* a: enum class_guard; ends the program with hotdrop if that one fired */
	OP_JUMP,
	OP_FACT,  /* a: bytes, 0x80 as on the wire; words: offset in facts, mask, lo, hi */
	OP_FIELD, /* words: field, mask, lo, hi */
	OP_BYTES, /* a: words; words: offset in facts, value, mask */
	OP_BOUNDS, /* words: offset in facts, 16 bytes lo, 16 bytes hi */
	OP_FIND_EXT, /* the functions of the datapath; word: argument */
	OP_TCP_OPTION,
	OP_TCP_MSS,
	OP_DCCP_OPTION,
	OP_SCTP_CHUNKS,
	OP_ADDR_TYPE,
	OP_LIMIT,
	OP_NTH,
	OP_RANDOM,
	OP_RECENT,
	OP_NAMED_SET,
	OP_GET_ADDR,
	OP_GET_NAME,
	OP_U32_START,
	OP_U32_LOAD, /* word: offset */
	OP_U32_AND,  /* word: argument */
	OP_U32_LEFT,
	OP_U32_RIGHT,
	OP_U32_ADVANCE,
	OP_U32_IN, /* words: lo, hi */
	OP_ADD_MSS, /* of notes, with HOW_ADD_MSS */
	OP_SEARCH, /* word: slot */
	OP_METER,
	OP_QUOTA,
	OP_GROUPS,
	OP_REVERSE,
	OP_TIME,
	OP_HEADERS6, /* word: enum header6 */
	OP_EUI64,
	OP_OPTIONS6,
	OP_HOPS6,
	OP_POLICY,
	OP_CONN_COUNT,
	OP_CONN_LABEL, /* word: bit */
	OP_CONTROL_GROUP,
	OP_MEETS_DEMAND, /* of notes, with HOW_MEETS_DEMAND */
};

/* Which test of a row without program failed for a packet with a broken header. */
enum class_guard {
	GUARD_NONE,
	GUARD_TRANSPORT, /* NEED_TRANSPORT */
	GUARD_HEADER,	 /* header bytes, HOT_FRAGMENT */
};

/* Numbers within words. */
enum class_number {
	INDEX_SLACK = 64, /* words behind the last of the index that a read may touch */
	OP_WIRE = 0x80,	  /* in the width of OP_FACT: the number is as on the wire */
	TAG_TAKEN = 0x80, /* in every tag of a bucket that is taken */
	ROW_NUMBER = 0xffffff, /* in ENTRY_ROW */
	CHAIN_BITS = 18, /* of a chain's number in a jump */
	ROW_STATES = 19, /* where ROW_ACTION has the conntrack states */
	ROW_STATES_MASK = 0x1ff,
	ROW_OWN = 28, /* and where it has what ROW_ARG has no room for */
};

/* chain_to is where a jump leads, chain_of the chain in which it stands. */
static __always_inline u32 chain_to(const u32 *row)
{
	return row[ROW_ARG] & ((1 << CHAIN_BITS) - 1);
}

static __always_inline u32 chain_of(const u32 *row)
{
	return row[ROW_ARG] >> CHAIN_BITS | row[ROW_ACTION] >> ROW_OWN << (32 - CHAIN_BITS);
}

static __always_inline u32 states_of(const u32 *row)
{
	return row[ROW_ACTION] >> ROW_STATES & ROW_STATES_MASK;
}

#endif
