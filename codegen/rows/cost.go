package rows

import (
	"fmt"
	"math/bits"
	"math/rand/v2"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// What a step of a lookup costs, in nanoseconds: BenchmarkLookup of package conformance on
// an otherwise idle machine. Only ratios decide; Speed scales what is shown.
const (
	costProbe = 7.0 // of a table
	costLevel = 4.0 // of a tree
	costCheck = 5.0 // of a row
	costFar   = 9.0 // the same where the structure is larger than the processor's own cache
)

// nearBytes is what the caches next to a processor hold of a structure that packets use
// in turn with everything else.
const nearBytes = 1 << 20

// costSample is how many packets are looked up to estimate a structure.
const costSample = 256

// Choice says how the rows of a chain are looked up, and what that costs for packets drawn
// from them.
type Choice struct {
	Table, Chain  string
	Rows          int
	Tuples, Trees int // none of both: a list
	NS            float64
}

// String is the choice in words.
func (c Choice) String() string {
	how := "one after the other"
	switch {
	case c.Tuples > 0 && c.Trees > 0:
		how = fmt.Sprintf("in %d tables and %d trees", c.Tuples, c.Trees)
	case c.Trees > 0:
		how = fmt.Sprintf("in %d trees", c.Trees)
	case c.Tuples > 0:
		how = fmt.Sprintf("in %d tables", c.Tuples)
	}
	return fmt.Sprintf("%d rows looked up %s, about %.0f ns", c.Rows, how, c.NS)
}

// point is a packet as trees see it.
type point [maxDims]uint32

// draw gives a packet that a row takes.
func (m *Memory) draw(r *rand.Rand, n uint32) (p point) {
	b := m.box(n)
	for i := range m.dims() {
		p[i] = b[i].lo
		if width := uint64(b[i].hi) - uint64(b[i].lo); width > 0 {
			p[i] += uint32(r.Uint64N(width + 1))
		}
	}
	return p
}

// key gives the words that tables hash; names and marks are those of a row's key.
func (m *Memory) key(p *point, value *key) (k key) {
	words := m.Family.Bits() / 32
	for i := range 2 * words {
		k.addresses[i/2] |= uint64(bits.ReverseBytes32(p[i])) << (i % 2 * 32)
	}
	k.other = value.other
	k.other[transportWord] = uint64(bits.ReverseBytes16(uint16(p[2*words]))) |
		uint64(bits.ReverseBytes16(uint16(p[2*words+1])))<<16 | uint64(p[2*words+2])<<32
	return k
}

func (b *box) has(p *point, dims int) bool {
	for i := range dims {
		if p[i] < b[i].lo || p[i] > b[i].hi {
			return false
		}
	}
	return true
}

// walk is one lookup on its way, and what it has cost.
type walk struct {
	m                      *Memory
	p                      point
	k                      key
	bound                  uint32 // only smaller labels
	probes, levels, checks int
}

// check asks a row; true: no later one of the list need be asked.
func (w *walk) check(n uint32) bool {
	row := w.m.row(n)
	w.checks++
	if row[abi.RowDead] != forever {
		return false
	}
	if row[abi.RowLabel] >= w.bound {
		return true
	}
	b := w.m.box(n)
	if b.has(&w.p, w.m.dims()) {
		w.bound = row[abi.RowLabel]
		return true
	}
	return false
}

// tables does what next_in_tuples() of bpf/classify.h does.
func (w *walk) tables(d []uint32) {
	size := familyTupleSize(w.m.Family)
	for i := range d[abi.ChainNTuples] {
		t := w.m.Index[d[abi.ChainTuples]+i*size:]
		if t[abi.TupleLeast] >= w.bound {
			continue
		}
		w.probes++
		mask := w.m.readMask(t[abi.TupleMask:])
		h := w.m.masked(&w.k, &mask)
		slot := w.m.Index[t[abi.TupleSlots]+uint32(h>>t[abi.TupleShift])]
		if tag := slot >> abi.SlotTag; slot == 0 || tag != abi.TagMixed && tag != uint32(h&0x7f) {
			continue
		}
		for n := slot & abi.SlotRow; n != 0 && !w.check(n); n = w.m.row(n)[abi.RowNext] {
		}
	}
}

// trees does what next_in_trees() does.
func (w *walk) trees(d []uint32) {
	for i := range d[abi.ChainNTrees] {
		t := w.m.Index[d[abi.ChainTrees]+i*abi.TreeSize:]
		if t[abi.TreeLeast] >= w.bound {
			continue
		}
		root := w.m.Index[t[abi.TreeRoot]:]
		node := root
		for w.levels++; node[abi.NodeTo]&abi.NodeLeaf != abi.NodeLeaf; w.levels++ {
			v := w.number(node[abi.NodeTo] & abi.NodeLeaf)
			at := node[abi.NodeTo] >> abi.NodeChild
			if v >= node[abi.NodeLimit] {
				at += abi.NodeSize
			}
			node = root[at:]
		}
		leaf := root[node[abi.NodeTo]>>abi.NodeChild:]
		for _, n := range leaf[:node[abi.NodeLimit]] {
			if w.check(n) {
				break
			}
		}
	}
}

// number is what a node asks of the packet.
func (w *walk) number(off uint32) uint32 {
	for i := range w.m.dims() {
		if at, shift := w.m.factOf(i); at == off {
			return w.p[i] << shift
		}
	}
	return 0
}

// estimate says what a lookup of the structures in a descriptor costs, on average over
// packets that are drawn from the rows.
func (b *builder) estimate(d []uint32, entries []entry, words int) float64 {
	r := rand.New(rand.NewPCG(1, 2))
	var sum walk
	n := min(costSample, len(entries))
	for i := range n {
		e := &entries[i*len(entries)/n]
		w := walk{m: &b.Memory, p: b.draw(r, e.n), bound: forever}
		w.k = b.key(&w.p, &e.value)
		w.tables(d)
		w.trees(d)
		sum.probes += w.probes
		sum.levels += w.levels
		sum.checks += w.checks
	}
	ns := costProbe*float64(sum.probes) + costLevel*float64(sum.levels) + costCheck*float64(sum.checks)
	if 4*words+len(entries)*int(4*b.rowSize()) > nearBytes {
		// The upper levels of trees and the rows of a list that was reached are near.
		ns += costFar * (float64(sum.probes) + float64(sum.levels)/2 + float64(sum.checks)/2)
	}
	return ns / float64(max(n, 1))
}

// familyTupleSize is the length of a tuple table's description.
func familyTupleSize(f packet.Family) uint32 {
	if f == packet.IPv6 {
		return abi.TupleSize6
	}
	return abi.TupleSize4
}
