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
	best, number, ones := uint32(0), uint32(0), -1
	size := familyTupleSize(m.Family)
	for i := range d[abi.ChainTables] {
		at := d[abi.ChainTuples] + i*size
		tm := m.readMask(m.Index[at+abi.TupleMask:])
		k := value.and(&tm)
		if o := tm.ones(); o > ones && tm.within(&mask) && (o == 0 || m.hasRoom(at, &k, &tm)) {
			best, number, ones = at, i, o
		}
	}
	t := m.Index[best:]
	if ones == 0 && t[abi.TupleRows] >= t[abi.TupleOwn] {
		return fmt.Errorf("%w: too many rows fit into no table", ErrNoRoom)
	}
	tm := m.readMask(t[abi.TupleMask:])
	k := value.and(&tm)
	h := m.hash(&k, tm.wide())
	if label < t[abi.TupleLeast] {
		store(&t[abi.TupleLeast], label)
	}
	t[abi.TupleRows]++
	m.linkBucket(m.bucket(t, h), &tm, n, label, tagOf(h))
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

// hasRoom says whether the list of a key is short.
func (m *Memory) hasRoom(at uint32, k, mask *key) bool {
	bucket := m.bucket(m.Index[at:], m.hash(k, mask.wide()))
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
			in, own := m.under(n, mask), m.box(n)
			m.entries(entryOf(bucket, i), []uint32{n}, [][]span{own[:]}, &in)
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
