package choice

import (
	"fmt"
	"math/bits"
	"math/rand/v2"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/codegen/rows/layout"
)

// What the steps of a lookup cost in nanoseconds, beside the lines of the cache that they
// touch: BenchmarkLookup of package conformance. A machine that is slower by some factor is slower
// with all of them (Costs.Slower).
const (
	costProbe = 12.0 // of a tuple
	costLevel = 7.0  // of a tree
	costEntry = 2.5  // of a row in a bucket or a leaf
	costCheck = 15.0 // of a row
)

// leafLines is how many lines a packet touches in a leaf, on the last steps of its way
// there included: those before are shared by many packets.
const leafLines = 3

// costSample is how many packets are looked up to estimate a structure.
const costSample = 256

// Choice says how the rows of a chain are looked up, and what that costs for packets drawn
// from them.
type Choice struct {
	Table, Chain  string
	Rows          int
	Tuples, Trees int // none of both: a list
	NS            float64
	does          lookup
}

// lookup is what lookups do, on average over packets that are drawn from the rows.
type lookup struct {
	probes, levels, entries, checks, leaves float64
}

// lines is how many lines of the cache are touched.
func (l *lookup) lines() float64 { return l.probes + l.checks + leafLines*l.leaves }

// ns is what a lookup costs, in nanoseconds, on a machine that is slower by some factor. A
// line of the structures costs perLine.
func (l *lookup) ns(slower, perLine float64) float64 {
	steps := costProbe*l.probes + costLevel*l.levels + costEntry*l.entries + costCheck*l.checks
	return slower*steps + perLine*l.lines()
}

// String is the choice in words.
func (c Choice) String() string {
	how := "one after the other"
	switch {
	case c.Tuples > 0 && c.Trees > 0:
		how = "in " + number(c.Tuples, "tuple") + " and " + number(c.Trees, "tree")
	case c.Trees > 0:
		how = "in " + number(c.Trees, "tree")
	case c.Tuples > 0:
		how = "in " + number(c.Tuples, "tuple")
	}
	how = fmt.Sprintf("%d rows looked up %s, about %.0f ns", c.Rows, how, c.NS)
	if c.Tuples+c.Trees == 0 {
		return how
	}
	return how + fmt.Sprintf(" (%.1f buckets, %.1f nodes, %.1f rows)", c.does.probes, c.does.levels, c.does.checks)
}

func number(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// draw gives a packet that a row takes.
func draw(m *layout.Memory, r *rand.Rand, n uint32) (p layout.Point) {
	b := m.Box(n)
	for i := range m.Dims() {
		p[i] = b[i].Lo
		if width := uint64(b[i].Hi) - uint64(b[i].Lo); width > 0 {
			p[i] += uint32(r.Uint64N(width + 1))
		}
	}
	return p
}

// keyOf gives the words that tuples hash; names and marks are those of a row's key.
func keyOf(m *layout.Memory, p *layout.Point, value *layout.Key) (k layout.Key) {
	words := m.Family.Bits() / 32
	for i := range 2 * words {
		k.Addresses[i/2] |= uint64(bits.ReverseBytes32(p[i])) << (i % 2 * 32)
	}
	k.Other = value.Other
	k.Other[layout.TransportWord] = uint64(bits.ReverseBytes16(uint16(p[2*words]))) |
		uint64(bits.ReverseBytes16(uint16(p[2*words+1])))<<16 | uint64(p[2*words+2])<<32
	return k
}

// walk is one lookup on its way, and what it has done.
type walk struct {
	m     *layout.Memory
	p     layout.Point
	k     layout.Key
	bound uint32 // only smaller labels
	lookup
}

// meets asks an entry.
func (w *walk) meets(entry []uint32) bool {
	w.entries++
	return w.m.Meets(&w.p, entry)
}

// check asks a row; true: no later one of the list need be asked.
func (w *walk) check(n uint32) bool {
	row := w.m.Row(n)
	w.checks++
	if row[abi.RowDead] != layout.Forever {
		return false
	}
	if row[abi.RowLabel] >= w.bound {
		return true
	}
	b := w.m.Box(n)
	if b.Has(&w.p, w.m.Dims()) {
		w.bound = row[abi.RowLabel]
		return true
	}
	return false
}

// tuples does what next_in_tuples() of bpf/lookup/search.h does.
func (w *walk) tuples(d []uint32) {
	size := w.m.TupleSize()
	for i := range d[abi.ChainNTuples] {
		t := w.m.Index[d[abi.ChainTuples]+i*size:]
		if t[abi.TupleLeast] >= w.bound {
			continue
		}
		w.probes++
		mask := w.m.ReadMask(t[abi.TupleMask:])
		h := w.m.Hash(&w.k, &mask)
		bucket := w.m.Bucket(t, h)
		for i := range abi.BucketRows {
			if layout.Tag(bucket, i) == layout.TagOf(h) && w.meets(layout.EntryOf(bucket, i)) {
				w.check(layout.EntryOf(bucket, i)[abi.EntryRow] & abi.RowNumber)
			}
		}
		if layout.Tag(bucket, layout.MoreRows) == 0 {
			continue
		}
		for n := bucket[abi.BucketMore]; n != 0 && !w.check(n); n = w.m.Row(n)[abi.RowNext] {
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
		for w.levels++; node[abi.NodeFacts] != abi.NodeLeaf; w.levels++ {
			child := 2 * w.decide(node, 0)
			child += w.decide(node, 1+child/2)
			node = root[node[abi.NodeChild]+child*abi.NodeSize:]
		}
		w.leaves++
		leaf := root[node[abi.NodeChild]:]
		for i := range node[abi.NodeLimits] {
			entry := leaf[i*abi.EntrySize:]
			if w.meets(entry) && w.check(entry[abi.EntryRow]&abi.RowNumber) {
				break
			}
		}
	}
}

// decide is decision() there.
func (w *walk) decide(node []uint32, which uint32) uint32 {
	off := node[abi.NodeFacts] >> (8 * which) & 0xff
	for i := range w.m.Dims() {
		if at, shift := w.m.FactOf(i); at == off {
			if w.p[i]<<shift >= node[abi.NodeLimits+which] {
				return 1
			}
		}
	}
	return 0
}

// estimate says what lookups in the structures of a descriptor do.
func (p *picker) estimate(d []uint32) lookup {
	entries := p.chain.Entries
	r := rand.New(rand.NewPCG(1, 2))
	var sum lookup
	n := min(costSample, len(entries))
	for i := range n {
		e := &entries[i*len(entries)/n]
		w := walk{m: p.m, p: draw(p.m, r, e.N), bound: layout.Forever}
		value := p.chain.values.Of(e)
		w.k = keyOf(p.m, &w.p, &value)
		w.tuples(d)
		w.trees(d)
		sum.probes += w.probes
		sum.levels += w.levels
		sum.entries += w.entries
		sum.checks += w.checks
		sum.leaves += w.leaves
	}
	by := float64(max(n, 1))
	return lookup{sum.probes / by, sum.levels / by, sum.entries / by, sum.checks / by, sum.leaves / by}
}
