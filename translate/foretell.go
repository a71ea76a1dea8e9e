package translate

import (
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// foreseen leaves a table to netfilter in which a rule asks for something that a rule before
// it has changed in a way that cannot be foretold.
func (t *table) foreseen() {
	hidden := map[*ruleset.Chain]pred.Hidden{} // from packets that come to a chain
	left := map[*ruleset.Chain]pred.Hidden{}   // by it and what it calls
	for i := len(t.order) - 1; i >= 0; i-- {
		c := t.order[i]
		for _, r := range c.Rules {
			left[c] |= t.hides(r) | left[t.src.Chain(t.callee(r))]
		}
		t.out.Hidden |= left[c]
	}
	for _, c := range t.order {
		now := hidden[c]
		for _, r := range c.Rules {
			if asked := now & t.asksHidden(r, c); asked != 0 {
				t.leave(r, thingOf(r, asked), "a rule before it changes what it asks, in a way that cannot be foretold")
				return
			}
			if to := t.src.Chain(t.callee(r)); to != nil {
				hidden[to] |= now
				now |= left[to]
			}
			now |= t.hides(r)
		}
	}
}

func (t *table) hides(r *ruleset.Rule) pred.Hidden {
	if l := t.lines[r]; l.action.Op == pred.Do {
		return pred.Hides(t.family, l.action.Effect)
	}
	return 0
}

func (t *table) asksHidden(r *ruleset.Rule, c *ruleset.Chain) (h pred.Hidden) {
	l := t.lines[r]
	for _, p := range l.conds {
		h |= pred.AsksHidden(p)
	}
	if l.action.Op == pred.Do {
		h |= pred.NeedsHidden(l.action.Effect)
	}
	if t.hooks[c]&routedAt(t.src.Bases()) == 0 {
		h &^= pred.HiddenWay
	}
	return h
}

// routedAt are the hooks (1 << packet.Hook) at which packets that base chains have changed
// are routed again.
func routedAt(bases []*ruleset.Base) (hooks uint8) {
	for _, b := range bases {
		if b.Type == ruleset.Route {
			hooks |= 1 << b.Hook
		}
	}
	return hooks
}

// thingOf is the word of a rule that asks what is hidden.
func thingOf(r *ruleset.Rule, asked pred.Hidden) string {
	if asked&^(pred.HiddenWay|pred.HiddenZone) == 0 || len(r.Matches) == 0 {
		return r.Target.Word()
	}
	return r.Matches[len(r.Matches)-1].Word()
}
