package layout

import (
	"slices"
	"sync"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/ruleset/parallel"
)

// grafted is how many rows a part of a tree has at most that is laid out for itself: parts
// are laid out at the same time, and which ones depends on the rows alone.
const grafted = 1 << 12

// tree is a decision tree on its way, or a part of one.
type tree struct {
	m      *Memory
	rows   []uint32
	dims   int
	spans  []Span // by row and number
	words  []uint32
	most   int     // so many words may there be before leaves are not split anymore
	ids    []int32 // room for the rows of parts
	spare  []int32 // more of it, that nobody uses now
	sample sample
	later  []graft // parts that are laid out for themselves; only of a whole tree
	whole  bool
	leafRoom
}

// trees are those of parts that were laid out, for their room.
var trees = sync.Pool{New: func() any { return new(tree) }}

// graft is a part of a tree that is to be put where its first node is.
type graft struct {
	at    int
	part  part
	words []uint32
}

// leafRoom is what is used again for every leaf.
type leafRoom struct {
	space  [maxWindows]Span
	row    [maxWindows]Span
	others near
}

// box gives the spans of a row.
func (t *tree) box(id int32) []Span { return t.spans[int(id)*t.dims : int(id+1)*t.dims] }

// appendTree appends the words of the tree for some rows.
func appendTree(index []uint32, m *Memory, entries []*Entry) []uint32 {
	t := &tree{m: m, rows: make([]uint32, len(entries)), dims: m.Dims(), most: treeWords / 2, whole: true}
	t.spans = make([]Span, 0, t.dims*len(entries))
	ids := make([]int32, len(entries))
	for i, e := range entries {
		t.rows[i], ids[i] = e.N, int32(i)
		b := m.Box(e.N)
		t.spans = append(t.spans, b[:t.dims]...)
	}
	t.words = make([]uint32, abi.NodeSize)
	t.node(0, &part{ids, m.all(), treeCopies * len(ids), treeDepth})
	parallel.Each(len(t.later), func(i int) { t.grow(&t.later[i]) })
	return t.appendTo(index)
}

// grow lays out a part that was left for later.
func (t *tree) grow(g *graft) {
	sub := trees.Get().(*tree)
	sub.m, sub.rows, sub.dims, sub.spans = t.m, t.rows, t.dims, t.spans
	sub.most = int(int64(t.most) * int64(g.part.room) / int64(treeCopies*len(t.rows)))
	sub.words = append(sub.words[:0], make([]uint32, abi.NodeSize)...)
	sub.node(0, &g.part)
	g.words, g.part.ids = slices.Clone(sub.words), nil
	sub.m, sub.rows, sub.spans = nil, nil, nil
	trees.Put(sub)
}

// appendTo appends all words, each part behind the one before.
func (t *tree) appendTo(index []uint32) []uint32 {
	root, size := len(index), len(t.words)
	for i := range t.later {
		size += len(t.later[i].words)
	}
	index = append(slices.Grow(index, size), t.words...)
	for i := range t.later {
		g := &t.later[i]
		shift(g.words, 0, uint32(len(index)-root-int(abi.NodeSize)))
		copy(index[root+g.at:], g.words[:abi.NodeSize])
		index = append(index, g.words[abi.NodeSize:]...)
		g.words = nil
	}
	return index
}

// shift makes a node, and all that are below it, point further by some words.
func shift(words []uint32, at int, by uint32) {
	child := int(words[at+int(abi.NodeChild)])
	words[at+int(abi.NodeChild)] += by
	if words[at+int(abi.NodeFacts)] == abi.NodeLeaf {
		return
	}
	for i := range 4 {
		if next := child + i*int(abi.NodeSize); words[next+int(abi.NodeChild)] != 0 {
			shift(words, next, by)
		}
	}
}

