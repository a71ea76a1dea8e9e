package rows

import (
	"math/bits"
	"slices"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/codegen/emit"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

const (
	// leafRows is how many rows a leaf may have without being split.
	leafRows = 32
	// treeCopies is how many places in leaves a tree has at most for each of its rows.
	treeCopies = 8
	// treeDepth bounds the way to a leaf.
	treeDepth = 40
	// treeSample is how many rows of a node are looked at to split it.
	treeSample = 64
	// treeWords is how far a node can point.
	treeWords = 1 << 24
)

// maxDims is the most numbers that trees of a family split by.
const maxDims = 11

// span is a range of numbers.
type span struct{ lo, hi uint32 }

// box has a span for every number that trees split by: the words of both addresses, both
// ports, the protocol.
type box [maxDims]span

// dims is how many numbers there are.
func (m *Memory) dims() int {
	if m.Family == packet.IPv6 {
		return maxDims
	}
	return 5
}

// factOf gives the place of a number in the facts, and by how many bits it is shorter
// than a word.
func (m *Memory) factOf(dim int) (off uint32, shift int) {
	words := m.Family.Bits() / 32
	switch n := dim - 2*words; {
	case n < 0:
		return emit.Address(m.Family, false).Place() + uint32(4*dim), 0
	case n < 2:
		return emit.L4.Place() + uint32(2*n), 16
	}
	off, _ = place(pred.FieldProto)
	return off, 24
}

// box is where a row may match; outside of it, it does not.
func (m *Memory) box(n uint32) (b box) {
	w := m.row(n)
	flags := w[abi.RowAction] >> 4
	words := m.Family.Bits() / 32
	for i := range words {
		b[i] = address(flags&abi.NotSrc, w[int(abi.RowSrc)+i], w[int(abi.RowSrc)+words+i])
		b[words+i] = address(flags&abi.NotDst, w[int(abi.RowSrc)+2*words+i], w[int(abi.RowSrc)+3*words+i])
	}
	b[2*words] = ports(flags&abi.NotSPort, w[abi.RowSPort])
	b[2*words+1] = ports(flags&abi.NotDPort, w[abi.RowDPort])
	b[2*words+2] = span{0, 0xff}
	if flags&(abi.HasProto|abi.NotProto) == abi.HasProto {
		b[2*words+2] = span{w[abi.RowProto] & 0xff, w[abi.RowProto] & 0xff}
	}
	return b
}

func address(not, value, mask uint32) span {
	if not != 0 {
		return span{0, ^uint32(0)}
	}
	lo := bits.ReverseBytes32(value & mask)
	return span{lo, lo | ^bits.ReverseBytes32(mask)}
}

func ports(not, word uint32) span {
	if not != 0 {
		return span{0, 0xffff}
	}
	return span{word & 0xffff, word >> 16}
}

// all is the box of every packet.
func (m *Memory) all() (b box) {
	for i := range m.dims() {
		_, shift := m.factOf(i)
		b[i].hi = ^uint32(0) >> shift
	}
	return b
}

// trees lays out decision trees for groups of rows of a chain, each in the order of their
// labels, and gives where they begin and how many they are.
func (b *builder) trees(groups [][]*entry) (at, n uint32) {
	at = uint32(len(b.Index))
	b.Index = append(b.Index, make([]uint32, int(abi.TreeSize)*len(groups))...)
	for i, g := range groups {
		d := at + uint32(i)*abi.TreeSize
		b.Index[d+abi.TreeRoot] = uint32(len(b.Index))
		b.Index[d+abi.TreeLeast] = g[0].label
		b.Index[d+abi.TreeRows] = uint32(len(g))
		t := newTree(&b.Memory, g)
		b.Index = append(b.Index, t.words...)
	}
	b.Trees = b.Trees || len(groups) > 0
	return at, uint32(len(groups))
}

// groups puts rows apart whose addresses are wide: in one tree with others they would be
// in most of its leaves. Few rows do not make a group of their own where others are wider.
func (b *builder) groups(entries []*entry) [][]*entry {
	var by [4][]*entry
	for _, e := range entries {
		i := b.wide(e, 0) + 2*b.wide(e, 1)
		by[i] = append(by[i], e)
	}
	for i := range 3 {
		if small := len(by[i]); small > 0 && small <= max(leafRows, len(entries)/32) {
			to := 3
			if i == 0 && len(by[1]) > 0 {
				to = 1
			} else if i == 0 && len(by[2]) > 0 {
				to = 2
			}
			by[to] = append(by[to], by[i]...)
			slices.SortStableFunc(by[to], byLabel)
			by[i] = nil
		}
	}
	var out [][]*entry
	for _, g := range by {
		if len(g) > 0 {
			out = append(out, g)
		}
	}
	slices.SortFunc(out, func(x, y []*entry) int { return byLabel(x[0], y[0]) })
	return out
}

func byLabel(x, y *entry) int { return int(int64(x.label) - int64(y.label)) }

// wide says whether a row takes many addresses: 1 or 0.
func (b *builder) wide(e *entry, which int) int {
	mask := &b.masks[e.kind]
	ones, least := bits.OnesCount32(uint32(mask.addresses[0]>>(32*which))), 17
	if b.Family == packet.IPv6 {
		ones = bits.OnesCount64(mask.addresses[2*which]) + bits.OnesCount64(mask.addresses[2*which+1])
		least = 40
	}
	if ones < least {
		return 1
	}
	return 0
}

// tree is a decision tree on its way.
type tree struct {
	m     *Memory
	rows  []uint32
	dims  int
	spans []span // by row and number
	words []uint32
	los   []uint32
	his   []uint32
}

// box gives the spans of a row.
func (t *tree) box(id int32) []span { return t.spans[int(id)*t.dims : int(id+1)*t.dims] }

func newTree(m *Memory, entries []*entry) *tree {
	t := &tree{m: m, rows: make([]uint32, len(entries)), dims: m.dims()}
	t.spans = make([]span, 0, t.dims*len(entries))
	ids := make([]int32, len(entries))
	for i, e := range entries {
		t.rows[i], ids[i] = e.n, int32(i)
		b := m.box(e.n)
		t.spans = append(t.spans, b[:t.dims]...)
	}
	t.words = make([]uint32, abi.NodeSize, 8*len(entries)+16)
	t.node(0, &part{ids, m.all(), treeCopies * len(ids), treeDepth})
	return t
}

// part is what a node of a tree has below it: rows, the packets that come there, how many
// places in leaves the rows may take, and how many more decisions there may be.
type part struct {
	ids   []int32
	in    box
	room  int
	depth int
}

// node writes a node for some rows and all that is below it.
func (t *tree) node(at int, p *part) {
	c, ok := t.cut(p)
	if !ok {
		t.leaf(at, p)
		return
	}
	child := len(t.words)
	t.words = append(t.words, make([]uint32, 4*abi.NodeSize)...)
	t.words[at+int(abi.NodeChild)] = uint32(child)
	t.decide(at, 0, &c)
	for i := range c.sides {
		left, right := child+2*i*int(abi.NodeSize), child+(2*i+1)*int(abi.NodeSize)
		next, ok := t.cut(&c.sides[i])
		if !ok {
			// No number is below 0: all packets go to the right.
			t.decide(at, 1+i, &decision{dim: c.dim})
			t.words[left+int(abi.NodePlaces)] = abi.NodeLeaf
			t.leaf(right, &c.sides[i])
			continue
		}
		t.decide(at, 1+i, &next)
		t.node(left, &next.sides[0])
		t.node(right, &next.sides[1])
	}
}

// decide writes one of the decisions of a node.
func (t *tree) decide(at, which int, c *decision) {
	place, shift := t.m.factOf(c.dim)
	t.words[at+int(abi.NodeLimits)+which] = c.limit << shift
	t.words[at+int(abi.NodePlaces)] |= place << (8 * which)
}

// decision is by which number the rows of a part are divided, and how.
type decision struct {
	dim   int
	limit uint32
	sides [2]part // below the limit, and the others
}

// cut divides a part; not if it has few rows, or they would need too much room.
func (t *tree) cut(p *part) (c decision, ok bool) {
	if len(p.ids) <= leafRows || p.depth == 0 {
		return c, false
	}
	if c.dim, c.limit, ok = t.split(p.ids, &p.in); !ok {
		return c, false
	}
	below, behind := make([]int32, 0, len(p.ids)*5/8), make([]int32, 0, len(p.ids)*5/8)
	for _, i := range p.ids {
		s := t.spans[int(i)*t.dims+c.dim]
		if s.lo < c.limit {
			below = append(below, i)
		}
		if s.hi >= c.limit {
			behind = append(behind, i)
		}
	}
	sum := len(below) + len(behind)
	if max(len(below), len(behind)) == len(p.ids) || sum > p.room || len(t.words) > treeWords/2 {
		return c, false
	}
	c.sides[0] = part{below, p.in, p.room * len(below) / sum, p.depth - 1}
	c.sides[1] = part{behind, p.in, p.room * len(behind) / sum, p.depth - 1}
	c.sides[0].in[c.dim].hi, c.sides[1].in[c.dim].lo = c.limit-1, c.limit
	return c, true
}

func (t *tree) leaf(at int, p *part) {
	begin := len(t.words)
	t.words[at+int(abi.NodeLimits)] = uint32(len(p.ids))
	t.words[at+int(abi.NodePlaces)] = abi.NodeLeaf
	t.words[at+int(abi.NodeChild)] = uint32(begin)
	t.words = append(t.words, make([]uint32, len(p.ids)*int(abi.EntrySize))...)
	var space, rest [maxWindows]span
	var first [known][maxWindows]span
	whole := t.m.windows(p.in[:], &space)
	others := make([][]span, min(len(p.ids), known))
	for i := range others {
		others[i] = t.m.windows(t.box(p.ids[i]), &first[i])
	}
	for i, id := range p.ids {
		mine := t.m.windows(t.box(id), &rest)
		t.m.entry(t.words[begin+i*int(abi.EntrySize):], t.rows[id], mine, whole, others)
	}
}

// split chooses the number and the limit that leave the fewest rows on either side.
func (t *tree) split(ids []int32, in *box) (dim int, limit uint32, ok bool) {
	step := max(1, len(ids)/treeSample)
	best := 10 * ((len(ids) + step - 1) / step)
	for d := range t.dims {
		t.los, t.his = t.los[:0], t.his[:0]
		narrow := false
		for i := 0; i < len(ids); i += step {
			s := t.spans[int(ids[i])*t.dims+d]
			narrow = narrow || s.lo > in[d].lo || s.hi < in[d].hi
			t.los, t.his = append(t.los, max(s.lo, in[d].lo)), append(t.his, min(s.hi, in[d].hi))
		}
		if !narrow {
			continue
		}
		slices.Sort(t.los)
		slices.Sort(t.his)
		if cost, at := cheapest(t.los, t.his, in[d]); cost < best {
			best, dim, limit, ok = cost, d, at, true
		}
	}
	return dim, limit, ok
}

// cheapest finds the best limit for spans that begin at los and end at his, both sorted.
func cheapest(los, his []uint32, in span) (cost int, limit uint32) {
	n := len(los)
	cost = 10 * n
	try := func(at uint32, below, behind int) {
		if c := 4*max(below, behind) + 3*(below+behind); c < cost {
			cost, limit = c, at
		}
	}
	ended := 0
	for i, lo := range los {
		if lo == in.lo || i > 0 && lo == los[i-1] {
			continue
		}
		for ended < n && his[ended] < lo {
			ended++
		}
		try(lo, i, n-ended)
	}
	begun := 0
	for i, hi := range his {
		if hi == in.hi || i+1 < n && his[i+1] == hi {
			continue
		}
		for begun < n && los[begun] <= hi {
			begun++
		}
		try(hi+1, begun, n-i-1)
	}
	return cost, limit
}
