package state

import "slices"

// order is the rules of a changed chain, as numbers of rules. It has a gap where it
// was last changed: changes side by side cost the same however long the chain is,
// and others move what lies between.
type order struct {
	buf      []uint32
	gap, end int // buf[gap:end] is the gap
}

// newOrder is a run of n numbers.
func newOrder(first, n uint32) *order {
	buf := make([]uint32, n, n+n/8+8)
	for i := range buf {
		buf[i] = first + uint32(i)
	}
	return &order{buf: buf, gap: len(buf), end: len(buf)}
}

func (o *order) len() int { return len(o.buf) - (o.end - o.gap) }

// slot is where number i is in the buffer.
func (o *order) slot(i int) int {
	if i < o.gap {
		return i
	}
	return i + o.end - o.gap
}

func (o *order) at(i int) uint32 { return o.buf[o.slot(i)] }

// set replaces number i and gives what was there.
func (o *order) set(i int, n uint32) uint32 {
	at := o.slot(i)
	was := o.buf[at]
	o.buf[at] = n
	return was
}

// move brings the gap before number i.
func (o *order) move(i int) {
	size := o.end - o.gap
	switch {
	case i < o.gap:
		copy(o.buf[i+size:o.end], o.buf[i:o.gap])
	case i > o.gap:
		copy(o.buf[o.gap:i], o.buf[o.end:i+size])
	}
	o.gap, o.end = i, i+size
}

// insert puts n before number i.
func (o *order) insert(i int, n uint32) {
	if o.gap == o.end {
		o.grow()
	}
	o.move(i)
	o.buf[o.gap] = n
	o.gap++
}

// grow makes a gap at the end.
func (o *order) grow() {
	n := len(o.buf)
	o.buf = slices.Grow(o.buf, n/8+8)
	o.buf = o.buf[:cap(o.buf)]
	o.gap, o.end = n, len(o.buf)
}

// remove takes number i out.
func (o *order) remove(i int) uint32 {
	o.move(i)
	n := o.buf[o.end]
	o.end++
	return n
}
