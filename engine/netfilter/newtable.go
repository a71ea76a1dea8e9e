package netfilter

import (
	"encoding/json"

	"github.com/bpftables/bpftables/bpf/failpoint"
	"github.com/bpftables/bpftables/codegen"
	"github.com/bpftables/bpftables/compat/shim"
	"github.com/bpftables/bpftables/engine/datapath"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/translate/plan"
)

// AddTable puts programs before the base chains of a table. Where these translate addresses, they are in our table
// of nf_tables, too: see shim.Targets.
func (d *Datapath) AddTable(live *datapath.Live, t *ruleset.Table, used func(class int) bool) ([]datapath.Base, json.RawMessage, error) {
	r, err := recordOf(live)
	if err != nil {
		return nil, nil, err
	}
	out := make([]datapath.Base, len(t.Bases()))
	progs := make([]codegen.Program, len(out))
	for i, b := range t.Bases() {
		out[i].Base = b
		progs[i] = codegen.Program{Table: t.Name, Family: d.family, Hook: b.Hook, Priority: b.Priority, NAT: b.Type == ruleset.NAT}
	}
	to := &plan.Table{Name: t.Name, InBPF: true, Hooks: hooksOf(out)}
	if l := shim.Targets(d.family, to, live.Number(), shim.PinDir(d.space.Pins(), live.Number())); l != nil {
		chains, err := shim.Own(l)
		if err != nil {
			return nil, nil, datapath.ErrAnew
		}
		if err := d.netfilter.own.Replace(names(chains, true), chains); err != nil {
			return nil, nil, err
		}
		failpoint.At("chains that translate")
		r.Held = append(r.Held, d.netfilter.holds([]*shim.Layout{l}, &plan.Plan{Tables: []*plan.Table{to}})...)
	}
	added, err := live.Generation.(*generation).AddTable(progs, used)
	if err != nil {
		return nil, nil, err
	}
	for i, a := range added {
		out[i].Class, out[i].Slot = a.Class, a.Slot
	}
	record, err := json.Marshal(r)
	return out, record, err
}
