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
		b.Index = appendTree(b.Index, &b.Memory, g)
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
