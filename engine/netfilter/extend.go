package netfilter

import (
	"encoding/json"
	"slices"

	"github.com/bpftables/bpftables/bpf/anchor"
	"github.com/bpftables/bpftables/bpf/attach"
	"github.com/bpftables/bpftables/bpf/failpoint"
	"github.com/bpftables/bpftables/compat/shim"
	"github.com/bpftables/bpftables/engine/datapath"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/translate/plan"
)

// Extend adds the rules of effects to our table in nf_tables, in one transaction: a packet meets
// the chains as they were or as they are. No packet is told their numbers before a rule is.
func (d *Datapath) Extend(live *datapath.Live, table string, bases []datapath.Base, effects datapath.Effects, told, longest int) (json.RawMessage, error) {
	r, err := recordOf(live)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(r.Held, func(h held) bool { return h.Table == table })
	was, err := d.told(live, r, i, table, bases)
	if err != nil {
		return nil, err
	}
	more := *was
	more.Longest = longest
	grown := false
	if i >= 0 && told > 0 && told == len(r.Held[i].Stands) {
		if grown, err = d.grow(live, &r.Held[i], bases, was.Longest, &more, effects); err != nil {
			return nil, err
		}
	}
	if !grown {
		h, err := d.layOut(live, was, &more, bases, effects, told)
		if err != nil {
			return nil, err
		}
		if i >= 0 {
			r.Held[i] = *h
		} else {
			r.Held = append(r.Held, *h)
		}
	}
	return json.Marshal(r)
}

// grow writes the chains on the way to new rules, and no others: there may be very many. False: it is not
// only these that change.
func (d *Datapath) grow(live *datapath.Live, h *held, bases []datapath.Base, longest int, more *plan.Table, effects datapath.Effects) (bool, error) {
	told := &shim.Told{Table: more, Stands: slices.Clone(h.Stands), Effect: effects.At, Had: len(h.Stands), Longest: longest}
	for n := told.Had; n < effects.Len(); n++ {
		e, err := effects.At(n)
		if err != nil {
			return false, err
		}
		told.Stands = append(told.Stands, shim.Stands(e))
	}
	growth, can, err := shim.Grow(d.family, told, live.Number(), shim.PinDir(d.space.Pins(), live.Number()))
	if err != nil || !can {
		return false, err
	}
	old, err := shim.OwnChains(d.family, growth.Was)
	if err != nil {
		return false, err
	}
	chains, err := shim.OwnChains(d.family, growth.Chains)
	if err != nil {
		return false, err
	}
	if err := d.ask(live, &shim.Layout{Table: h.Table, Programs: growth.Programs}, bases, more.Alone()); err != nil {
		return false, err
	}
	if err := d.netfilter.own.Rewrite(names(old, false), chains); err != nil {
		return false, err
	}
	h.Plan, h.Stands = datapath.Now(more), told.Stands
	h.Sum += sum(chains) - sum(old)
	h.Chains += len(growth.Chains) - len(growth.Was)
	h.Rules += rulesOf(growth.Chains) - rulesOf(growth.Was)
	return true, nil
}

func rulesOf(chains []shim.Chain) (n int) {
	for _, c := range chains {
		n += len(c.Rules)
	}
	return n
}

// actionsOf are all effects of a table.
func actionsOf(effects datapath.Effects) ([]plan.Action, error) {
	out := make([]plan.Action, effects.Len())
	for n := range out {
		e, err := effects.At(n)
		if err != nil {
			return nil, err
		}
		out[n].Effect = e
	}
	return out, nil
}

