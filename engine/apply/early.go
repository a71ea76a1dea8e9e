package apply

import (
	"cmp"
	"fmt"

	"github.com/bpftables/bpftables/bpf/attach"
	"github.com/bpftables/bpftables/compat/shim"
	"github.com/bpftables/bpftables/engine/state"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/translate"
)

// earlyMode is the mode that a change asks for, or the one that was asked for before.
func earlyMode(asked string, live *Live) (string, error) {
	if asked != "" || live == nil {
		return cmp.Or(asked, attach.EarlyOff), nil
	}
	x, err := live.readExtra()
	if err != nil {
		return "", err
	}
	return cmp.Or(x.Early, attach.EarlyOff), nil
}

// addEarly adds the early stage to a plan.
func addEarly(c *change, res *translate.Result) {
	if c.early == attach.EarlyOff || others(c.after) {
		return // packets that it drops would not be counted by the rules of other owners
	}
	translate.Early(translate.EarlyOptions{
		Options: translate.Options{Text: iptables.PrintRule, Classifier: c.classifier, Can: shim.Can}, Exact: c.early == attach.EarlyExact,
	}, res)
}

// loadEarly loads the early stage. It is never needed: where the kernel does not take
// it, the reason is kept for the status.
func loadEarly(gen *attach.Generation, b *build) (early *attach.Early, off string) {
	if b.early == nil {
		return nil, b.res.Plan.EarlyOff
	}
	early, err := gen.LoadEarly(b.early)
	if err != nil {
		return nil, err.Error()
	}
	return early, ""
}

// installEarly makes the early stage of a generation, or nil, the one that packets meet.
func (e *Engine) installEarly(early *attach.Early) error {
	if early == nil {
		return e.space.DropEarly()
	}
	return early.Install()
}

// syncEarly lets the early stage judge packets by what the namespace has now, or removes
// one that is not wanted any more. What keeps it from that is told by the status; the
// rules are enforced without it.
func (e *Engine) syncEarly(mode string) {
	if mode == attach.EarlyOff && !e.space.HasEarly() {
		return
	}
	_, _ = e.SyncEarly()
}

// SyncEarly makes the early stage follow the interfaces, addresses and hooks of the
// namespace. The caller holds the xtables lock.
func (e *Engine) SyncEarly() (*attach.EarlyState, error) {
	live, err := e.Live()
	if err != nil || live == nil {
		return nil, err
	}
	defer live.Close()
	wish, err := e.earlyWish(live)
	if err != nil {
		return nil, err
	}
	return e.space.SyncEarly(wish)
}

// earlyWish is what the early stage must know about the rules, ours and others.
func (e *Engine) earlyWish(live *Live) (w attach.EarlyWish, err error) {
	x, err := live.readExtra()
	if err != nil {
		return w, err
	}
	w = attach.EarlyWish{
		Mode: cmp.Or(x.Early, attach.EarlyOff), Off: x.EarlyOff, Expects: x.Expects, Last: lastPriority(live.State),
		Iptables: func(table, chain string) bool { return tables.Base(table, chain, "") != nil },
	}
	if w.Mode == attach.EarlyOff {
		return w, nil
	}
	if w.Off == "" && live.State.Version != state.First {
		w.Off = changedSince
	}
	if w.Off == "" {
		w.Off = e.foreignRules()
	}
	return w, nil
}

// changedSince is why the early stage stands still after changes in place: its programs
// have the rules as they were when the generation was made.
const changedSince = "rules were changed since its programs were made; a restore makes them anew, and so does 'bpftables serve' once no rule changes"

// foreignRules names a table of iptables with rules of another owner; "": there is none.
func (e *Engine) foreignRules() string {
	installed, err := e.netfilter.tools.installed()
	if err != nil {
		return err.Error()
	}
	for _, one := range installed {
		for _, table := range shim.Tables() {
			saved, err := one.Save(table)
			if err != nil {
				return err.Error()
			}
			if shim.Foreign(saved, e.space.Pins()) {
				return fmt.Sprintf("netfilter's table %s has rules of another owner", table)
			}
		}
	}
	return ""
}

// lastPriority is that of the last table at INPUT and FORWARD: a table that runs in BPF
// stands one before netfilter's own (enum nf_ip_hook_priorities).
func lastPriority(st *state.Store) int32 {
	last := int32(ruleset.PriorityMangle)
	for _, t := range st.Tables() {
		for _, b := range tables.Bases(t.Name) {
			at := b.Priority
			if t.InBPF {
				at--
			}
			if (b.Hook == packet.Input || b.Hook == packet.Forward) && b.Type == ruleset.Filter {
				last = max(last, at)
			}
		}
	}
	return last
}
