package apply

import (
	"fmt"
	"slices"

	"github.com/bpftables/bpftables/bpf/failpoint"
	"github.com/bpftables/bpftables/engine/state"
	"github.com/bpftables/bpftables/ruleset"
)

// tracked says whether a rule needs connection tracking.
func tracked(r *ruleset.Rule) bool {
	return ruleset.NeedsConntrack(r.Target) ||
		slices.ContainsFunc(r.Matches, func(m ruleset.Match) bool { return ruleset.NeedsConntrack(m) })
}

// track has packets of tables with rules that need connection tracking dropped where there is none, once packets see
// these rules.
func (ed *editor) track() {
	for _, t := range ed.tables {
		for _, c := range t.state.Chains() {
			if number, is := class(c); is && t.Tracked {
				ed.classes.Rows().Track(number)
				break
			}
		}
	}
}

// needTracking has connections tracked for a rule of a table.
func (ed *editor) needTracking(t *tableEditor) error {
	if !ed.live.State.Conntrack {
		if ed.err = ed.engine.data.Track(); ed.err != nil {
			return ed.err
		}
		failpoint.At("tracked")
		ed.state.SetConntrack(true)
	}
	if !t.Tracked {
		t.Tracked, ed.other = true, true
	}
	return nil
}

// untrack notes a rule that goes, if it needs connection tracking.
func (ed *editor) untrack(t *tableEditor, r *state.Rule) error {
	if ed.untracks || !ed.live.State.Conntrack {
		return nil
	}
	rule, err := ed.read(t.state, r)
	if err == nil {
		ed.untracks = tracked(rule)
	}
	return err
}

// endTracking has connections not tracked any more, once packets see the change, if no rule is left that
// needs it.
func (ed *editor) endTracking() error {
	if !ed.lastTracked() {
		return nil
	}
	if ed.rows.CodeTracks() {
		return errNotInPlace
	}
	ed.state.SetConntrack(false)
	for _, t := range ed.tables {
		t.Tracked = false
	}
	ed.tracksNot, ed.other = true, true
	return nil
}

// noTracking ends it: no packet needs it any more.
func (ed *editor) noTracking() error {
	if !ed.tracksNot {
		return nil
	}
	ed.classes.Rows().Untrack()
	failpoint.At("untracked")
	live, err := ed.engine.enforced(ed.live)
	if err == nil {
		err = ed.engine.data.Quiesce()
	}
	if err == nil {
		err = ed.engine.data.Untrack(live)
	}
	if err != nil {
		return fmt.Errorf("the new rules are enforced, but connections are tracked that no rule needs: %w", err)
	}
	return nil
}

// lastTracked says whether a rule went that needed connection tracking, and none is left that does: the kernel
// ends it then (nf_ct_netns_put(), net/netfilter/nf_conntrack_proto.c), and puts no fragments together any more.
func (ed *editor) lastTracked() bool {
	if !ed.untracks {
		return false
	}
	// Long tables last: one rule that is found is enough.
	short := func(a, b *state.Table) int { return a.Len() - b.Len() }
	for _, t := range slices.SortedFunc(slices.Values(ed.live.State.Tables()), short) {
		if ed.extra.Owned[t.Name] != nil {
			return false // its rules are not iptables'
		}
		for _, c := range t.Chains() {
			for i := range c.Len() {
				stored := c.Rule(i)
				if r, err := ed.read(t, &stored); err != nil || tracked(r) {
					return false
				}
			}
		}
	}
	return true
}
