package layout

import (
	"encoding/binary"
	"sync/atomic"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/codegen/rows/rule"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// Forever is the death of a row that lives.
const Forever = ^uint32(0)

// Memory is the two maps of a generation's classified chains: the copy that is being
// built, or the maps themselves.
type Memory struct {
	Family packet.Family
	Rows   []uint32
	Index  []uint32
	Keys   HashKeys
}

// RowSize is the length of a row in words.
func (m *Memory) RowSize() uint32 {
	if m.Family == packet.IPv6 {
		return abi.RowSize6
	}
	return abi.RowSize4
}

// Row gives the words of a row.
func (m *Memory) Row(n uint32) []uint32 {
	size := m.RowSize()
	return m.Rows[n*size : (n+1)*size : (n+1)*size]
}

// RowsMask is one less than the number of rows that the map of a generation has room for.
func (m *Memory) RowsMask() uint32 { return uint32(len(m.Rows))/m.RowSize() - 1 }

// IndexMask is one less than the number of words of its index, without the slack.
func (m *Memory) IndexMask() uint32 { return uint32(len(m.Index)) - abi.IndexSlack - 1 }

// HasTrees says whether some chain has decision trees.
func (m *Memory) HasTrees() bool {
	for c := range int(m.Index[abi.HeaderNChains]) {
		if m.Chain(c)[abi.ChainNTrees] > 0 {
			return true
		}
	}
	return false
}

// Version is the version that packets see.
func (m *Memory) Version() uint32 { return atomic.LoadUint32(&m.Index[abi.HeaderVersion]) }

// Chain gives the descriptor of a chain.
func (m *Memory) Chain(number int) []uint32 {
	at := abi.HeaderSize + uint32(number)*abi.ChainSize
	return m.Index[at : at+abi.ChainSize : at+abi.ChainSize]
}

// Write puts a row under its number; links and label are the caller's.
func (m *Memory) Write(n, label, born uint32, r *rule.Row, program, arg uint32) {
	w := m.Row(n)
	w[abi.RowLabel], w[abi.RowBorn], w[abi.RowDead] = label, born, Forever
	w[abi.RowID] = r.ID
	w[abi.RowAction] = r.Action | (r.Flags|r.Plain())<<4 | r.States<<abi.RowStates
	w[abi.RowArg] = arg
	w[abi.RowProgram] = program
	w[abi.RowSPort], w[abi.RowDPort] = r.SPort.Word(), r.DPort.Word()
	w[abi.RowProto] = uint32(r.Proto) | uint32(r.TCPMask)<<8 | uint32(r.TCPValue)<<16 | uint32(r.Need)<<24
	w[abi.RowOrder], w[abi.RowNext] = 0, 0
	at := w[abi.RowSrc:]
	size := m.Family.Bits() / 8
	for _, part := range [][]byte{r.Src[:size], r.SrcMask[:size], r.Dst[:size], r.DstMask[:size]} {
		for i := 0; i < size; i += 4 {
			at[0] = binary.LittleEndian.Uint32(part[i:])
			at = at[1:]
		}
	}
}

// NewRow appends a row.
func (m *Memory) NewRow() uint32 {
	n := uint32(len(m.Rows)) / m.RowSize()
	for range m.RowSize() {
		m.Rows = append(m.Rows, 0)
	}
	return n
}

// Entry is a row of a chain that is laid out.
type Entry struct {
	N     uint32
	Label uint32
	Kind  int32 // number of its mask
	Value int32 // number of its value among those of the chain
}

// Labels of a new chain lie in the middle half of what a word holds, so that rules can
// be put before and behind them.
const (
	LabelFirst = 1 << 30
	LabelRoom  = 1 << 31
	LabelStep  = 1 << 20 // at most
)

// ShortList is up to how many rows are asked one after the other.
const ShortList = 8

// Store writes a word that packets may be reading.
func Store(word *uint32, v uint32) { atomic.StoreUint32(word, v) }
