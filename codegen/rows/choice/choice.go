package choice

import (
	"math"
	"slices"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/codegen/rows/layout"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/translate/plan"
)

const (
	// maxRest is up to how many rows that no tuple takes are asked one after the other; more
	// get trees.
	maxRest = 12
	// treesFrom is how many lines of the cache a packet has to touch in tuples for trees to be
	// tried instead: trees never touch fewer.
	treesFrom = 5.0
	// manyTuples is how many tuples are too many to be tried: one tree was always better.
	manyTuples = 8
	// groupsFrom is how many entries a packet has to read in one tree for several trees to be
	// tried instead.
	groupsFrom = 100.0
	// smallTuples is how many small tuples there must be for their rows to move to trees.
	smallTuples = 8
	// insertTuples is how many tuples a chain with trees alone has for rules to come.
	insertTuples = 4
)

// Chain is the rows of a chain, with what they fix of a packet's key.
type Chain struct {
	Entries []layout.Entry
	values  *layout.Values
	masks   []layout.Key         // of the rows, by number
	kinds   map[layout.Key]int32 // their numbers
}

// NewChain has room for some rows.
func NewChain(family packet.Family, rows int) *Chain {
	return &Chain{
		Entries: make([]layout.Entry, 0, rows), values: layout.NewValues(family, rows), kinds: map[layout.Key]int32{},
	}
}

// Add appends a row.
func (c *Chain) Add(n, label uint32, value, mask *layout.Key) {
	kind, ok := c.kinds[*mask]
	if !ok {
		kind = int32(len(c.masks))
		c.kinds[*mask] = kind
		c.masks = append(c.masks, *mask)
	}
	c.Entries = append(c.Entries, layout.Entry{N: n, Label: label, Kind: kind, Value: c.values.Add(value)})
}

// picker lays out one chain.
type picker struct {
	m     *layout.Memory
	class *plan.Class
	chain *Chain
	costs Costs
	line  Line // what touching rows of the chain costs
}

// Choose lays out how the rows of a chain are found, and describes that in its descriptor:
// tuples with trees for what they do not take, or trees alone where those are faster; no
// structure for few rows. False: there are none.
func Choose(m *layout.Memory, d []uint32, class *plan.Class, c *Chain, costs Costs) (Choice, bool) {
	p := &picker{m: m, class: class, chain: c, costs: costs}
	out := Choice{Table: class.Table, Chain: class.Chain, Rows: len(c.Entries)}
	if len(c.Entries) == 0 || !class.Forced && len(c.Entries) <= layout.ShortList {
		d[abi.ChainKind] = abi.KindList
		out.NS = costCheck * costs.Slower() * float64(len(c.Entries)+1) / 2
		return out, len(c.Entries) > 0
	}
	d[abi.ChainKind] = abi.KindTuples
	best := p.choose(d)
	out.NS, out.does, out.Tuples, out.Trees = best.ns, best.lookup, p.filled(d), int(d[abi.ChainNTrees])
	return out, true
}

func (p *picker) choose(d []uint32) estimated {
	c := p.class
	begin := len(p.m.Index)
	tuples, others := p.chooseTuples()
	p.line = p.costs.Line(p.m.Rows[p.chain.Entries[0].N*p.m.RowSize():])
	best := estimated{ns: math.MaxFloat64}
	noTuples := c.Trees || !c.Forced && len(tuples) > manyTuples
	if noTuples {
		for _, t := range tuples {
			t.Entries = nil // of which the masks alone are used
		}
	} else {
		best = p.tuples(d, tuples, others)
	}
	if noTuples || !c.Forced && best.lines() > treesFrom {
		best = p.onlyTrees(d, begin, best, tuples, [][]*layout.Entry{pointers(p.chain.Entries)})
	}
	if (c.Trees || !c.Forced) && best.entries > groupsFrom {
		best = p.onlyTrees(d, begin, best, tuples, p.groups(pointers(p.chain.Entries)))
	}
	return best
}

