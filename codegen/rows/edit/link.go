package edit

import (
	"fmt"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/codegen/rows/layout"
	"github.com/bpftables/bpftables/codegen/rows/rule"
)

// linkOrder links a row behind another, or as the first one.
func (m *Chains) linkOrder(d []uint32, prev, n uint32) {
	d[abi.ChainRows]++
	at := &d[abi.ChainFirst]
	if prev != 0 {
		at = &m.Row(prev)[abi.RowOrder]
	}
	m.Row(n)[abi.RowOrder] = *at
	layout.Store(at, n)
}

// linkTuple links a row into the tuple that fixes most of what it fixes and has room. In
// the tuple without masks packets ask all rows: when it has many more than it was made
// with, other tuples are due.
func (m *Chains) linkTuple(d []uint32, r *rule.Row, n, label uint32) error {
	if d[abi.ChainKind] != abi.KindTuples {
		return nil
	}
	value, mask := m.Fixed(r)
	var t []uint32      // the best tuple
	var best layout.Key // its mask
	number, hash, ones := uint32(0), uint64(0), -1
	size := m.TupleSize()
	for i := range d[abi.ChainAllTuples] {
		tuple := m.Index[d[abi.ChainTuples]+i*size:]
		tm := m.ReadMask(tuple[abi.TupleMask:])
		o := tm.Ones()
		if o <= ones || !tm.Within(&mask) {
			continue
		}
		if h := m.Hash(&value, &tm); o == 0 || m.hasRoom(m.Bucket(tuple, h)) {
			t, best, number, hash, ones = tuple, tm, i, h, o
		}
	}
	if ones == 0 && t[abi.TupleRows] >= t[abi.TupleOwn] {
		return fmt.Errorf("%w: too many rows fit into no tuple", ErrNoRoom)
	}
	if label < t[abi.TupleLeast] {
		layout.Store(&t[abi.TupleLeast], label)
	}
	if label > t[abi.TupleMost] {
		layout.Store(&t[abi.TupleMost], label)
	}
	t[abi.TupleRows]++
	m.linkBucket(m.Bucket(t, hash), &best, n, label, layout.TagOf(hash))
	if number >= d[abi.ChainNTuples] {
		layout.Store(&d[abi.ChainNTuples], number+1)
	}
	return nil
}

// hasRoom says whether the list of a bucket is short.
func (m *Chains) hasRoom(bucket []uint32) bool {
	n := bucket[abi.BucketMore]
	for i := 0; n != 0; i++ {
		if i == 2*layout.MaxSame {
			return false
		}
		n = m.Row(n)[abi.RowNext]
	}
	return true
}

// linkBucket links a row into its bucket: an entry of its own, or a position in the list. A
// packet that reads the tags or walks the list meets it whole, with or without the row.
func (m *Chains) linkBucket(bucket []uint32, mask *layout.Key, n, label, tagged uint32) {
	for i := range abi.BucketRows {
		if layout.Tag(bucket, i) == 0 {
			m.Alone(layout.EntryOf(bucket, i), n, mask)
			layout.SetTag(bucket, i, tagged)
			return
		}
	}
	m.linkList(&bucket[abi.BucketMore], n, label)
	layout.SetTag(bucket, layout.MoreRows, 1)
}

// linkList links a row into a list, in the order of labels.
func (m *Chains) linkList(first *uint32, n, label uint32) {
	head := *first
	if head == 0 || m.Row(head)[abi.RowLabel] > label {
		m.Row(n)[abi.RowNext] = head
		layout.Store(first, n)
		return
	}
	prev := head
	for next := m.Row(prev)[abi.RowNext]; next != 0 && m.Row(next)[abi.RowLabel] <= label; next = m.Row(prev)[abi.RowNext] {
		prev = next
	}
	m.Row(n)[abi.RowNext] = m.Row(prev)[abi.RowNext]
	layout.Store(&m.Row(prev)[abi.RowNext], n)
}
