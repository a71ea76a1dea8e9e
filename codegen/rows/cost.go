package rows

import (
	"fmt"
	"math/bits"
	"math/rand/v2"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// What the steps of a lookup cost in nanoseconds, beside the lines of the cache that they
// touch: BenchmarkLookup of package conformance. A machine that is slower by some factor is slower
// with all of them (Costs.Slower).
const (
	costProbe = 12.0 // of a table
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
		how = "in " + number(c.Tuples, "table") + " and " + number(c.Trees, "tree")
	case c.Trees > 0:
		how = "in " + number(c.Trees, "tree")
	case c.Tuples > 0:
		how = "in " + number(c.Tuples, "table")
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

// walk is one lookup on its way, and what it has done.
type walk struct {
	m     *Memory
	p     point
	k     key
	bound uint32 // only smaller labels
	lookup
}

// meets asks an entry.
func (w *walk) meets(entry []uint32) bool {
	w.entries++
	return w.m.meets(&w.p, entry)
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

// tables does what next_in_tuples() of bpf/lookup/search.h does.
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
		bucket := w.m.bucket(t, h)
		for i := range abi.BucketRows {
			if tag(bucket, i) == tagOf(h) && w.meets(entryOf(bucket, i)) {
				w.check(entryOf(bucket, i)[abi.EntryRow] & abi.RowNumber)
			}
		}
		if tag(bucket, moreRows) == 0 {
			continue
		}
		for n := bucket[abi.BucketMore]; n != 0 && !w.check(n); n = w.m.row(n)[abi.RowNext] {
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
		for w.levels++; node[abi.NodePlaces] != abi.NodeLeaf; w.levels++ {
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
	place := node[abi.NodePlaces] >> (8 * which) & 0xff
	for i := range w.m.dims() {
		if at, shift := w.m.factOf(i); at == place {
			return bit(w.p[i]<<shift >= node[abi.NodeLimits+which], 0)
		}
	}
	return 0
}

// estimate says what lookups in the structures of a descriptor do.
func (b *builder) estimate(d []uint32, entries []entry) lookup {
	r := rand.New(rand.NewPCG(1, 2))
	var sum lookup
	n := min(costSample, len(entries))
	for i := range n {
		e := &entries[i*len(entries)/n]
		w := walk{m: &b.Memory, p: b.draw(r, e.n), bound: forever}
		w.k = b.key(&w.p, &e.value)
		w.tables(d)
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

// familyTupleSize is the length of a tuple table's description.
func familyTupleSize(f packet.Family) uint32 {
	if f == packet.IPv6 {
		return abi.TupleSize6
	}
	return abi.TupleSize4
}
