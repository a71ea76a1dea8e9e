package apply

import (
	"errors"

	"github.com/bpftables/bpftables/bpf/failpoint"
	"github.com/bpftables/bpftables/codegen/rows/edit"
	"github.com/bpftables/bpftables/engine/datapath"
	"github.com/bpftables/bpftables/engine/state"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
)

// table is what the editor knows of a table that can be changed; one that is not there is made. nil: it needs a
// new generation.
func (ed *editor) table(name string) *tableEditor {
	if t := ed.tables[name]; t != nil || ed.err != nil {
		return t
	}
	if ed.live.State.Table(name) != nil || !tables.Known(name) || !ed.can.Rows {
		return nil
	}
	bases, err := ed.add(tables.New(name, ed.engine.family))
	if err != nil {
		if errors.Is(err, edit.ErrNoRoom) {
			ed.full = err
		}
		return nil // a new generation says more
	}
	chains := make([]state.ChainSpec, len(bases))
	for i, b := range bases {
		chains[i] = state.ChainSpec{Name: tables.ChainName(b.Hook), Slot: b.Slot, Class: uint32(b.Class)}
	}
	s, c := ed.state.NewTable(name, chains), &changeable{}
	if s == nil {
		return nil // Commit says why
	}
	ed.extra.Changeable[name], ed.other = c, true
	ed.tables[name] = ed.tableEditor(ed.engine.family, s, c)
	return ed.tables[name]
}

// add makes a table part of what is enforced. Until the change is committed nobody knows of it: its chains
// are empty and accept.
func (ed *editor) add(t *ruleset.Table) ([]datapath.Base, error) {
	live, err := ed.engine.enforced(ed.live)
	if err != nil {
		return nil, err
	}
	can, err := ed.engine.data.Can(&ruleset.Ruleset{Family: t.Family, Tables: []*ruleset.Table{t}})
	if err != nil {
		return nil, err
	}
	for _, b := range t.Bases() {
		if can.Not[t.Name] != "" || can.Base(b) != "" {
			return nil, datapath.ErrAnew
		}
	}
	bases, record, err := ed.engine.data.AddTable(live, t, ed.used)
	if err != nil {
		return nil, err
	}
	failpoint.At("table added")
	ed.extra.Datapath = record
	return bases, nil
}

// used says whether a chain has a class.
func (ed *editor) used(number int) bool {
	for _, t := range ed.live.State.Tables() {
		for _, c := range t.Chains() {
			if n, is := class(c); is && n == number {
				return true
			}
		}
	}
	return false
}
