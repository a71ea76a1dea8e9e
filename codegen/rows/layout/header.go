package layout

import (
	"encoding/binary"
	"slices"
	"sync"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// Words of the header that the datapath does not read.
const (
	OwnLayout    = abi.HeaderOwn + iota // signature() of the program that made the generation
	OwnIndexUsed                        // words of the index that are taken
	OwnRowsUsed                         // rows that were ever taken, row 0 included
	OwnBuilt                            // how many words were taken when the generation was made
	OwnFree                             // first row that can be taken again, linked by RowArg: with a counter slot
	OwnBare                             // and without one
	OwnUnlinked                         // first row that only packets on their way can still meet
	OwnDead                             // how many rows are dead and linked
	OwnDirty                            // an edit has begun and has not ended
	OwnIDs                              // counter slots that were ever taken
	OwnIDsMax                           // and how many there are
	OwnChainsMax                        // how many descriptors of chains there are, those to come included
	OwnFreeChain                        // first descriptor that can be taken again, plus one, linked by ChainDead
	OwnKeys                             // HashKeys: a pair of words each
	OwnFreed     = OwnKeys + 8          // offsets of words that can be taken again, see wordClasses
)

// FirstVersion is the version of a new image; the datapath reads 0 as "not known".
const FirstVersion = 1

// ownVersion changes with the words above and with what this package writes elsewhere.
const ownVersion = 3

// signature identifies what is where in a memory. Every change of the datapath changes it,
// rather than only those of the layout.
var signature = sync.OnceValue(func() uint32 {
	sum := abi.NetfilterSum()
	return binary.LittleEndian.Uint32(sum[:]) + ownVersion
})

// Current says whether this program knows what is where: not if another version has made
// the generation.
func (m *Memory) Current() bool { return m.Index[OwnLayout] == signature() }

// Open gives the memory of a generation from its maps.
func Open(family packet.Family, rows, index []uint32) *Memory {
	m := &Memory{Family: family, Rows: rows, Index: index}
	for i := range m.Keys {
		at := index[int(OwnKeys)+2*i:]
		m.Keys[i] = uint64(at[0]) | uint64(at[1])<<32
	}
	return m
}

// Complete fills the header of a memory that is laid out, and says how many words and rows are
// taken.
func (m *Memory) Complete() (words, rows uint32) {
	h := m.Index
	words, rows = uint32(len(h)), uint32(len(m.Rows))/m.RowSize()
	h[abi.HeaderVersion] = FirstVersion
	h[OwnLayout] = signature()
	h[OwnIndexUsed], h[OwnBuilt], h[OwnRowsUsed] = words, words, rows
	for i, k := range m.Keys {
		h[int(OwnKeys)+2*i], h[int(OwnKeys)+2*i+1] = uint32(k), uint32(k>>32)
	}
	return words, rows
}

// Instructions are those that programs of rows of a chain may have, as bits by kind.
func (m *Memory) Instructions(chain int) uint64 {
	d := m.Chain(chain)
	return uint64(d[abi.ChainOps]) | uint64(d[abi.ChainMoreOps])<<32
}

// SetInstructions says which these are.
func (m *Memory) SetInstructions(chain int, ops uint64) {
	d := m.Chain(chain)
	d[abi.ChainOps], d[abi.ChainMoreOps] = uint32(ops), uint32(ops>>32)
}

// Needs is what the datapath fills of the facts for rows of a chain (abi.Need*).
func (m *Memory) Needs(chain int) uint32 { return m.Chain(chain)[abi.ChainNeeds] }

// SetNeeds says what it is.
func (m *Memory) SetNeeds(chain int, needs uint32) { m.Chain(chain)[abi.ChainNeeds] = needs }

// SetSeat says what the seat of a level and a hook has: 1 more than the number of its base chain,
// and flags.
func (m *Memory) SetSeat(level, hook, base, flags uint32) {
	s := m.Seat(level, hook)
	s[abi.SeatBase], s[abi.SeatFlags], s[abi.SeatCodeDead] = base, flags, Forever
}

// LevelInstructions are those that programs of rows may have for the tables with seats of a level: one
// program runs them all.
func (m *Memory) LevelInstructions(level uint32) (ops uint64) {
	tables := map[uint32]bool{}
	for hook := range abi.SeatHooks {
		if base := m.Seat(level, hook)[abi.SeatBase]; base != 0 {
			tables[m.Chain(int(base) - 1)[abi.ChainTable]] = true
		}
	}
	for c := range int(m.Index[abi.HeaderNChains]) {
		if tables[m.Chain(c)[abi.ChainTable]] {
			ops |= m.Instructions(c)
		}
	}
	return ops
}

// Seats gives the words of all seats of some base chains; nil: of all.
func (m *Memory) Seats(bases []int) (out [][]uint32) {
	for level := uint32(0); abi.HeaderSeats+(level+1)*abi.SeatHooks*abi.SeatSize <= abi.HeaderSize; level++ {
		for hook := range abi.SeatHooks {
			if s := m.Seat(level, hook); s[abi.SeatBase] != 0 && (bases == nil || slices.Contains(bases, int(s[abi.SeatBase])-1)) {
				out = append(out, s)
			}
		}
	}
	return out
}

// Seat gives the words of a seat.
func (m *Memory) Seat(level, hook uint32) []uint32 {
	at := abi.HeaderSeats + (level*abi.SeatHooks+hook)*abi.SeatSize
	return m.Index[at : at+abi.SeatSize : at+abi.SeatSize]
}

// EveryHook is all hooks of netfilter, 1 << packet.Hook.
const EveryHook = 1<<(packet.Postrouting+1) - 1

// ReachedBy is what a set of hooks is multiplied with where abi.ChainReached has it.
const ReachedBy = abi.ChainReached / 0xff

// NewChain is the descriptor of a chain without rows that packets see from a version on.
func NewChain(born uint32) []uint32 {
	d := make([]uint32, abi.ChainSize)
	d[abi.ChainKind], d[abi.ChainBorn], d[abi.ChainDead] = abi.KindList, born, Forever
	return d
}

// SetLead says that the rules of a chain up to some label are also code.
func (m *Memory) SetLead(chain int, label uint32) {
	d := m.Chain(chain)
	d[abi.ChainLead], d[abi.ChainLeadDead] = label, Forever
}

// LastUpTo gives the last row of a chain, in the order of the rules, that has no larger label;
// 0: there is none.
func (m *Memory) LastUpTo(chain int, label uint32) (last uint32) {
	for n := m.Chain(chain)[abi.ChainFirst]; n != 0 && m.Row(n)[abi.RowLabel] <= label; n = m.Row(n)[abi.RowOrder] {
		last = n
	}
	return last
}
