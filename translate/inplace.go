package translate

import (
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

// InPlace is what a live generation offers to a rule that is put into a classified chain of a table.
type InPlace struct {
	Family  packet.Family
	Bases   []*ruleset.Base  // of the table
	Actions *plan.ActionList // of the table; targets that are new to it come behind them
	Can     Can              // whether others run a target that is new; nil: none is
	// Class gives the number of a chain that rules can jump to; false: of none.
	Class func(chain string) (int, bool)
	// Slot gives a limit, an nth or a question to a list of -m recent a number that no other has; false: there is none left.
	Slot          func(pred.Pred) (int, bool)
	Template      bool        // see plan.Table
	Hidden, Asked pred.Hidden // see plan.Table; those of rules that are put in place come to it
}

// Placed is a rule that can be put in place.
type Placed struct {
	*plan.Rule
	Refused   uint8       // 1 << packet.Hook: where it would be refused, or nobody runs its target
	Conntrack bool        // it needs the kernel's conntrack
	Slots     []pred.Pred // its limits, nths and questions to lists, with their numbers
}

// Rule translates a rule of a classified chain; nil when only a new generation can
// run it: its condition has a memory, nobody runs its target, or it asks what others hide.
func (p *InPlace) Rule(r *ruleset.Rule) *Placed {
	place := &ruleset.Place{Family: p.Family, Bases: p.Bases, Rule: r}
	if refuses(place) {
		return nil // wherever it stands
	}
	out := &Placed{Rule: &plan.Rule{Pos: r.Pos.String(), Ends: r.Ends()}, Refused: p.Refused(r)}
	for _, m := range r.Matches {
		// What users and groups are may depend on the namespace: package apply decides.
		if ruleset.AsksOwner(m) || ruleset.TrackingKept(m) != 0 { // the kernel is asked for it with a generation
			return nil
		}
		out.Conntrack = out.Conntrack || ruleset.NeedsConntrack(m)
		c := m.Lower(place)
		if pred.Any(c, elsewhere) || p.Template && pred.AsksConntrack(c) || !p.asks(pred.AsksHidden(c)) {
			return nil
		}
		c, ok := p.slots(c, out)
		if !ok {
			return nil
		}
		out.Conds = append(out.Conds, c)
	}
	if r.Target == nil {
		return out
	}
	out.Conntrack = out.Conntrack || ruleset.NeedsConntrack(r.Target)
	if ruleset.GivesHelper(r.Target) {
		return nil
	}
	out.Action = r.Target.Lower(place)
	if !p.action(out) {
		return nil
	}
	return out
}

// elsewhere says whether a predicate is one that a new generation alone can ask: its arguments, or
// what it remembers, lie in maps that are made with it, the kernel has to keep more of connections
// for it, or nobody can.
func elsewhere(p pred.Pred) bool {
	switch p.(type) {
	case pred.InSet, pred.SetUpdate, pred.Quota, pred.ConnLabel, pred.Unsupported:
		return true
	}
	return pred.HasArguments(p)
}

// slots numbers the limits, nths and questions to lists of a predicate.
func (p *InPlace) slots(c pred.Pred, out *Placed) (with pred.Pred, ok bool) {
	ok = true
	number := func(part pred.Pred) int {
		n, free := 0, false
		if p.Slot != nil {
			n, free = p.Slot(part)
		}
		ok = ok && free
		return n
	}
	with = eachNumbered(c, func(part pred.Pred) pred.Pred {
		switch l := part.(type) {
		case pred.Limit:
			l.Slot = number(l)
			part = l
		case pred.Nth:
			l.Slot = number(l)
			part = l
		case pred.Recent:
			l.Slot = number(l)
			part = l
		}
		out.Slots = append(out.Slots, part)
		return part
	})
	return with, ok
}

// asks says whether a rule may ask something, which no rule of the table hides.
func (p *InPlace) asks(h pred.Hidden) bool {
	h = p.seen(h)
	p.Asked |= h
	return h&p.Hidden == 0
}

// hides says whether a rule may hide something, which no rule of the table asks.
func (p *InPlace) hides(h pred.Hidden) bool {
	p.Hidden |= h
	return p.seen(h)&p.Asked == 0
}

// seen leaves out which way a packet goes where none is routed again.
func (p *InPlace) seen(h pred.Hidden) pred.Hidden {
	if routedAt(p.Bases) == 0 {
		h &^= pred.HiddenWay
	}
	return h
}

// Refused gives the hooks (1 << packet.Hook) from which packets must not come to a rule: the kernel
// refuses it there, or nobody runs its target.
func (p *InPlace) Refused(r *ruleset.Rule) (hooks uint8) {
	at := &ruleset.Place{Family: p.Family, Bases: p.Bases, Rule: r}
	for h := packet.Prerouting; h <= packet.Postrouting; h++ {
		if at.Hooks = 1 << h; refuses(at) || !p.runs(at.Action(), at.Hooks) {
			hooks |= at.Hooks
		}
	}
	return hooks
}

// refuses says whether the kernel does.
func refuses(at *ruleset.Place) bool {
	for _, m := range at.Rule.Matches {
		if m.Check(at) != nil {
			return true
		}
	}
	return at.Rule.Target != nil && at.Rule.Target.Check(at) != nil
}

// runs says whether somebody runs what a rule does at some hooks.
func (p *InPlace) runs(a pred.Action, hooks uint8) bool {
	if a.Op != pred.Do {
		return true
	}
	if p.Can == nil {
		return false
	}
	how, _ := p.Can(a.Effect, hooks)
	return how == Told
}

// action completes what a rule does.
func (p *InPlace) action(r *Placed) bool {
	switch r.Action.Op {
	case pred.Continue, pred.Accept, pred.Drop, pred.Return:
		return true
	case pred.Jump, pred.Goto:
		n, is := p.Class(r.Action.Chain)
		r.Class = &plan.Class{Number: n}
		return is
	case pred.Do:
		return p.number(r)
	}
	return false
}

// number finds the number of a target that netfilter runs.
func (p *InPlace) number(r *Placed) bool {
	e := r.Action.Effect
	m, marks := pred.MarkChange(e)
	if pred.Attaches(e) || p.Template && marks && (m.NeedConn || m.Dst == pred.FieldCtMark || m.Src == pred.FieldCtMark) ||
		!p.asks(pred.NeedsHidden(e)) || !p.hides(pred.Hides(p.Family, e)) {
		return false
	}
	known := false
	if r.Number, known = p.Actions.Number(e); known {
		return true
	}
	if p.Actions.Len() >= plan.MaxActions || r.Refused == everyHook {
		return false
	}
	var err error
	r.Number, err = p.Actions.Add(e)
	return err == nil
}

// everyHook is all hooks, 1 << packet.Hook.
const everyHook = 1<<(packet.Postrouting+1) - 1
