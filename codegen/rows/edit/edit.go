package edit

import (
	"errors"
	"fmt"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/codegen/rows/layout"
	"github.com/bpftables/bpftables/codegen/rows/rule"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/translate/plan"
)

// ErrNoRoom says that a change does not fit into the maps as they are: a new generation
// has to be made.
var ErrNoRoom = errors.New("the change does not fit into the maps of this generation")

// Chains is the classified chains of a generation, in the maps that packets read.
type Chains struct{ *layout.Memory }

// Open gives the chains of a generation from its maps.
func Open(family packet.Family, rows, index []uint32) *Chains {
	return &Chains{layout.Open(family, rows, index)}
}

// Batch is a batch of changes in place. Packets see none of them before Publish, and all
// of them after it. One process at a time edits.
type Batch struct {
	m       *Chains
	version uint32 // that the batch makes
	born    []uint32
	died    []uint32
	leads   []int // chains whose leads are not what the version says
	made    []int // chains
	gone    []int // the same
}

// Edit begins a batch.
func (m *Chains) Edit() *Batch {
	if m.Index[layout.OwnDirty] != 0 {
		m.recover()
	}
	m.Index[layout.OwnDirty] = 1
	return &Batch{m: m, version: m.Version() + 1}
}

// recover takes back what a process that was killed before Publish has begun.
func (m *Chains) recover() {
	e := &Batch{m: m, version: m.Version() + 1}
	for n := uint32(1); n < m.Index[layout.OwnRowsUsed]; n++ {
		switch w := m.Row(n); {
		case w[abi.RowBorn] == e.version:
			e.born = append(e.born, n)
		case w[abi.RowDead] == e.version:
			e.died = append(e.died, n)
		}
	}
	for c := range int(m.Index[abi.HeaderNChains]) {
		switch d := m.Chain(c); e.version {
		case d[abi.ChainBorn]:
			e.made = append(e.made, c)
		case d[abi.ChainDead]:
			e.gone = append(e.gone, c)
		case d[abi.ChainLeadDead]:
			e.leads = append(e.leads, c)
		}
	}
	e.Abort()
}

// Version is the version that packets see after Publish.
func (e *Batch) Version() uint32 { return e.version }

// Publish makes the changes visible, all at once.
func (e *Batch) Publish() {
	// Too many of them are of no harm, should the process be killed here.
	e.m.Index[layout.OwnDead] += uint32(len(e.died) + len(e.gone))
	layout.Store(&e.m.Index[abi.HeaderVersion], e.version)
	e.m.Index[layout.OwnDirty] = 0
}

// Abort takes the changes back; no packet has seen them.
func (e *Batch) Abort() {
	for _, n := range e.died {
		layout.Store(&e.m.Row(n)[abi.RowDead], layout.Forever)
	}
	for _, n := range e.born {
		// Born and dead at once: no version shows it. It is unlinked with other dead rows.
		layout.Store(&e.m.Row(n)[abi.RowDead], 0)
	}
	e.m.codeLives(e.version)
	for _, c := range e.leads {
		layout.Store(&e.m.Chain(c)[abi.ChainLeadDead], layout.Forever)
	}
	for _, c := range e.gone {
		e.m.Chain(c)[abi.ChainDead] = layout.Forever
	}
	for _, c := range e.made {
		e.m.freeChain(c)
	}
	e.m.Index[layout.OwnDead] += uint32(len(e.born))
	e.m.Index[layout.OwnDirty] = 0
}

// touch says that a change at a label of a chain is coming. The rules of the chain's lead are
// code, too, which stays as it is: packets that see the change do not run it.
func (e *Batch) touch(chain int, label uint32) {
	d := e.m.Chain(chain)
	if label > d[abi.ChainLead] || d[abi.ChainLeadDead] <= e.version {
		return
	}
	layout.Store(&d[abi.ChainLeadDead], e.version)
	e.leads = append(e.leads, chain)
}

