package shim

import (
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

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
	if t.Table.Alone() && !translates(t.Table) || parted(t.Table, t.Stands[:t.Had]) != parted(t.Table, t.Stands) {
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

// told lays out a table, as Targets does.
func (b *builder) told(t *Told) {
	table := *t.Table
	if b.growing.before {
		table.Longest = t.Longest
	}
	at := func(h packet.Hook) []action { return actionsAt(t.Stands, h) }
	switch {
	case translates(&table):
		b.each(&table, at)
	case parted(&table, t.Stands[:t.Had]):
		b.parts(&table, at)
	default:
		b.whole(&table, numbered(len(t.Stands)))
	}
}

// changes splits the actions of a tree, and says whether it changes.
func (b *builder) changes(all []action) (had []action, some bool) {
	had = before(all, b.growing.had)
	if len(had) == 0 && len(all) > 0 {
		b.failed = true // its base chain leads nowhere yet
	}
	return had, len(had) < len(all) && len(had) > 0
}
