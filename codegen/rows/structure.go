package rows

import (
	"math"
	"slices"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/translate/plan"
)

const (
	// maxRest is how many rows that no table takes are asked one after the other.
	maxRest = 12
	// treesFrom is from how many lines of the cache on that packets touch in tables trees are
	// tried instead: below, they cannot be faster.
	treesFrom = 5.0
	// manyTables is from how many tables on they are not even tried: one tree was always better.
	manyTables = 8
	// groupsFrom is from how many entries on that packets read in one tree several are tried
	// instead.
	groupsFrom = 100.0
	// smallTables is how many small tables are not better than trees for their rows.
	smallTables = 8
	// insertTables is how many tables a chain with trees alone has for rules to come.
	insertTables = 4
)

// choose lays out the tables and trees of a chain: tables with trees for what they do
// not take, or trees alone where those are faster.
func (b *builder) choose(d []uint32, c *plan.Class, entries []entry) {
	begin := len(b.Index)
	tables, others := b.chooseTuples(entries)
	b.line = b.costs.Line(b.Rows[entries[0].n*b.rowSize():])
	best := estimated{ns: math.MaxFloat64}
	noTables := c.Trees || !c.Forced && len(tables) > manyTables
	if !noTables {
		best = b.tables(d, c, tables, others, entries)
	}
	if noTables || !c.Forced && best.lines() > treesFrom {
		best = b.onlyTrees(d, begin, best, entries, tables, [][]*entry{pointers(entries)})
	}
	if (c.Trees || !c.Forced) && best.entries > groupsFrom {
		best = b.onlyTrees(d, begin, best, entries, tables, b.groups(pointers(entries)))
	}
	b.Choices = append(b.Choices, Choice{
		Table: c.Table, Chain: c.Chain, Rows: len(entries), NS: best.ns, does: best.lookup,
		Tuples: b.filled(d), Trees: int(d[abi.ChainNTrees]),
	})
}

// estimated is what lookups are expected to do and to cost.
type estimated struct {
	lookup
	ns float64
}

// judge estimates lookups by a descriptor, whose words of the index begin somewhere.
func (b *builder) judge(d []uint32, begin int, entries []entry) estimated {
	l := b.estimate(d, entries)
	size := len(b.Index) - begin + len(entries)*int(b.rowSize())
	slower := b.costs.Slower()
	return estimated{l, l.ns(slower, b.line.of(4*size, slower))}
}

// filled counts tables with rows.
func (b *builder) filled(d []uint32) (n int) {
	for i := range d[abi.ChainNTuples] {
		if b.Index[d[abi.ChainTuples]+i*familyTupleSize(b.Family)+abi.TupleLeast] != forever {
			n++
		}
	}
	return n
}

// tables lays out tables, and trees for the other rows if there are more than a few.
func (b *builder) tables(d []uint32, c *plan.Class, tables []*tuple, others []*entry, entries []entry) estimated {
	begin := len(b.Index)
	if !c.Forced {
		tables, others = cutTail(tables, others, len(entries))
	}
	if !c.Forced && len(others) > maxRest {
		d[abi.ChainTrees], d[abi.ChainNTrees] = b.trees([][]*entry{others})
		others = nil
	}
	b.tuples(d, tables, others)
	return b.judge(d, begin, entries)
}

// cutTail leaves out many small tables.
func cutTail(tables []*tuple, others []*entry, n int) ([]*tuple, []*entry) {
	small := 0
	for _, t := range tables {
		if len(t.entries) < n/512 {
			small++
		}
	}
	if small < smallTables {
		return tables, others
	}
	var kept []*tuple
	for _, t := range tables {
		if len(t.entries) < n/512 {
			others = append(others, t.entries...)
		} else {
			kept = append(kept, t)
		}
	}
	slices.SortStableFunc(others, byLabel)
	return kept, others
}

// onlyTrees lays out a tree for each group of the rows, in the place of the words from begin
// on if that is faster than what is there.
func (b *builder) onlyTrees(d []uint32, begin int, best estimated, entries []entry, tables []*tuple, groups [][]*entry) estimated {
	end, some := len(b.Index), b.Trees
	alone := slices.Clone(d)
	alone[abi.ChainNTuples] = 0
	alone[abi.ChainTrees], alone[abi.ChainNTrees] = b.trees(groups)
	better := b.judge(alone, end, entries)
	if better.ns >= best.ns {
		b.Index, b.Trees = b.Index[:end], some
		return best
	}
	b.move(alone, begin, end)
	for i := range entries {
		b.row(entries[i].n)[abi.RowNext] = 0
	}
	// Changes in place put rows into tables.
	var spare []*tuple
	for _, t := range tables[:min(len(tables), insertTables)] {
		spare = append(spare, &tuple{mask: t.mask, room: len(entries) / 16})
	}
	copy(d, alone)
	b.tuples(d, spare, nil)
	return better
}

// move puts the trees that end at the last word to another place.
func (b *builder) move(d []uint32, to, from int) {
	b.Index = b.Index[:to+copy(b.Index[to:], b.Index[from:])]
	d[abi.ChainTrees] -= uint32(from - to)
	for i := range d[abi.ChainNTrees] {
		b.Index[d[abi.ChainTrees]+i*abi.TreeSize+abi.TreeRoot] -= uint32(from - to)
	}
}

func pointers(entries []entry) []*entry {
	out := make([]*entry, len(entries))
	for i := range entries {
		out[i] = &entries[i]
	}
	return out
}
