package apply

import (
	"errors"
	"slices"

	"github.com/bpftables/bpftables/codegen"
	"github.com/bpftables/bpftables/codegen/rows/edit"
	"github.com/bpftables/bpftables/engine/datapath"
	"github.com/bpftables/bpftables/engine/state"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate"
)

func (ed *editor) chain(table, chain string) *state.Chain {
	t := ed.live.State.Table(table)
	if t == nil {
		return nil
	}
	return t.Chain(chain)
}

// find gives a chain with its table, and its number; nil where it cannot be changed.
func (ed *editor) find(table, chain string) (*state.Chain, *tableEditor, int) {
	t := ed.table(table)
	c := ed.chain(table, chain)
	number, is := class(c)
	if t == nil || !is || ed.err != nil {
		return nil, nil, 0
	}
	return c, t, number
}

// Find gives the place of the first rule that is the same as r, or -1.
func (ed *editor) Find(table, chain string, r *ruleset.Rule) int {
	c := ed.chain(table, chain)
	if c == nil {
		return -1
	}
	if t := ed.tables[table]; t != nil && ed.settleRefills(t) != nil {
		ed.full = errNotInPlace
		return -1
	}
	spec := iptables.AppendSpec(nil, r)
	return c.Find(spec, ed.exact(table, r, spec))
}

// exact gives the words of a rule that its text does not say; nil: none.
func (ed *editor) exact(table string, r *ruleset.Rule, spec []byte) []byte {
	return iptables.Exact(r, spec, func(name string) bool { return ed.chain(table, name) != nil })
}

// place makes rows of a rule that is to be in front of rule i, and says in to where they are.
func (ed *editor) place(t *tableEditor, c *state.Chain, number, i int, r *ruleset.Rule, to *state.Rule) error {
	placed, unmet := ed.lay(t, c, number, r)
	switch {
	case unmet:
		return ed.putUnmet(t, c, number, r, to)
	case placed == nil:
		return errNotInPlace
	}
	err := ed.put(t, number, before(c, i), placed, to)
	if kind := new(edit.KindError); errors.As(err, &kind) && ed.waits(t, c, number, r) {
		return ed.putUnmet(t, c, number, r, to) // no program has to be made wider for it
	}
	if err != nil {
		return ed.fail(err)
	}
	if placed.Conntrack {
		if err := ed.needTracking(t); err != nil {
			return err
		}
	}
	switch placed.Action.Op {
	case pred.Jump, pred.Goto, pred.Do:
		t.walk = true
	}
	if known, is := t.settled[number]; is {
		t.settled[number] = known | placed.Refused
	}
	rows := ed.classes.Rows()
	rows.SetRefused(number, rows.Refused(number)|placed.Refused)
	t.walk = t.walk || placed.Refused&rows.Reached(number) != 0
	if err := ed.keep(t, to.Slot, placed.Slots); err != nil {
		return err
	}
	if to.Counters, err = ed.anew(to.Slot, to.Counters); err == nil {
		err = ed.remember(t, to.Slot, placed.Slots)
	}
	if err != nil {
		ed.err = err
	}
	return err
}

// put writes the rows of a rule behind a row.
func (ed *editor) put(t *tableEditor, number int, behind uint32, placed *translate.Placed, to *state.Rule) (err error) {
	if err = ed.classes.Rows().Unread(number, codegen.Needs(t.in.Family, placed.Rule)); err == nil {
		to.Row, to.Slot, err = ed.rows.Insert(number, behind, placed.Rule)
	}
	return err
}

// before is the first row of the last rule in front of rule i that has one; 0: none.
func before(c *state.Chain, i int) uint32 {
	for i--; i >= 0; i-- {
		if row := c.Rule(i).Row; row != 0 {
			return row
		}
	}
	return 0
}

// Delete takes rule i away.
func (ed *editor) Delete(table, chain string, i int) error {
	c, t, _ := ed.find(table, chain)
	if c == nil {
		return errNotInPlace
	}
	if err := ed.settleRefills(t); err != nil {
		return err
	}
	r := c.Rule(i)
	if err := ed.take(t, c, &r); err != nil {
		return err
	}
	ed.state.Delete(c, i)
	return nil
}

