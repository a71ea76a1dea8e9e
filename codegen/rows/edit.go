package rows

import (
	"errors"
	"fmt"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

// ErrNoRoom says that a change does not fit into the maps as they are: a new generation
// has to be made.
var ErrNoRoom = errors.New("the change does not fit into the maps of this generation")

// Edit is a batch of changes in place. Packets see none of them before Publish, and all
// of them after it. One process at a time edits.
type Edit struct {
	m       *Memory
	version uint32 // that the batch makes
	born    []uint32
	died    []uint32
}

// Edit begins a batch.
func (m *Memory) Edit() *Edit {
	if m.Index[ownDirty] != 0 {
		m.recover()
	}
	m.Index[ownDirty] = 1
	return &Edit{m: m, version: m.Version() + 1}
}

// recover takes back what a process that was killed before Publish has begun.
func (m *Memory) recover() {
	e := &Edit{m: m, version: m.Version() + 1}
	for n := uint32(1); n < m.Index[ownRowsUsed]; n++ {
		switch w := m.row(n); {
		case w[abi.RowBorn] == e.version:
			e.born = append(e.born, n)
		case w[abi.RowDead] == e.version:
			e.died = append(e.died, n)
		}
	}
	e.Abort()
}

// Version is the version that packets see after Publish.
func (e *Edit) Version() uint32 { return e.version }

// Publish makes the changes visible, all at once.
func (e *Edit) Publish() {
	e.m.Publish(e.version)
	e.m.Index[ownDead] += uint32(len(e.died))
	e.m.Index[ownDirty] = 0
}

// Abort takes the changes back; no packet has seen them.
func (e *Edit) Abort() {
	for _, n := range e.died {
		store(&e.m.row(n)[abi.RowDead], forever)
	}
	for _, n := range e.born {
		// Born and dead at once: no version shows it. It is unlinked with other dead rows.
		store(&e.m.row(n)[abi.RowDead], 0)
	}
	e.m.Index[ownDead] += uint32(len(e.born))
	e.m.Index[ownDirty] = 0
}

// Needs is what the programs of the generation fill of the facts.
func (m *Memory) Needs() uint32 { return m.Index[ownNeeds] }

// Insert puts a rule behind the rule whose first row is before; 0: in front of all. It
// gives the rule's first row, 0 if the rule can never match, and its counter slot. The
// rule's ID is not used.
func (e *Edit) Insert(chain int, before uint32, r *plan.Rule) (row, id uint32, err error) {
	m := e.m
	compiled, err := compile(m.Family, r, assembler{needs: m.Needs()})
	if err != nil {
		return 0, 0, err
	}
	for i := range compiled {
		if compiled[i].ops&^m.Index[ownOps] != 0 {
			return 0, 0, fmt.Errorf("%w: a condition of a new kind", ErrNoRoom)
		}
	}
	d := m.chain(chain)
	if d[abi.ChainKind] == abi.KindList && d[abi.ChainRows]+uint32(len(compiled)) > longList {
		return 0, 0, fmt.Errorf("%w: a list grows too long", ErrNoRoom)
	}
	prev := m.lastOfRule(before)
	label, err := m.labelBehind(d, prev)
	if err != nil {
		return 0, 0, err
	}
	rows, id, err := m.take(len(compiled))
	if err != nil {
		return 0, 0, err
	}
	for i, n := range rows {
		c := &compiled[i]
		c.id = id
		arg, program, err := e.place(c, r, uint32(chain))
		if err != nil {
			return 0, 0, err
		}
		m.write(n, label, e.version, c, program, arg)
		e.born = append(e.born, n)
		m.linkOrder(d, prev, n)
		if err := m.linkTuple(d, c, n, label); err != nil {
			return 0, 0, err
		}
		prev = n
	}
	if len(rows) > 0 {
		row = rows[0]
	}
	return row, id, nil
}

// Delete takes away the rule whose first row is given.
func (e *Edit) Delete(row uint32) {
	for _, n := range e.m.rowsOf(row) {
		store(&e.m.row(n)[abi.RowDead], e.version)
		e.died = append(e.died, n)
	}
}

// SetPolicy changes the policy of a base chain.
func (e *Edit) SetPolicy(chain int, drop bool) error {
	d := e.m.chain(chain)
	old := e.m.policyOf(d)
	n, err := e.m.takeRow(ownBare)
	if err != nil {
		return err
	}
	r := &row{id: e.m.row(old)[abi.RowID], action: abi.DoAccept, sport: anyPort, dport: anyPort}
	if drop {
		r.action = abi.DoDrop
	}
	e.m.write(n, 0, e.version, r, 0, 0)
	e.m.row(n)[abi.RowOrder] = d[abi.ChainPolicy]
	store(&d[abi.ChainPolicy], n)
	store(&e.m.row(old)[abi.RowDead], e.version)
	e.born, e.died = append(e.born, n), append(e.died, old)
	return nil
}

// policyOf is the row of the policy that the next version shows.
func (m *Memory) policyOf(d []uint32) uint32 {
	n := d[abi.ChainPolicy]
	for m.row(n)[abi.RowDead] != forever {
		n = m.row(n)[abi.RowOrder]
	}
	return n
}

// rowsOf are the rows of the rule whose first row is given.
func (m *Memory) rowsOf(first uint32) []uint32 {
	if first == 0 {
		return nil
	}
	out := []uint32{first}
	label := m.row(first)[abi.RowLabel]
	for n := m.row(first)[abi.RowOrder]; n != 0 && m.row(n)[abi.RowLabel] == label; n = m.row(n)[abi.RowOrder] {
		out = append(out, n)
	}
	return out
}

func (m *Memory) lastOfRule(first uint32) uint32 {
	rows := m.rowsOf(first)
	if len(rows) == 0 {
		return 0
	}
	return rows[len(rows)-1]
}

// endStep is the room between rules that are put before all others or behind them.
const endStep = 1024

// labelBehind gives a label between a row and the one that follows it. Rules often come one
// after the other at the same place: the new label then leaves the room where the next
// one will need it, as the younger of the two neighbours tells.
func (m *Memory) labelBehind(d []uint32, prev uint32) (uint32, error) {
	next := d[abi.ChainFirst]
	lo, born := uint32(0), uint32(0)
	if prev != 0 {
		next = m.row(prev)[abi.RowOrder]
		lo, born = m.row(prev)[abi.RowLabel], m.row(prev)[abi.RowBorn]
	}
	if next == 0 {
		if lo >= forever-2*endStep {
			return 0, fmt.Errorf("%w: no label behind the last rule", ErrNoRoom)
		}
		return max(lo, labelFirst) + endStep, nil
	}
	hi := m.row(next)[abi.RowLabel]
	if prev == 0 && hi > 2*endStep {
		return hi - endStep, nil
	}
	gap := hi - lo
	if gap < 2 {
		return 0, fmt.Errorf("%w: no label between two rules", ErrNoRoom)
	}
	small := max(1, gap/64)
	switch nextBorn := m.row(next)[abi.RowBorn]; {
	case nextBorn > born:
		return hi - small, nil
	case nextBorn < born:
		return lo + small, nil
	}
	return lo + gap/2, nil
}

// longList is how many rows a chain without tables may have; a new generation makes tables
// from fewer.
const longList = 4 * shortList

// place sets the action of a row and puts what it needs into the index.
func (e *Edit) place(c *row, r *plan.Rule, chain uint32) (arg, program uint32, err error) {
	if len(c.program) > 0 {
		if program, err = e.m.takeWords(c.program); err != nil {
			return 0, 0, err
		}
	}
	if r.Action.Op == pred.Do {
		words, err := note(r)
		if err != nil {
			return 0, 0, err
		}
		c.action = abi.DoNote
		arg, err = e.m.takeWords(words)
		return arg, program, err
	}
	c.action, arg, err = action(r, chain)
	return arg, program, err
}