// layOut lays a table out once more, and puts there what is another than it was, base chains among it.
func (d *Datapath) layOut(live *datapath.Live, before, more *plan.Table, bases []datapath.Base, effects datapath.Effects, told int) (*held, error) {
	all, err := actionsOf(effects)
	if err != nil {
		return nil, err
	}
	was := *before
	was.Actions, more.Actions = all[:told], all
	pins := shim.PinDir(d.space.Pins(), live.Number())
	if told == 0 {
		more.Hooks = telling(was.Hooks)
	}
	to := shim.Targets(d.family, more, live.Number(), pins)
	put, ok := to, true
	if told > 0 {
		put, ok = shim.Grown(shim.Targets(d.family, &was, live.Number(), pins), to)
	}
	if !ok {
		return nil, datapath.ErrAnew
	}
	if err := d.put(live, put, bases, more.Alone()); err != nil {
		return nil, err
	}
	return &d.netfilter.holds([]*shim.Layout{to}, &plan.Plan{Tables: []*plan.Table{more}})[0], nil
}

// told is what netfilter has been told of a table, number i of what is held for a generation.
func (d *Datapath) told(live *datapath.Live, r *record, i int, table string, bases []datapath.Base) (*plan.Table, error) {
	if i < 0 {
		return &plan.Table{Name: table, InBPF: true, Hooks: hooksOf(bases)}, nil
	}
	if r.Held[i].Whole || r.Held[i].Plan.IsZero() {
		return nil, datapath.ErrAnew
	}
	whole, err := d.isWhole(live, &r.Held[i])
	if err == nil && !whole {
		err = datapath.ErrAnew
	}
	if err != nil {
		return nil, err
	}
	return r.Held[i].Plan.Get()
}

// hooksOf are the hooks of base chains, of which none is told anything.
func hooksOf(bases []datapath.Base) (out []*plan.Hook) {
	for _, b := range bases {
		out = append(out, &plan.Hook{Hook: b.Hook, Priority: b.Priority, NAT: b.Type == ruleset.NAT, Route: b.Type == ruleset.Route})
	}
	return out
}

// telling are the same hooks, where programs leave notes.
func telling(hooks []*plan.Hook) (out []*plan.Hook) {
	for _, h := range hooks {
		to := *h
		to.Shim = true
		out = append(out, &to)
	}
	return out
}

// put puts a layout into netfilter, base chains of which nothing else is there, and what stands around it: the
// programs that say what is noted for a packet, and guards. A killed process leaves what nobody leads to; the next
// one puts it there once more.
func (d *Datapath) put(live *datapath.Live, l *shim.Layout, bases []datapath.Base, alone bool) error {
	chains, err := shim.Own(l)
	if err != nil || len(l.Late.Entries) > 0 {
		return datapath.ErrAnew
	}
	if err := d.ask(live, l, bases, alone); err != nil {
		return err
	}
	return d.netfilter.own.Replace(names(chains, true), chains)
}

// ask puts the programs there that a layout asks.
func (d *Datapath) ask(live *datapath.Live, l *shim.Layout, bases []datapath.Base, alone bool) error {
	if len(l.Entries)+len(l.Programs) == 0 {
		return nil
	}
	at := make([]attach.Base, len(bases))
	for i, b := range bases {
		at[i] = attach.Base{Class: b.Class, Hook: b.Hook, Priority: b.Priority}
	}
	g := live.Generation.(*generation)
	if err := g.Seated(l.Table, at, alone); err != nil {
		return err
	}
	if len(l.Entries) > 0 {
		if err := g.Tell(); err != nil {
			return err
		}
		failpoint.At("telling")
	}
	if err := g.AddShims(g.programs([]*shim.Layout{l})); err != nil {
		return err
	}
	failpoint.At("match programs added")
	return nil
}

// Track has connections tracked.
func (d *Datapath) Track() error { return d.netfilter.own.ConntrackOn(anchor.Tracking()) }

// Untrack has connections tracked for other reasons only.
func (d *Datapath) Untrack(live *datapath.Live) error {
	r, err := recordOf(live)
	if err != nil {
		return err
	}
	return d.netfilter.own.ConntrackOff(wishes(false, r.Tracking)...)
}

// isWhole says whether our table in nf_tables has all that a generation gave it for a table.
func (d *Datapath) isWhole(live *datapath.Live, h *held) (bool, error) {
	seen, err := d.netfilter.own.Look()
	_, all := h.inOwn(seen.Chains, live.Number())
	return all && !seen.Dormant, err
}
