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

// tuples lays out the tables of a chain, with one for all other rows.
func (b *builder) tuples(d []uint32, tables []*tuple, others []*entry) {
	size := familyTupleSize(b.Family)
	// The table without masks is there even when it is empty: for rules to come.
	tables = append(tables, &tuple{entries: others})
	slices.SortStableFunc(tables, func(x, y *tuple) int { return cmp.Compare(x.least(), y.least()) })
	b.align(int(abi.BucketSize))
	at := uint32(len(b.Index))
	d[abi.ChainTuples], d[abi.ChainTables], d[abi.ChainNTuples] = at, uint32(len(tables)), 0
	b.Index = append(b.Index, make([]uint32, size*uint32(len(tables)))...)
	for i, t := range tables {
		b.table(at+size*uint32(i), t)
		if len(t.entries) > 0 {
			d[abi.ChainNTuples] = uint32(i) + 1
		}
	}
}

// align makes the offset of the next word of the index a multiple: a bucket and the
// description of a table of IPv4 are a line of the cache.
func (b *builder) align(to int) {
	for len(b.Index)%to != 0 {
		b.Index = append(b.Index, 0)
	}
}

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

// bucketLoad is how many rows there are for a bucket at most: with more, many buckets would
// need a list.
const bucketLoad = 3

// table writes a table's description and buckets.
func (b *builder) table(at uint32, t *tuple) {
	bits := uint32(1) // a shift by 64 has no meaning
	for max(len(t.entries), t.room) > bucketLoad<<bits {
		bits++
	}
	b.align(int(abi.BucketSize))
	begin := uint32(len(b.Index))
	b.Index = append(b.Index, make([]uint32, abi.BucketSize<<bits)...)
	d := b.Index[at:]
	d[abi.TupleBuckets], d[abi.TupleShift], d[abi.TupleLeast] = begin, 64-bits, t.least()
	d[abi.TupleWide] = bit(t.mask.wide(), 0)
	b.writeMask(d[abi.TupleMask:], &t.mask)
	tails := make([]uint32, 1<<bits)
	for _, e := range t.entries {
		h := b.masked(&e.value, &t.mask)
		b.put(b.bucket(d, h), &tails[h>>(64-bits)], e.n, tagOf(h))
	}
	room := &bucketRoom{}
	b.eachBucket(d, func(bucket []uint32) { b.complete(room, bucket, &t.mask) })
	d[abi.TupleRows] = uint32(len(t.entries))
	d[abi.TupleOwn] = uint32(len(t.entries) + len(t.entries)/8 + spareRows)
}

// put gives a row an entry of its bucket, or appends it to the list, whose end is tail.
func (b *builder) put(bucket []uint32, tail *uint32, n, tagged uint32) {
	for i := range abi.BucketRows {
		if tag(bucket, i) == 0 {
			entryOf(bucket, i)[abi.EntryRow] = n
			setTag(bucket, i, tagged)
			return
		}
	}
	if *tail == 0 {
		bucket[abi.BucketMore] = n
		setTag(bucket, moreRows, 1)
	} else {
		b.row(*tail)[abi.RowNext] = n
	}
	*tail = n
}

// bucketRoom is what is used again for every bucket.
type bucketRoom struct {
	boxes  [abi.BucketRows]box
	space  [abi.BucketRows][maxWindows]span
	whole  [maxWindows]span
	all    [abi.BucketRows][]span
	others [abi.BucketRows][]span
}

// complete says what the entries of a bucket ask for. Those of the same tag are most likely
// met by the same packets.
func (m *Memory) complete(room *bucketRoom, bucket []uint32, mask *key) {
	taken := uint32(0) // from the first entry on
	for ; taken < abi.BucketRows && tag(bucket, taken) != 0; taken++ {
		room.boxes[taken] = m.box(entryOf(bucket, taken)[abi.EntryRow])
		room.all[taken] = m.windows(room.boxes[taken][:], &room.space[taken])
	}
	for i := range taken {
		others := room.others[:0]
		for j := range taken {
			if j != i && tag(bucket, j) == tag(bucket, i) {
				others = append(others, room.all[j])
			}
		}
		in := m.under(&room.boxes[i], mask)
		at := entryOf(bucket, i)
		m.entry(at, at[abi.EntryRow], room.all[i], m.windows(in[:], &room.whole), others)
	}
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
