package rows

import (
	"fmt"

	"github.com/bpftables/bpftables/bpf/abi"
)

// linkOrder links a row behind another, or as the first one.
func (m *Memory) linkOrder(d []uint32, prev, n uint32) {
	d[abi.ChainRows]++
	at := &d[abi.ChainFirst]
	if prev != 0 {
		at = &m.row(prev)[abi.RowOrder]
	}
	m.row(n)[abi.RowOrder] = *at
	store(at, n)
}

// linkTuple links a row into the table that fixes most of what it fixes and has room. In
// the table without masks packets ask all rows: when it has many more than it was made
// with, other tables are due.
func (m *Memory) linkTuple(d []uint32, r *row, n, label uint32) error {
	if d[abi.ChainKind] != abi.KindTuples {
		return nil
	}
	value, mask := m.fixed(r)
	var t []uint32 // the best table
	var best key   // its mask
	number, hash, ones := uint32(0), uint64(0), -1
	size := familyTupleSize(m.Family)
	for i := range d[abi.ChainTables] {
		table := m.Index[d[abi.ChainTuples]+i*size:]
		tm := m.readMask(table[abi.TupleMask:])
		o := tm.ones()
		if o <= ones || !tm.within(&mask) {
			continue
		}
		if h := m.masked(&value, &tm); o == 0 || m.hasRoom(m.bucket(table, h)) {
			t, best, number, hash, ones = table, tm, i, h, o
		}
	}
	if ones == 0 && t[abi.TupleRows] >= t[abi.TupleOwn] {
		return fmt.Errorf("%w: too many rows fit into no table", ErrNoRoom)
	}
	if label < t[abi.TupleLeast] {
		store(&t[abi.TupleLeast], label)
	}
	t[abi.TupleRows]++
	m.linkBucket(m.bucket(t, hash), &best, n, label, tagOf(hash))
	if number >= d[abi.ChainNTuples] {
		store(&d[abi.ChainNTuples], number+1)
	}
	return nil
}

func (m *Memory) readMask(at []uint32) (k key) {
	n := 1
	if m.Family.Bits() == 128 {
		n = 4
	}
	for i := range n {
		k.addresses[i] = uint64(at[2*i]) | uint64(at[2*i+1])<<32
	}
	for i := range k.other {
		k.other[i] = uint64(at[2*(n+i)]) | uint64(at[2*(n+i)+1])<<32
	}
	return k
}

// hasRoom says whether the list of a bucket is short.
func (m *Memory) hasRoom(bucket []uint32) bool {
	n := bucket[abi.BucketMore]
	for i := 0; n != 0; i++ {
		if i == 2*maxSame {
			return false
		}
		n = m.row(n)[abi.RowNext]
	}
	return true
}

// linkBucket links a row into its bucket: an entry of its own, or a place in the list. A
// packet that reads the tags or walks the list meets it whole, with or without the row.
func (m *Memory) linkBucket(bucket []uint32, mask *key, n, label, tagged uint32) {
	for i := range abi.BucketRows {
		if tag(bucket, i) == 0 {
			var mine, whole [maxWindows]span
			row := m.box(n)
			in := m.under(&row, mask)
			m.entry(entryOf(bucket, i), n, m.windows(row[:], &mine), m.windows(in[:], &whole), nil)
			setTag(bucket, i, tagged)
			return
		}
	}
	m.linkList(&bucket[abi.BucketMore], n, label)
	setTag(bucket, moreRows, 1)
}

// linkList links a row into a list, in the order of labels.
func (m *Memory) linkList(first *uint32, n, label uint32) {
	head := *first
	if head == 0 || m.row(head)[abi.RowLabel] > label {
		m.row(n)[abi.RowNext] = head
		store(first, n)
		return
	}
	prev := head
	for next := m.row(prev)[abi.RowNext]; next != 0 && m.row(next)[abi.RowLabel] <= label; next = m.row(prev)[abi.RowNext] {
		prev = next
	}
	m.row(n)[abi.RowNext] = m.row(prev)[abi.RowNext]
	store(&m.row(prev)[abi.RowNext], n)
}