// estimated is what lookups are expected to do and to cost.
type estimated struct {
	lookup
	ns float64
}

// judge estimates lookups by a descriptor, whose words of the index begin somewhere.
func (p *picker) judge(d []uint32, begin int) estimated {
	l := p.estimate(d)
	size := len(p.m.Index) - begin + len(p.chain.Entries)*int(p.m.RowSize())
	slower := p.costs.Slower()
	return estimated{l, l.ns(slower, p.line.of(4*size, slower))}
}

// filled counts tuples with rows.
func (p *picker) filled(d []uint32) (n int) {
	for i := range d[abi.ChainNTuples] {
		if p.m.Index[d[abi.ChainTuples]+i*p.m.TupleSize()+abi.TupleLeast] != layout.Forever {
			n++
		}
	}
	return n
}

// tuples lays out tuples, and trees for the other rows if there are more than a few.
func (p *picker) tuples(d []uint32, tuples []*layout.Tuple, others []*layout.Entry) estimated {
	begin := len(p.m.Index)
	if !p.class.Forced {
		tuples, others = cutTail(tuples, others, len(p.chain.Entries))
	}
	if !p.class.Forced && len(others) > maxRest {
		d[abi.ChainTrees], d[abi.ChainNTrees] = p.m.Trees([][]*layout.Entry{others})
		others = nil
	}
	p.m.Tuples(d, tuples, others)
	return p.judge(d, begin)
}

// cutTail leaves out many small tuples.
func cutTail(tuples []*layout.Tuple, others []*layout.Entry, n int) ([]*layout.Tuple, []*layout.Entry) {
	small := 0
	for _, t := range tuples {
		if len(t.Entries) < n/512 {
			small++
		}
	}
	if small < smallTuples {
		return tuples, others
	}
	var kept []*layout.Tuple
	for _, t := range tuples {
		if len(t.Entries) < n/512 {
			others = append(others, t.Entries...)
		} else {
			kept = append(kept, t)
		}
	}
	slices.SortStableFunc(others, layout.ByLabel)
	return kept, others
}

// onlyTrees lays out a tree for each group of the rows, instead of the words from begin
// on if that is faster than what is there.
func (p *picker) onlyTrees(d []uint32, begin int, best estimated, tuples []*layout.Tuple, groups [][]*layout.Entry) estimated {
	end := len(p.m.Index)
	alone := slices.Clone(d)
	alone[abi.ChainNTuples] = 0
	alone[abi.ChainTrees], alone[abi.ChainNTrees] = p.m.Trees(groups)
	better := p.judge(alone, end)
	if better.ns >= best.ns {
		p.m.Index = p.m.Index[:end]
		return best
	}
	p.move(alone, begin, end)
	entries := p.chain.Entries
	for i := range entries {
		p.m.Row(entries[i].N)[abi.RowNext] = 0
	}
	// Changes in place put rows into tuples.
	var spare []*layout.Tuple
	for _, t := range tuples[:min(len(tuples), insertTuples)] {
		spare = append(spare, &layout.Tuple{Mask: t.Mask, Room: len(entries) / 16})
	}
	copy(d, alone)
	p.m.Tuples(d, spare, nil)
	return better
}

// move puts the trees that end at the last word elsewhere.
func (p *picker) move(d []uint32, to, from int) {
	p.m.Index = p.m.Index[:to+copy(p.m.Index[to:], p.m.Index[from:])]
	d[abi.ChainTrees] -= uint32(from - to)
	for i := range d[abi.ChainNTrees] {
		p.m.Index[d[abi.ChainTrees]+i*abi.TreeSize+abi.TreeRoot] -= uint32(from - to)
	}
}

func pointers(entries []layout.Entry) []*layout.Entry {
	out := make([]*layout.Entry, len(entries))
	for i := range entries {
		out[i] = &entries[i]
	}
	return out
}
