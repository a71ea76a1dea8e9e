package netfilter

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/bpftables/bpftables/bpf/attach"
	"github.com/bpftables/bpftables/compat/shim"
	"github.com/bpftables/bpftables/engine/datapath"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/translate"
)

// earlyMode is the mode that a change asks for, or the one that was asked for before.
func earlyMode(in *datapath.Input) (string, error) {
	before, err := recordOf(in.Before)
	if err != nil {
		return "", err
	}
	return cmp.Or(in.Early, before.Early, attach.EarlyOff), nil
}

// addEarly adds the early stage to a plan.
func addEarly(b *build) {
	if b.mode == attach.EarlyOff || others(b.Rules) {
		return // packets that it drops would not be counted by the rules of other owners
	}
	translate.Early(translate.EarlyOptions{
		Options: translate.Options{Text: iptables.PrintRule, Classifier: b.Classifier, Can: shim.Can}, Exact: b.mode == attach.EarlyExact,
	}, b.Result)
}

// others says whether a ruleset has tables of another owner than iptables.
func others(rs *ruleset.Ruleset) bool {
	return slices.ContainsFunc(rs.Tables, func(t *ruleset.Table) bool { return t.Owner != tables.Owner })
}

// loadEarly loads the early stage. It is never needed: where the kernel does not take
// it, the reason is kept for the status.
func loadEarly(gen *attach.Generation, b *build) (early *attach.Early, off string) {
	if b.mode != attach.EarlyOff && others(b.Rules) {
		return nil, "rules of other owners than iptables would not count what it drops"
	}
	if b.early == nil {
		return nil, b.Result.Plan.EarlyOff
	}
	early, err := gen.LoadEarly(b.early)
	if err != nil {
		return nil, err.Error()
	}
	return early, ""
}

// installEarly makes the early stage of the generation the one that packets meet.
func (g *generation) installEarly() error {
	if g.early == nil {
		return g.d.space.DropEarly()
	}
	return g.early.Install()
}

// Follow makes the early stage judge packets by the interfaces, addresses and hooks that the
// namespace has now, or removes one that is not wanted any more.
func (d *Datapath) Follow(live *datapath.Live) error {
	if live == nil || !d.space.HasEarly() {
		return nil
	}
	wish, err := d.earlyWish(live)
	if err != nil {
		return err
	}
	_, err = d.space.SyncEarly(wish)
	return err
}

// Drift says whether the early stage, if it is on, is that of other rules or of another
// namespace.
func (d *Datapath) Drift(live *datapath.Live) (datapath.Drift, error) {
	r, err := recordOf(live)
	if err != nil || r.Early == "" || r.Early == attach.EarlyOff {
		return datapath.Fits, err
	}
	if live.Changed {
		return datapath.Outdated, nil
	}
	wish, err := d.earlyWish(live)
	if err != nil {
		return datapath.Fits, err
	}
	now, err := d.space.EarlyState(wish)
	if err != nil || !now.Stale {
		return datapath.Fits, err
	}
	return datapath.Behind, nil
}

// earlyWish is what the early stage must know about the rules, ours and others.
func (d *Datapath) earlyWish(live *datapath.Live) (w attach.EarlyWish, err error) {
	r, err := recordOf(live)
	if err != nil {
		return w, err
	}
	w = attach.EarlyWish{
		Mode: cmp.Or(r.Early, attach.EarlyOff), Off: r.EarlyOff, Expects: r.Expects, Last: r.Last,
		Iptables: func(table, chain string) bool { return tables.Base(table, chain, "") != nil },
	}
	if w.Mode == attach.EarlyOff {
		return w, nil
	}
	if w.Off == "" && live.Changed {
		w.Off = changedSince
	}
	if w.Off == "" {
		w.Off = d.foreignRules()
	}
	return w, nil
}

// changedSince is why the early stage stands still after changes in place: its programs
// have the rules as they were when the generation was made.
const changedSince = "rules were changed since its programs were made; a restore makes them anew, and so does 'bpftables serve' once no rule changes"

// foreignRules names a table of iptables with rules of another owner; "": there is none.
func (d *Datapath) foreignRules() string {
	installed, err := d.netfilter.tools.installed()
	if err != nil {
		return err.Error()
	}
	for _, one := range installed {
		for _, table := range shim.Tables() {
			saved, err := one.Save(table)
			if err != nil {
				return err.Error()
			}
			if shim.Foreign(saved, d.space.Pins()) {
				return fmt.Sprintf("netfilter's table %s has rules of another owner", table)
			}
		}
	}
	return ""
}

// lastPriority is that of the last table at INPUT and FORWARD: a table that runs in BPF
// stands one before netfilter's own (enum nf_ip_hook_priorities).
func lastPriority(in *datapath.Input) int32 {
	last := int32(ruleset.PriorityMangle)
	for i, t := range in.Rules.Tables {
		for _, b := range t.Bases() {
			at := b.Priority
			if in.Result.Plan.Tables[i].InBPF {
				at--
			}
			if (b.Hook == packet.Input || b.Hook == packet.Forward) && b.Type == ruleset.Filter {
				last = max(last, at)
			}
		}
	}
	return last
}

// earlyStatus is what the early stage does.
func (d *Datapath) earlyStatus(live *datapath.Live) (*datapath.Early, error) {
	wish, err := d.earlyWish(live)
	if err != nil {
		return nil, err
	}
	now, err := d.space.EarlyState(wish)
	if err != nil {
		return nil, err
	}
	out := &datapath.Early{Mode: now.Mode, Off: now.Off, Routes: now.Routes, Expects: now.Expects, Dropped: now.Dropped, Stale: now.Stale}
	for _, l := range now.Links {
		out.Links = append(out.Links, datapath.EarlyLink{Interface: l.Interface, How: l.How, Why: l.Why})
	}
	return out, nil
}
