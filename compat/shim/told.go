package shim

import (
	"slices"

	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

// Stands says at which hooks an effect can stand, as bits 1 << packet.Hook.
func Stands(e pred.Effect) (hooks uint8) {
	for h := packet.Prerouting; h <= packet.Postrouting; h++ {
		if standsAt(e, h) {
			hooks |= 1 << h
		}
	}
	return hooks
}

// Told is a table whose actions became more.
type Told struct {
	Table   *plan.Table // without actions
	Stands  []byte      // of each action, by its number
	Effect  func(number int) (pred.Effect, error)
	Had     int // how many there were
	Longest int // and how many a packet could have; Table has what it can have now
}

// Growth is what a layout becomes with more actions.
type Growth struct {
	Was, Chains []Chain   // those that change, as they were and as they are; new ones are in Chains alone
	Programs    []Program // that they ask, of which most are there
}

// Grow gives what a layout becomes: the chains on the way to the new actions. False: other base chains, too, or
// what has objects of its own.
func Grow(family packet.Family, t *Told, gen uint32, pins string) (*Growth, bool, error) {
	if t.Table.Alone() && !translates(t.Table) {
		return nil, false, nil
	}
	for n := t.Had; n < len(t.Stands); n++ {
		e, err := t.Effect(n)
		if err != nil || usesObject(e) {
			return nil, false, err
		}
	}
	from, to := t.builder(family, gen, pins, true), t.builder(family, gen, pins, false)
	for _, b := range []*builder{from, to} {
		if t.partedBy(t.Had) != t.partedBy(len(t.Stands)) {
			return nil, false, nil
		}
		b.told(t)
		if b.failed || b.err != nil {
			return nil, false, b.err
		}
	}
	return &Growth{Was: from.Chains, Chains: to.Chains, Programs: to.Programs}, len(to.Chains) > 0, nil
}

// growing is what a builder leaves out of a layout: what more actions do not change.
type growing struct {
	had    int  // actions before
	before bool // the layout is that without the new ones
	same   bool // the steps are as they were
}

func (t *Told) builder(family packet.Family, gen uint32, pins string, before bool) *builder {
	table := *t.Table
	now := steps(&table)
	table.Longest = t.Longest
	return &builder{
		Layout: Layout{Family: family, Gen: gen, Table: table.Name, Root: chainName(gen, table.Name)}, pins: pins,
		growing: &growing{had: t.Had, before: before, same: steps(&table) == now},
		effect:  t.Effect,
	}
}

// partedBy is parted, of the first n actions.
func (t *Told) partedBy(n int) bool {
	return slices.ContainsFunc(t.Table.Hooks, func(h *plan.Hook) bool {
		return h.Shim && slices.ContainsFunc(t.Stands[:n], func(hooks byte) bool { return hooks>>h.Hook&1 == 0 })
	})
}

// at are the actions that can stand at a hook.
func (t *Told) at(h packet.Hook) (out []action) {
	for n, hooks := range t.Stands {
		if hooks>>h&1 == 1 {
			out = append(out, action{number: n})
		}
	}
	return out
}

// told lays out a table, as Targets does.
func (b *builder) told(t *Told) {
	table := *t.Table
	if b.growing.before {
		table.Longest = t.Longest
	}
	switch {
	case translates(&table):
		b.each(&table, t.at)
	case t.partedBy(t.Had):
		b.parts(&table, t.at)
	default:
		b.whole(&table, t.numbered())
	}
}

func (t *Told) numbered() []action {
	out := make([]action, len(t.Stands))
	for n := range out {
		out[n].number = n
	}
	return out
}

// changes splits the actions of a tree, and says whether it changes.
func (b *builder) changes(all []action) (had []action, some bool) {
	i, _ := slices.BinarySearchFunc(all, b.growing.had, func(a action, n int) int { return a.number - n })
	if i == 0 && len(all) > 0 {
		b.failed = true // its base chain leads nowhere yet
	}
	return all[:i], i < len(all) && i > 0
}
