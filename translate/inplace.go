package translate

import (
	"slices"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

// InPlace is what a live generation offers to a rule that is put into one of its
// classified chains.
type InPlace struct {
	Family    packet.Family
	Conntrack bool                   // the kernel's conntrack runs in the namespace
	Bases     []*ruleset.Base        // of the table
	Classes   map[string]*plan.Class // of the table, by chain
	Actions   []plan.Action          // of the table; targets that are new to it come behind them
	Can       Can                    // whether others run a target that is new; nil: none is
	Template  bool                   // see plan.Table
	Hidden    pred.Hidden            // see plan.Table
}

// MayDelete says whether rules of a classified chain can be deleted in place.
func (p *InPlace) MayDelete(chain string) bool {
	class := p.Classes[chain]
	return class != nil && !class.Fixed && !class.Unmet
}

// Rule translates a rule of a classified chain; false when only a new generation can
// run it: its condition has a memory, nobody runs its target, it lets chains be met at hooks where
// they are not met today, or packets collect more actions than is known to fit.
func (p *InPlace) Rule(chain string, r *ruleset.Rule) (*plan.Rule, bool) {
	class := p.Classes[chain]
	if class == nil {
		return nil, false
	}
	place := &ruleset.Place{Family: p.Family, Bases: p.Bases, Hooks: class.Hooks, Rule: r}
	out := &plan.Rule{Pos: r.Pos.String()}
	for _, m := range r.Matches {
		if !p.fits(m, place) {
			return nil, false
		}
		c := m.Lower(place)
		if !pred.Stateless(c) || pred.Any(c, pred.HasArguments) || p.Template && pred.AsksConntrack(c) || pred.AsksHidden(c)&p.Hidden != 0 {
			return nil, false
		}
		out.Conds = append(out.Conds, c)
	}
	if r.Target == nil {
		return out, true
	}
	if !p.fits(r.Target, place) {
		return nil, false
	}
	out.Action = r.Target.Lower(place)
	return out, p.action(out, class)
}

// word is a match or a target.
type word interface {
	Check(in *ruleset.Place) error
}

func (p *InPlace) fits(w word, place *ruleset.Place) bool {
	// What users and groups are may depend on the namespace: package apply decides.
	return w.Check(place) == nil && !ruleset.AsksOwner(w) && (p.Conntrack || !ruleset.NeedsConntrack(w))
}

// action completes what a rule does.
func (p *InPlace) action(r *plan.Rule, class *plan.Class) bool {
	switch r.Action.Op {
	case pred.Continue, pred.Accept, pred.Drop:
		return true
	case pred.Return:
		return !class.Fixed
	case pred.Jump, pred.Goto:
		r.Class = p.Classes[r.Action.Chain]
		return r.Class != nil && class.Hooks&^r.Class.Hooks == 0 && class.Depth > r.Class.Depth &&
			!r.Class.Notes && (r.Action.Op == pred.Jump || !class.Fixed)
	case pred.Do:
		return p.number(r, class.Hooks)
	}
	return false
}

// number finds the number of a target that netfilter runs. Only one that ends the
// traversal can be noted once more without counting what packets may collect.
func (p *InPlace) number(r *plan.Rule, hooks uint8) bool {
	if !r.Action.Ends() || pred.NeedsHidden(r.Action.Effect)&p.Hidden != 0 && routedAt(p.Bases) != 0 {
		return false
	}
	for i, a := range p.Actions {
		if a.Effect == r.Action.Effect {
			r.Number = i
			return true
		}
	}
	// A table without targets has nobody behind its programs whom they could tell.
	if p.Can == nil || hooks == 0 || len(p.Actions) == 0 || len(p.Actions) >= plan.MaxActions {
		return false
	}
	if how, _ := p.Can(r.Action.Effect, hooks); how != Told {
		return false
	}
	r.Number = len(p.Actions)
	p.Actions = append(slices.Clip(p.Actions), plan.Action{Effect: r.Action.Effect})
	return true
}
