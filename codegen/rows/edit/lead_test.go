package edit_test

import (
	"testing"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/codegen/rows/edit"
	"github.com/bpftables/bpftables/codegen/rows/layout"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

// TestLead: a change among the rules of a chain up to the last one of its lead ends the lead
// with the version that has the change; one that is taken back, or behind it, does not.
func TestLead(t *testing.T) {
	drop := &plan.Rule{Action: pred.Action{Op: pred.Drop}}
	for _, c := range []struct {
		name  string
		touch bool
		do    func(e *edit.Batch, rows []uint32) error
	}{
		{"in front", true, func(e *edit.Batch, _ []uint32) error { return insert(e, 0, drop) }},
		{"among", true, func(e *edit.Batch, rows []uint32) error { return insert(e, rows[0], drop) }},
		{"one deleted", true, func(e *edit.Batch, rows []uint32) error { e.Delete(0, rows[0]); return nil }},
		{"the last deleted", true, func(e *edit.Batch, rows []uint32) error { e.Delete(0, rows[1]); return nil }},
		{"behind", false, func(e *edit.Batch, rows []uint32) error { return insert(e, rows[1], drop) }},
		{"one behind deleted", false, func(e *edit.Batch, rows []uint32) error { e.Delete(0, rows[2]); return nil }},
		{"policy", false, func(e *edit.Batch, _ []uint32) error { return e.SetPolicy(0, true) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			chains := built(t, 20)
			d := chains.Chain(0)
			rows := []uint32{d[abi.ChainFirst]}
			for len(rows) < 3 {
				rows = append(rows, chains.Row(rows[len(rows)-1])[abi.RowOrder])
			}
			chains.SetLead(0, chains.Row(rows[1])[abi.RowLabel])
			holds := func(when string, want bool) {
				t.Helper()
				if got := chains.Version() < d[abi.ChainLeadDead]; got != want {
					t.Errorf("%s: the lead holds: %v, want %v", when, got, want)
				}
			}
			e := chains.Edit()
			if err := c.do(e, rows); err != nil {
				t.Fatal(err)
			}
			holds("before it is published", true)
			e.Abort()
			if d[abi.ChainLeadDead] != layout.Forever {
				t.Error("what was taken back ends the lead")
			}
			if err := c.do(chains.Edit(), rows); err != nil { // killed
				t.Fatal(err)
			}
			e = chains.Edit()
			if d[abi.ChainLeadDead] != layout.Forever {
				t.Error("what was not published ends the lead")
			}
			if err := c.do(e, rows); err != nil {
				t.Fatal(err)
			}
			e.Publish()
			holds("published", !c.touch)
			if c.touch && chains.Version()-1 >= d[abi.ChainLeadDead] {
				t.Error("packets of the version before do not run the lead")
			}
			chains.Edit().Abort()
			holds("later", !c.touch)
		})
	}
}

func insert(e *edit.Batch, before uint32, r *plan.Rule) error {
	_, _, err := e.Insert(0, before, r)
	return err
}