// Insert puts a rule behind the rule whose first row is before; 0: in front of all. It
// gives the rule's first row, 0 if the rule can never match, and its counter slot. The
// rule's ID is not used.
func (e *Batch) Insert(chain int, before uint32, r *plan.Rule) (row, id uint32, err error) {
	m := e.m
	if err := e.outdate(chain); err != nil {
		return 0, 0, err
	}
	if r.Class != nil {
		if err := e.leadTo(chain, r.Class.Number); err != nil {
			return 0, 0, err
		}
	}
	compiled, err := rule.Compile(m.Family, r, rule.Target{Needs: m.Needs(chain)})
	if err != nil {
		return 0, 0, err
	}
	d := m.Chain(chain)
	for i := range compiled {
		if compiled[i].Ops&^m.Instructions(chain) != 0 {
			return 0, 0, m.kind(chain, compiled[i].Ops)
		}
	}
	if d[abi.ChainKind] == abi.KindList && d[abi.ChainRows]+uint32(len(compiled)) > longList {
		return 0, 0, fmt.Errorf("%w: a list grows too long", ErrNoRoom)
	}
	prev := e.passDead(d, m.lastOfRule(before))
	label, err := e.labelBehind(d, prev)
	if err != nil {
		return 0, 0, err
	}
	rows, id, err := m.take(len(compiled))
	if err != nil {
		return 0, 0, err
	}
	e.touch(chain, label)
	for i, n := range rows {
		c := &compiled[i]
		c.ID = id
		arg, program, err := e.put(c, r, uint32(chain))
		if err != nil {
			return 0, 0, err
		}
		m.Write(n, label, e.version, c, program, arg)
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

// Delete takes away the rule of a chain whose first row is given; 0: it has none.
func (e *Batch) Delete(chain int, row uint32) error {
	if err := e.outdate(chain); err != nil {
		return err
	}
	if row != 0 {
		e.touch(chain, e.m.Row(row)[abi.RowLabel])
		if e.Ends(row) {
			if err := e.leadBehind(chain, row); err != nil {
				return err
			}
		}
	}
	for _, n := range e.m.rowsOf(row) {
		layout.Store(&e.m.Row(n)[abi.RowDead], e.version)
		e.died = append(e.died, n)
	}
	return nil
}

// Ends says whether no packet meets the rules behind that whose first row is given.
func (e *Batch) Ends(row uint32) bool { return e.m.Row(row)[abi.RowAction]>>4&abi.EndsChain != 0 }

// Made says whether the batch has made a row.
func (e *Batch) Made(row uint32) bool { return e.m.Row(row)[abi.RowBorn] == e.version }

// SetPolicy changes the policy of a base chain.
func (e *Batch) SetPolicy(chain int, drop bool) error {
	if err := e.outdate(chain); err != nil {
		return err
	}
	d := e.m.Chain(chain)
	old := e.m.policyOf(d)
	n, err := e.m.takeRow(layout.OwnBare)
	if err != nil {
		return err
	}
	r := rule.Policy(e.m.Row(old)[abi.RowID], drop)
	e.m.Write(n, 0, e.version, &r, 0, 0)
	e.m.Row(n)[abi.RowOrder] = d[abi.ChainPolicy]
	layout.Store(&d[abi.ChainPolicy], n)
	layout.Store(&e.m.Row(old)[abi.RowDead], e.version)
	e.born, e.died = append(e.born, n), append(e.died, old)
	return nil
}

// policyOf is the row of the policy that the next version shows.
func (m *Chains) policyOf(d []uint32) uint32 {
	n := d[abi.ChainPolicy]
	for m.Row(n)[abi.RowDead] != layout.Forever {
		n = m.Row(n)[abi.RowOrder]
	}
	return n
}

// rowsOf are the rows of the rule whose first row is given.
func (m *Chains) rowsOf(first uint32) []uint32 {
	if first == 0 {
		return nil
	}
	out := []uint32{first}
	label := m.Row(first)[abi.RowLabel]
	for n := m.Row(first)[abi.RowOrder]; n != 0 && m.Row(n)[abi.RowLabel] == label; n = m.Row(n)[abi.RowOrder] {
		out = append(out, n)
	}
	return out
}

func (m *Chains) lastOfRule(first uint32) uint32 {
	rows := m.rowsOf(first)
	if len(rows) == 0 {
		return 0
	}
	return rows[len(rows)-1]
}

// passDead gives the last row in front of the next one that the version shows: the order of
// rows that it does not show does not matter to it. Labels are not to be spent on them.
func (e *Batch) passDead(d []uint32, prev uint32) uint32 {
	next := d[abi.ChainFirst]
	if prev != 0 {
		next = e.m.Row(prev)[abi.RowOrder]
	}
	for next != 0 && e.m.Row(next)[abi.RowDead] <= e.version {
		if lo := e.m.label(prev); e.m.label(next)-lo > 2*endStep {
			break // rules that are put there one after the other have room
		}
		prev, next = next, e.m.Row(next)[abi.RowOrder]
	}
	return prev
}

// label is that of a row; of none, what is below all others.
func (m *Chains) label(row uint32) uint32 {
	if row == 0 {
		return 0
	}
	return m.Row(row)[abi.RowLabel]
}

// endStep is the room between rules that are put before all others or behind them.
const endStep = 1024

// labelBehind gives a label between a row and the one that follows it. Rules often come one
// after the other at the same position: the new label then leaves the room where the next
// one will need it, as the younger of the two neighbours tells.
func (e *Batch) labelBehind(d []uint32, prev uint32) (uint32, error) {
	m := e.m
	next := d[abi.ChainFirst]
	lo, born := uint32(0), uint32(0)
	if prev != 0 {
		next = m.Row(prev)[abi.RowOrder]
		lo, born = m.Row(prev)[abi.RowLabel], m.Row(prev)[abi.RowBorn]
	}
	if next == 0 {
		if lo >= layout.Forever-2*endStep {
			return 0, fmt.Errorf("%w: no label behind the last rule", ErrNoRoom)
		}
		return max(lo, layout.LabelFirst) + endStep, nil
	}
	hi := m.Row(next)[abi.RowLabel]
	if m.Row(next)[abi.RowDead] <= e.version && hi-lo > 2*endStep {
		return lo + endStep, nil
	}
	if prev == 0 && hi > 2*endStep {
		return hi - endStep, nil
	}
	gap := hi - lo
	if gap < 2 {
		return 0, fmt.Errorf("%w: no label between two rules", ErrNoRoom)
	}
	small := max(1, gap/64)
	switch nextBorn := m.Row(next)[abi.RowBorn]; {
	case nextBorn > born:
		return hi - small, nil
	case nextBorn < born:
		return lo + small, nil
	}
	return lo + gap/2, nil
}

// longList is how many rows a chain without tuples may have; a new generation makes tuples
// from fewer.
const longList = 4 * layout.ShortList

// put sets the action of a row and puts what it needs into the index.
func (e *Batch) put(c *rule.Row, r *plan.Rule, chain uint32) (arg, program uint32, err error) {
	if len(c.Program) > 0 {
		if program, err = e.m.takeWords(c.Program); err != nil {
			return 0, 0, err
		}
	}
	var note []uint32
	if c.Action, arg, note, err = rule.Action(e.m.Family, r, chain); err == nil && note != nil {
		arg, err = e.m.takeWords(note)
	}
	return arg, program, err
}
