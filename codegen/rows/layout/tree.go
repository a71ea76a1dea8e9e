package layout

import (
	"math/bits"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/codegen/emit"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

const (
	// LeafRows is how many rows a leaf may have without being split.
	LeafRows = 32
	// treeCopies is how many entries in leaves a tree has at most for each of its rows.
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

// Span is a range of numbers.
type Span struct{ Lo, Hi uint32 }

// Box has a span for every number that trees split by: the words of both addresses, both
// ports, the protocol.
type Box [maxDims]Span

// Point is a packet as trees see it.
type Point [maxDims]uint32

// Has says whether a packet is in the box.
func (b *Box) Has(p *Point, dims int) bool {
	for i := range dims {
		if p[i] < b[i].Lo || p[i] > b[i].Hi {
			return false
		}
	}
	return true
}

// Dims is how many numbers there are.
func (m *Memory) Dims() int {
	if m.Family == packet.IPv6 {
		return maxDims
	}
	return 5
}

// FactOf gives the offset of a number in the facts, and by how many bits it is shorter
// than a word.
func (m *Memory) FactOf(dim int) (off uint32, shift int) {
	words := m.Family.Bits() / 32
	switch n := dim - 2*words; {
	case n < 0:
		return emit.Address(m.Family, false).Offset() + uint32(4*dim), 0
	case n < 2:
		return emit.L4.Offset() + uint32(2*n), 16
	}
	c, _ := emit.FieldCell(pred.FieldProto)
	off, _, _ = c.Offset()
	return off, 24
}

// Box is where a row may match; outside of it, it does not.
func (m *Memory) Box(n uint32) (b Box) {
	w := m.Row(n)
	flags := w[abi.RowAction] >> 4
	words := m.Family.Bits() / 32
	for i := range words {
		b[i] = address(flags&abi.NotSrc, w[int(abi.RowSrc)+i], w[int(abi.RowSrc)+words+i])
		b[words+i] = address(flags&abi.NotDst, w[int(abi.RowSrc)+2*words+i], w[int(abi.RowSrc)+3*words+i])
	}
	b[2*words] = ports(flags&abi.NotSPort, w[abi.RowSPort])
	b[2*words+1] = ports(flags&abi.NotDPort, w[abi.RowDPort])
	b[2*words+2] = Span{0, 0xff}
	if flags&(abi.HasProto|abi.NotProto) == abi.HasProto {
		b[2*words+2] = Span{w[abi.RowProto] & 0xff, w[abi.RowProto] & 0xff}
	}
	return b
}

func address(not, value, mask uint32) Span {
	if not != 0 {
		return Span{0, ^uint32(0)}
	}
	lo := bits.ReverseBytes32(value & mask)
	return Span{lo, lo | ^bits.ReverseBytes32(mask)}
}

func ports(not, word uint32) Span {
	if not != 0 {
		return Span{0, 0xffff}
	}
	return Span{word & 0xffff, word >> 16}
}

// all is the box of every packet.
func (m *Memory) all() (b Box) {
	for i := range m.Dims() {
		_, shift := m.FactOf(i)
		b[i].Hi = ^uint32(0) >> shift
	}
	return b
}

// Trees lays out decision trees for groups of rows of a chain, each in the order of their
// labels, and gives where they begin and how many they are.
func (m *Memory) Trees(groups [][]*Entry) (at, n uint32) {
	at = uint32(len(m.Index))
	m.Index = append(m.Index, make([]uint32, int(abi.TreeSize)*len(groups))...)
	for i, g := range groups {
		d := at + uint32(i)*abi.TreeSize
		m.Index[d+abi.TreeRoot] = uint32(len(m.Index))
		m.Index[d+abi.TreeLeast] = g[0].Label
		m.Index[d+abi.TreeRows] = uint32(len(g))
		m.Index = appendTree(m.Index, m, g)
	}
	return at, uint32(len(groups))
}

// ByLabel orders rows as the rules stand.
func ByLabel(x, y *Entry) int { return int(int64(x.Label) - int64(y.Label)) }
