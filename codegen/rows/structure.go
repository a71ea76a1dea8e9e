package rows

import (
	"slices"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/translate/plan"
)

const (
	// maxRest is how many rows that no table takes are asked one after the other.
	maxRest = 12
	// treesFrom is from what estimate on trees are tried instead of tables: below, they
	// cannot be faster.
	treesFrom = 60.0
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
	ns := forced(c)
	if !c.Trees {
		ns = b.tables(d, c, tables, others, entries)
	}
	if c.Trees || !c.Forced && ns > treesFrom {
		ns = b.onlyTrees(d, begin, ns, entries, tables)
	}
	b.Choices = append(b.Choices, Choice{
		Table: c.Table, Chain: c.Chain, Rows: len(entries), NS: ns,
		Tuples: b.filled(d), Trees: int(d[abi.ChainNTrees]),
	})
}

// forced is an estimate that anything is better than, if trees are forced.
func forced(c *plan.Class) float64 {
	if c.Trees {
		return 1e9
	}
	return 0
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
func (b *builder) tables(d []uint32, c *plan.Class, tables []*tuple, others []*entry, entries []entry) float64 {
	begin := len(b.Index)
	if !c.Forced {
		tables, others = cutTail(tables, others, len(entries))
	}
	if !c.Forced && len(others) > maxRest {
		d[abi.ChainTrees], d[abi.ChainNTrees] = b.trees(others)
		others = nil
	}
	d[abi.ChainTuples], d[abi.ChainNTuples] = b.tuples(tables, others)
	return b.estimate(d, entries, len(b.Index)-begin)
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

// onlyTrees lays out trees for all rows, in the place of the words from begin on if that
// is faster than ns.
func (b *builder) onlyTrees(d []uint32, begin int, ns float64, entries []entry, tables []*tuple) float64 {
	end, some := len(b.Index), b.Trees
	alone := slices.Clone(d)
	alone[abi.ChainNTuples] = 0
	alone[abi.ChainTrees], alone[abi.ChainNTrees] = b.trees(pointers(entries))
	better := b.estimate(alone, entries, len(b.Index)-end)
	if better >= ns {
		b.Index, b.Trees = b.Index[:end], some
		return ns
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
	d[abi.ChainTuples], d[abi.ChainNTuples] = b.tuples(spare, nil)
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