// part is what a node of a tree has below it: rows, the packets that come there, how many
// entries in leaves the rows may have, and how many more decisions there may be.
type part struct {
	ids   []int32
	in    Box
	room  int
	depth int
}

// node writes a node for some rows and all that is below it.
func (t *tree) node(at int, p *part) {
	if t.whole && len(p.ids) <= grafted {
		later := *p
		later.ids = slices.Clone(p.ids) // the room is given back before
		t.later = append(t.later, graft{at: at, part: later})
		return
	}
	ids := t.ids
	defer func() { t.giveBack(ids) }() // nobody reads those of parts below it anymore
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
			t.words[left+int(abi.NodeFacts)] = abi.NodeLeaf
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
	off, shift := t.m.FactOf(c.dim)
	t.words[at+int(abi.NodeLimits)+which] = c.limit << shift
	t.words[at+int(abi.NodeFacts)] |= off << (8 * which)
}

// decision is by which number the rows of a part are divided, and how.
type decision struct {
	dim   int
	limit uint32
	sides [2]part // below the limit, and the others
}

// cut divides a part; not if it has few rows, or they would need too much room.
func (t *tree) cut(p *part) (c decision, ok bool) {
	n := len(p.ids)
	if n <= LeafRows || p.depth == 0 || len(t.words) > t.most {
		return c, false
	}
	if c.dim, c.limit, ok = t.split(p.ids, &p.in); !ok {
		return c, false
	}
	both := t.take(2 * n)
	below, behind := 0, 0
	for _, i := range p.ids {
		s := t.spans[int(i)*t.dims+c.dim]
		if s.Lo < c.limit {
			both[below] = i
			below++
		}
		if s.Hi >= c.limit {
			both[n+behind] = i
			behind++
		}
	}
	sum := below + behind
	if max(below, behind) == n || sum > p.room {
		t.ids = t.ids[:len(t.ids)-2*n]
		return c, false
	}
	copy(both[below:], both[n:n+behind])
	t.ids = t.ids[:len(t.ids)-(2*n-sum)]
	c.sides[0] = part{both[:below:below], p.in, p.room * below / sum, p.depth - 1}
	c.sides[1] = part{both[below:sum:sum], p.in, p.room * behind / sum, p.depth - 1}
	c.sides[0].in[c.dim].Hi, c.sides[1].in[c.dim].Lo = c.limit-1, c.limit
	return c, true
}

// take gives room for the rows of parts.
func (t *tree) take(n int) []int32 {
	if cap(t.ids)-len(t.ids) < n {
		if cap(t.spare) < n {
			t.spare = make([]int32, 0, 3*n)
		}
		t.ids, t.spare = t.spare, nil
	}
	at := len(t.ids)
	t.ids = t.ids[:at+n]
	return t.ids[at:]
}

// giveBack goes back to the room that there was before; what came instead is spare.
func (t *tree) giveBack(before []int32) {
	now := t.ids
	t.ids = before
	if cap(now) > max(cap(before), cap(t.spare)) {
		t.spare = now[:0]
	}
}

// leaf writes a leaf.
func (t *tree) leaf(at int, p *part) {
	begin := len(t.words)
	t.words[at+int(abi.NodeLimits)] = uint32(len(p.ids))
	t.words[at+int(abi.NodeFacts)] = abi.NodeLeaf
	t.words[at+int(abi.NodeChild)] = uint32(begin)
	t.words = append(t.words, make([]uint32, len(p.ids)*int(abi.EntrySize))...)
	room := &t.leafRoom
	whole := t.m.windows(p.in[:], &room.space)
	room.others.n = 0
	for _, id := range p.ids[:min(len(p.ids), known)] {
		room.others.add(t.m.windows(t.box(id), &room.row))
	}
	for i, id := range p.ids {
		a := t.m.inLeaf(t.box(id), &p.in, whole, &room.others)
		t.m.ask(t.words[begin+i*int(abi.EntrySize):], t.rows[id], &a)
	}
}
