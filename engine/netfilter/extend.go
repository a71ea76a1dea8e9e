package netfilter

import (
	"encoding/json"
	"slices"

	"github.com/bpftables/bpftables/bpf/attach"
	"github.com/bpftables/bpftables/bpf/failpoint"
	"github.com/bpftables/bpftables/compat/shim"
	"github.com/bpftables/bpftables/engine/datapath"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

// Extend adds the rules of effects to our table in nf_tables, in one transaction: a packet meets
// the chains as they were or as they are. No packet is told their numbers before a rule is.
func (d *Datapath) Extend(live *datapath.Live, table string, effects []pred.Effect, longest int) (json.RawMessage, error) {
	r, err := recordOf(live)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(r.Held, func(h held) bool { return h.Table == table })
	if i < 0 || r.Held[i].Whole || r.Held[i].Plan.IsZero() {
		return nil, datapath.ErrAnew
	}
	whole, err := d.isWhole(live, &r.Held[i])
	if err != nil {
		return nil, err
	}
	was, err := r.Held[i].Plan.Get()
	if err != nil {
		return nil, err
	}
	h, more, pins := &r.Held[i], *was, shim.PinDir(d.space.Pins(), live.Number())
	more.Actions, more.Longest = make([]plan.Action, len(effects)), longest
	for i, e := range effects {
		more.Actions[i].Effect = e
	}
	to := shim.Targets(d.family, &more, live.Number(), pins)
	grown, programs, ok := shim.Grown(shim.Targets(d.family, was, live.Number(), pins), to)
	if !whole || !ok {
		return nil, datapath.ErrAnew
	}
	if err := d.addPrograms(live.Number(), h, programs); err != nil {
		return nil, err
	}
	chains, err := shim.OwnChains(d.family, grown)
	if err != nil {
		return nil, err
	}
	failpoint.At("match programs added")
	if err := d.netfilter.own.Replace(names(chains, false), chains); err != nil {
		return nil, err
	}
	notes := h.Notes
	*h = d.netfilter.holds([]*shim.Layout{to}, &plan.Plan{Tables: []*plan.Table{&more}})[0]
	h.Notes = notes
	return json.Marshal(r)
}

// addPrograms puts programs beside those that rules of a table ask.
func (d *Datapath) addPrograms(number uint32, h *held, programs []shim.Program) error {
	add := make([]attach.ShimProgram, len(programs))
	for i, p := range programs {
		notes, known := h.Notes[p.Place()]
		if !known {
			return datapath.ErrAnew
		}
		add[i] = matching(&p, notes)
	}
	return d.space.AddShims(number, add)
}

// isWhole says whether our table in nf_tables has all that a generation gave it for a table.
func (d *Datapath) isWhole(live *datapath.Live, h *held) (bool, error) {
	seen, err := d.netfilter.own.Look()
	_, all := h.inOwn(seen.Chains, live.Number())
	return all && !seen.Dormant, err
}
