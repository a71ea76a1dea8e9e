package edit

import (
	"fmt"
	"slices"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/codegen/rows/layout"
)

// KindError says that a program of rows alone is needed for a change, or one that can run more than the
// one that is there: it is to run Ops for the base chains Bases. Widen is called when it does.
type KindError struct {
	Bases []int
	Ops   uint64 // instructions, as bits
	table uint32
}

// Error says so.
func (e *KindError) Error() string {
	return "rows that the programs of the table do not run, or not all of their conditions"
}

// kind is the error of a change of a chain that may ask for some instructions: a KindError, or ErrNoRoom
// where no program of rows alone can run the table.
func (m *Chains) kind(chain int, ops uint64) error {
	if e := m.asks(chain, ops); len(e.Bases) > 0 {
		return e
	}
	return fmt.Errorf("%w: a condition of a new kind", ErrNoRoom)
}

// asks is what programs of rows alone have to run for the table of a chain, and some instructions.
func (m *Chains) asks(chain int, ops uint64) *KindError {
	e := &KindError{Ops: ops, table: m.Chain(chain)[abi.ChainTable]}
	for _, c := range m.of(e.table) {
		e.Ops |= m.Instructions(c)
	}
	for _, s := range m.Seats(nil) {
		base := int(s[abi.SeatBase]) - 1
		if m.Chain(base)[abi.ChainTable] == e.table {
			e.Bases = append(e.Bases, base)
		}
	}
	return e
}

// of are the chains of a table.
func (m *Chains) of(table uint32) (out []int) {
	for c := range int(m.Index[abi.HeaderNChains]) {
		if m.Chain(c)[abi.ChainTable] == table {
			out = append(out, c)
		}
	}
	return out
}

// Interpreted says whether packets meet rows where code could be: there is none, or it is not what the
// rules say any more.
func (m *Chains) Interpreted() bool {
	for _, s := range m.Seats(nil) {
		if s[abi.SeatFlags]&abi.SeatCoded == 0 || s[abi.SeatCodeDead] <= m.Version() {
			return true
		}
	}
	return false
}

// Slots is how many rules and policies the generation has had.
func (m *Chains) Slots() int { return int(m.Index[layout.OwnIDs]) }

// Kinds are what programs of rows alone have to run for the rules as they are, for the tables that are
// code and have none yet.
func (m *Chains) Kinds() (out []*KindError) {
	done := map[uint32]bool{}
	for _, s := range m.Seats(nil) {
		base := int(s[abi.SeatBase]) - 1
		table := m.Chain(base)[abi.ChainTable]
		if s[abi.SeatFlags]&(abi.SeatCoded|abi.SeatRuns) == abi.SeatCoded && !done[table] {
			done[table] = true
			out = append(out, m.asks(base, 0))
		}
	}
	return out
}

// Unread is an error for a rule of a chain that reads more of a packet than is read for the chain: a
// KindError if a program of rows alone would read it, else ErrNoRoom.
func (m *Chains) Unread(chain int, needs uint32) error {
	switch more := needs &^ m.Needs(chain); {
	case more == 0:
		return nil
	case more&^abi.NeedRowsAlone != 0:
		return fmt.Errorf("%w: it reads what is not read of packets", ErrNoRoom)
	}
	return m.kind(chain, 0)
}

// Widen says that there is now what an error has asked for.
func (m *Chains) Widen(e *KindError) {
	coded := uint32(0)
	for _, s := range m.Seats(e.Bases) {
		coded |= s[abi.SeatFlags] & abi.SeatCoded
	}
	for _, c := range m.of(e.table) {
		needs := m.Needs(c) | abi.NeedRowsAlone // code of another table may read less
		if coded != 0 {
			// The code that looks this chain up, too, knows neither the instructions nor what they read. That comes
			// first: the process may be killed here.
			m.Chain(c)[abi.ChainCoded] = 1
			needs = abi.NeedRowsAlone
		}
		m.SetNeeds(c, needs)
		m.SetInstructions(c, e.Ops)
	}
}

// outdate says that code is not what the rules say any more, for the packets that see a change of a
// chain which is code, too.
func (e *Batch) outdate(chain int) error {
	if e.m.Chain(chain)[abi.ChainCoded] == 0 {
		return nil
	}
	return e.codeEnds(chain)
}

// leadTo says so where a rule leads from a chain that code looks up to one of which it can run less than of the first.
func (e *Batch) leadTo(chain, to int) error {
	m := e.m
	if m.Instructions(to)&^m.Instructions(chain) == 0 && m.Needs(to)&^m.Needs(chain) == 0 {
		return nil
	}
	return e.codeEnds(chain)
}

// leadBehind says so where packets get to the rules behind a row of the chain.
func (e *Batch) leadBehind(chain int, row uint32) error {
	for n := e.m.Row(row)[abi.RowOrder]; n != 0; n = e.m.Row(n)[abi.RowOrder] {
		w := e.m.Row(n)
		if op := w[abi.RowAction] & 0xf; !e.shows(w) || op != abi.DoJump && op != abi.DoGoto {
			continue
		}
		if err := e.leadTo(chain, int(w[abi.RowArg]&0xffff)); err != nil {
			return err
		}
	}
	return nil
}

// codeEnds sends the packets that see a change of a chain to a program of rows alone, at all hooks of its table.
// Without one there is a KindError.
func (e *Batch) codeEnds(chain int) error {
	d := e.m.Chain(chain)
	for _, s := range e.m.Seats(nil) {
		if s[abi.SeatFlags]&abi.SeatCoded == 0 || e.m.Chain(int(s[abi.SeatBase]) - 1)[abi.ChainTable] != d[abi.ChainTable] {
			continue
		}
		if s[abi.SeatFlags]&abi.SeatRuns == 0 {
			return e.m.kind(chain, 0)
		}
		if s[abi.SeatCodeDead] > e.version {
			layout.Store(&s[abi.SeatCodeDead], e.version)
		}
	}
	return nil
}

// Track has packets dropped, at the seats of the table of a chain, whose connections should be tracked, and are not as
// another program has switched that off.
func (m *Chains) Track(chain int) {
	for _, s := range m.Seats(nil) {
		if m.Chain(int(s[abi.SeatBase]) - 1)[abi.ChainTable] == m.Chain(chain)[abi.ChainTable] {
			s[abi.SeatFlags] |= abi.NeedTracked
		}
	}
}

// CodeTracks says whether code, where it is what the rules say once the change is there, wants connections to be tracked.
func (e *Batch) CodeTracks() bool {
	const both = abi.SeatCoded | abi.NeedTracked
	return slices.ContainsFunc(e.m.Seats(nil), func(s []uint32) bool {
		return s[abi.SeatFlags]&both == both && s[abi.SeatCodeDead] > e.version
	})
}

// Untrack has no packet dropped any more because its connection is not tracked.
func (m *Chains) Untrack() {
	for _, s := range m.Seats(nil) {
		s[abi.SeatFlags] &^= abi.NeedTracked
	}
}

// codeLives says that code is what the rules say, where a version that comes to nothing said that it
// was not.
func (m *Chains) codeLives(version uint32) {
	for _, s := range m.Seats(nil) {
		if s[abi.SeatCodeDead] == version {
			layout.Store(&s[abi.SeatCodeDead], layout.Forever)
		}
	}
}
