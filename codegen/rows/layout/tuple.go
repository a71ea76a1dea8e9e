package layout

import (
	"cmp"
	"slices"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/ruleset/packet"
)

const (
	// MaxTuples bounds how many tuples a packet is looked up in. One more, without masks, has
	// all rows that fit into none.
	MaxTuples = 61
	// MaxSame is how many rows of one key a tuple takes.
	MaxSame = 8
)

// Tuples lays out the tuples of a chain, with one for all other rows.
func (m *Memory) Tuples(d []uint32, tuples []*Tuple, others []*Entry) {
	size := m.TupleSize()
	// The tuple without masks is there even when it is empty: for rules to come.
	tuples = append(tuples, &Tuple{Entries: others})
	slices.SortStableFunc(tuples, func(x, y *Tuple) int { return cmp.Compare(x.least(), y.least()) })
	m.align(int(abi.BucketSize))
	at := uint32(len(m.Index))
	d[abi.ChainTuples], d[abi.ChainAllTuples], d[abi.ChainNTuples] = at, uint32(len(tuples)), 0
	m.Index = append(m.Index, make([]uint32, size*uint32(len(tuples)))...)
	for i, t := range tuples {
		m.tuple(at+size*uint32(i), t)
		if len(t.Entries) > 0 {
			d[abi.ChainNTuples] = uint32(i) + 1
		}
	}
}

// align makes the offset of the next word of the index a multiple: a bucket and the
// description of a tuple of IPv4 are a line of the cache.
func (m *Memory) align(to int) {
	for len(m.Index)%to != 0 {
		m.Index = append(m.Index, 0)
	}
}

// spareRows is how many rows the tuple without masks may get beyond those that it is made
// with.
const spareRows = 64

// Tuple is a tuple on its way: a mask and the rows that it takes.
type Tuple struct {
	Mask    Key
	Entries []*Entry
	Values  *Values // of the chain; nothing is asked of them without a mask
	Room    int     // for so many rows at least
}

func (t *Tuple) least() uint32 {
	if len(t.Entries) == 0 {
		return Forever
	}
	return t.Entries[0].Label
}

func (t *Tuple) most() uint32 {
	if len(t.Entries) == 0 {
		return 0
	}
	return t.Entries[len(t.Entries)-1].Label
}

// bucketLoad is how many rows there are for a bucket at most: with more, many buckets would
// need a list.
const bucketLoad = 3

// tuple writes a tuple's description and buckets.
func (m *Memory) tuple(at uint32, t *Tuple) {
	bits := uint32(1) // a shift by 64 has no meaning
	for max(len(t.Entries), t.Room) > bucketLoad<<bits {
		bits++
	}
	m.align(int(abi.BucketSize))
	begin := uint32(len(m.Index))
	m.Index = append(m.Index, make([]uint32, abi.BucketSize<<bits)...)
	d := m.Index[at:]
	d[abi.TupleBuckets], d[abi.TupleShift], d[abi.TupleLeast] = begin, 64-bits, t.least()
	d[abi.TupleMost] = t.most()
	if t.Mask.wide() {
		d[abi.TupleWide] = 1
	}
	m.writeMask(d[abi.TupleMask:], &t.Mask)
	tails := make([]uint32, 1<<bits)
	for _, e := range t.Entries {
		var value Key
		if t.Values != nil {
			value = t.Values.Of(e)
		}
		h := m.Hash(&value, &t.Mask)
		m.put(m.Bucket(d, h), &tails[h>>(64-bits)], e.N, TagOf(h))
	}
	room := &bucketRoom{}
	m.EachBucket(d, func(bucket []uint32) { m.complete(room, bucket, &t.Mask) })
	d[abi.TupleRows] = uint32(len(t.Entries))
	d[abi.TupleOwn] = uint32(len(t.Entries) + len(t.Entries)/8 + spareRows)
}

func (m *Memory) writeMask(at []uint32, mask *Key) {
	words := mask.Addresses[:1]
	if m.Family == packet.IPv6 {
		words = mask.Addresses[:]
	}
	words = append(slices.Clone(words), mask.Other[:]...)
	for i, w := range words {
		at[2*i], at[2*i+1] = uint32(w), uint32(w>>32)
	}
}

// ReadMask reads a mask where a tuple has it.
func (m *Memory) ReadMask(at []uint32) (k Key) {
	n := 1
	if m.Family.Bits() == 128 {
		n = 4
	}
	for i := range n {
		k.Addresses[i] = uint64(at[2*i]) | uint64(at[2*i+1])<<32
	}
	for i := range k.Other {
		k.Other[i] = uint64(at[2*(n+i)]) | uint64(at[2*(n+i)+1])<<32
	}
	return k
}

// TupleSize is the length of a tuple's description.
func (m *Memory) TupleSize() uint32 {
	if m.Family == packet.IPv6 {
		return abi.TupleSize6
	}
	return abi.TupleSize4
}
