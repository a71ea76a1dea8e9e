package translate

import (
	"fmt"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

// slots numbers the state of stateful predicates. A rule that is emitted in
// several programs has one state.
type slots struct {
	rules *ruleset.Ruleset
	plan  *plan.Plan
	byKey map[any]int
	kinds map[string]int // arguments so far
}

func newSlots(rs *ruleset.Ruleset, p *plan.Plan) *slots {
	return &slots{rules: rs, plan: p, byKey: map[any]int{}, kinds: map[string]int{}}
}

// assign returns the predicate with its slot numbers filled in; one without state is
// returned as it is. Key is the identity of the state where the predicate brings none.
func (s *slots) assign(p pred.Pred, key stateKey) pred.Pred {
	return eachNumbered(p, func(part pred.Pred) pred.Pred { return s.number(part, key) })
}

// eachNumbered replaces the parts of a predicate that have slots.
func eachNumbered(p pred.Pred, by func(part pred.Pred) pred.Pred) pred.Pred {
	if !pred.Any(p, numbered) {
		return p
	}
	all := func(ps []pred.Pred) []pred.Pred {
		out := make([]pred.Pred, len(ps))
		for i, p := range ps {
			out[i] = eachNumbered(p, by)
		}
		return out
	}
	switch p := p.(type) {
	case pred.Not:
		return pred.Not{P: eachNumbered(p.P, by)}
	case pred.HotdropIf:
		return pred.HotdropIf{P: eachNumbered(p.P, by)}
	case pred.And:
		return pred.And(all(p))
	case pred.Or:
		return pred.Or(all(p))
	}
	return by(p)
}

// number is assign for a predicate without parts.
func (s *slots) number(p pred.Pred, key stateKey) pred.Pred {
	switch p := p.(type) {
	case pred.Limit:
		var isNew bool
		if p.Slot, isNew = s.slot(key, len(s.plan.Limits)); isNew {
			s.plan.Limits = append(s.plan.Limits, p)
		}
		return p
	case pred.Quota:
		var isNew bool
		if p.Slot, isNew = s.slot(key, len(s.plan.Limits)); isNew {
			s.plan.Limits = append(s.plan.Limits, pred.Limit{Slot: p.Slot, Quota: &p.Bytes})
		}
		return p
	case pred.Nth:
		var isNew bool
		if p.Slot, isNew = s.slot(key, len(s.plan.Nths)); isNew {
			s.plan.Nths = append(s.plan.Nths, p)
		}
		return p
	case pred.Recent:
		var isNew bool
		if p.Slot, isNew = s.slot(key, len(s.plan.Recents)); isNew {
			s.plan.Recents = append(s.plan.Recents, p)
		}
		return p
	case pred.InSet:
		p.Slot = s.use(p)
		return p
	case pred.SetUpdate:
		p.Slot = s.use(p)
		return p
	case pred.SCTPChunks:
		return s.arguments(p, func(slot int) pred.Pred { p.Slot = slot; return p })
	case pred.Meter:
		return s.arguments(p, func(slot int) pred.Pred { p.Slot = slot; return p })
	case pred.Groups:
		return s.arguments(p, func(slot int) pred.Pred { p.Slot = slot; return p })
	case pred.ControlGroup:
		return s.arguments(p, func(slot int) pred.Pred { p.Slot = slot; return p })
	case pred.ConnCount:
		return s.arguments(p, func(slot int) pred.Pred { p.Slot = slot; return p })
	case pred.Policy:
		return s.arguments(p, func(slot int) pred.Pred { p.Slot = slot; return p })
	case pred.Options6:
		return s.arguments(p, func(slot int) pred.Pred { p.Slot = slot; return p })
	case pred.Hops6:
		return s.arguments(p, func(slot int) pred.Pred { p.Slot = slot; return p })
	case pred.Time:
		return s.arguments(p, func(slot int) pred.Pred { p.Slot = slot; return p })
	case pred.Search:
		return s.arguments(p, func(slot int) pred.Pred { p.Slot = slot; return p })
	}
	return p
}

// arguments numbers a predicate that has its arguments in a map; the same have one number.
func (s *slots) arguments(p pred.Pred, with func(slot int) pred.Pred) pred.Pred {
	kind := fmt.Sprintf("%T", p)
	slot, isNew := s.slot(kind+" "+p.String(), s.kinds[kind])
	p = with(slot)
	if isNew {
		s.kinds[kind]++
		s.plan.Args = append(s.plan.Args, p)
	}
	return p
}

// numbered says whether a part of a predicate has a slot.
func numbered(part pred.Pred) bool {
	switch part.(type) {
	case pred.Limit, pred.Quota, pred.Nth, pred.Recent, pred.InSet, pred.SetUpdate:
		return true
	}
	return pred.HasArguments(part)
}

// slot gives the number for a key, and whether the key is new.
func (s *slots) slot(key any, next int) (n int, isNew bool) {
	if n, ok := s.byKey[key]; ok {
		return n, false
	}
	s.byKey[key] = next
	return next, true
}