// take takes the rows of a rule away.
func (ed *editor) take(t *tableEditor, c *state.Chain, r *state.Rule) error {
	if err := errors.Join(ed.leaves(t, c, r), ed.untrack(t, r)); err != nil {
		return err
	}
	number, _ := class(c)
	ends := r.Row != 0 && ed.rows.Ends(r.Row)
	if ends && ed.classes.Rows().Unmet(number) {
		return errNotInPlace
	}
	// Packets get behind it, or do not end where they have ended.
	t.walk = t.walk || ends || t.told > 0
	if err := ed.rows.Delete(number, r.Row); err != nil {
		return ed.fail(err)
	}
	ed.forget(t, r.Slot)
	t.count(r, -1)
	return nil
}

// leaves looks whether what a rule names can go in place with it.
func (ed *editor) leaves(t *tableEditor, c *state.Chain, r *state.Rule) error {
	keeps := slices.Contains(t.Keepers, r.Slot)
	if !keeps && r.Slot != state.None {
		return nil
	}
	rule, err := ed.read(t.state, r)
	if err != nil {
		return err
	}
	if r.Slot == state.None {
		return ed.takeUnmet(t, c, rule)
	}
	t.Keepers = slices.DeleteFunc(slices.Clone(t.Keepers), func(slot uint32) bool { return slot == r.Slot })
	return ed.release(rule)
}

// manyCounters is from how many on all counters are read at once.
const manyCounters = 32

// Zero sets the counters of n rules from rule i on to 0, but for those that the change itself
// has put there.
func (ed *editor) Zero(table, chain string, i, n int) error {
	c, t, _ := ed.find(table, chain)
	if c == nil {
		return errNotInPlace
	}
	if n == 0 {
		return nil
	}
	if err := ed.settleRefills(t); err != nil {
		return err
	}
	counted, err := ed.counted(n)
	if err != nil {
		return err
	}
	zero := make([]ruleset.Counters, n)
	for j := range zero {
		r := c.Rule(i + j)
		switch {
		case r.Slot == state.None:
			continue
		case r.Row != 0 && ed.rows.Made(r.Row) || t.came[r.Slot]:
			zero[j] = r.Counters
			continue
		}
		if zero[j], err = ed.beginning(r.Slot, ruleset.Counters{}, counted); err != nil {
			return err
		}
	}
	ed.state.SetCounters(c, i, zero...)
	return nil
}

// SetPolicy sets the policy of a built-in chain.
func (ed *editor) SetPolicy(table, chain, policy string, n ruleset.Counters) error {
	c, t, number := ed.find(table, chain)
	if c == nil || c.Policy == "" {
		return errNotInPlace
	}
	t.policies[c] = n
	if c.Policy == policy {
		return nil
	}
	if err := ed.rows.SetPolicy(number, policy == ruleset.Drop.String()); err != nil {
		return ed.fail(err)
	}
	ed.state.SetPolicy(c, policy)
	return nil
}

// counted reads all counters, for so many that are asked for that it is worth it.
func (ed *editor) counted(n int) ([]datapath.Counter, error) {
	if n < manyCounters {
		return nil, nil
	}
	all, err := ed.live.gen.Counters(nil)
	if err != nil {
		ed.err = err
		return nil, err
	}
	return all.Slots, nil
}

// beginning is anew, with counters that may have been read.
func (ed *editor) beginning(slot uint32, begin ruleset.Counters, counted []datapath.Counter) (n ruleset.Counters, err error) {
	switch {
	case slot == state.None:
		return begin, nil
	case uint64(slot) < uint64(len(counted)):
		return ruleset.Counters{Packets: begin.Packets - counted[slot].Packets, Bytes: begin.Bytes - counted[slot].Bytes}, nil
	}
	if n, err = ed.anew(slot, begin); err != nil {
		ed.err = err
	}
	return n, err
}

// anew is what the state must hold beside a counter slot, so that the two together begin
// with some counters. A slot holds what it has counted for rules before this one: to clear
// it would take away what packets add meanwhile to the others of its block.
func (ed *editor) anew(slot uint32, begin ruleset.Counters) (ruleset.Counters, error) {
	n, err := ed.classes.Counter(slot)
	return ruleset.Counters{Packets: begin.Packets - n.Packets, Bytes: begin.Bytes - n.Bytes}, err
}
