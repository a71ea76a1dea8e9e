package rows

import (
	"cmp"
	"slices"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/ruleset/packet"
)

const (
	// maxTuples bounds how many tables a packet is looked up in; one more has all rows
	// that fit into none.
	maxTuples = 61
	// maxSame is how many rows of one key a table takes.
	maxSame = 8
)

// tuples lays out the tables of a chain, with one for all other rows, and gives where
// they begin and how many they are.
func (b *builder) tuples(tables []*tuple, others []*entry) (at, n uint32) {
	size := familyTupleSize(b.Family)
	// The table without masks is there even when it is empty: for rules to come.
	tables = append(tables, &tuple{entries: others})
	slices.SortStableFunc(tables, func(x, y *tuple) int { return cmp.Compare(x.least(), y.least()) })
	b.align()
	at = uint32(len(b.Index))
	b.Index = append(b.Index, make([]uint32, size*uint32(len(tables)+spareTuples))...)
	for i, t := range tables {
		b.table(at+size*uint32(i), t)
	}
	return at, uint32(len(tables))
}

// align makes the next word of the index one at an even offset: the datapath reads masks
// as pairs of words.
func (b *builder) align() {
	if len(b.Index)%2 != 0 {
		b.Index = append(b.Index, 0)
	}
}

// spareTuples is room for tables that rules to come may need.
const spareTuples = 4

// spareRows is how many rows more than it was made with the table without masks may have.
const spareRows = 64

// tuple is a table on its way: a mask and the rows that it takes.
type tuple struct {
	mask    key
	entries []*entry
	room    int // for so many rows at least
}

func (t *tuple) least() uint32 {
	if len(t.entries) == 0 {
		return forever
	}
	return t.entries[0].label
}

// table writes a table's description and slots.
func (b *builder) table(at uint32, t *tuple) {
	bits := uint32(1)                             // a shift by 64 has no meaning
	for 2*max(len(t.entries), t.room) > 1<<bits { // half of the slots or more stay empty
		bits++
	}
	slots := uint32(len(b.Index))
	b.Index = append(b.Index, make([]uint32, 1<<bits)...)
	d := b.Index[at:]
	d[abi.TupleSlots], d[abi.TupleShift], d[abi.TupleLeast] = slots, 64-bits, t.least()
	d[abi.TupleWide] = bit(t.mask.wide(), 0)
	b.writeMask(d[abi.TupleMask:], &t.mask)
	tails := make([]uint32, 1<<bits)
	for _, e := range t.entries {
		k := e.value.and(&t.mask)
		h := b.hash(&k, t.mask.wide())
		b.link(&b.Index[slots+uint32(h>>(64-bits))], &tails[h>>(64-bits)], e.n, uint32(h)&0x7f)
	}
	d[abi.TupleRows] = uint32(len(t.entries))
	d[abi.TupleOwn] = uint32(len(t.entries) + len(t.entries)/8 + spareRows)
}

// link appends a row to the list of a slot.
func (b *builder) link(slot, tail *uint32, n, tag uint32) {
	switch {
	case *slot == 0:
		*slot = n | tag<<abi.SlotTag
	default:
		if *slot>>abi.SlotTag != tag {
			*slot = *slot&abi.SlotRow | abi.TagMixed<<abi.SlotTag
		}
		b.row(*tail)[abi.RowNext] = n
	}
	*tail = n
}

func (m *Memory) writeMask(at []uint32, mask *key) {
	words := mask.addresses[:1]
	if m.Family == packet.IPv6 {
		words = mask.addresses[:]
	}
	words = append(slices.Clone(words), mask.other[:]...)
	for i, w := range words {
		at[2*i], at[2*i+1] = uint32(w), uint32(w>>32)
	}
}
