package translate

import (
	"fmt"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

// unfit says why BPF cannot ask a predicate; "": it can.
func (t *table) unfit(p pred.Pred) (why string) {
	pred.Any(p, func(part pred.Pred) bool {
		switch part := part.(type) {
		case pred.Unsupported:
			why = part.Reason
		case pred.InSet:
			why = t.badSet(part.Set, part.Key)
		case pred.SetUpdate:
			why = t.badSet(part.Set, part.Key)
		}
		return why != ""
	})
	return why
}

// badSet says why a set cannot be asked for a key; "": it can.
func (t *table) badSet(name string, key pred.SetKey) string {
	set := t.slots.rules.Set(name)
	switch {
	case set == nil:
		return fmt.Sprintf("there is no set %q", name)
	case key.Len(t.family) != set.KeyLen():
		return fmt.Sprintf("set %q has keys of %d bytes, %s has %d", name, set.KeyLen(), key, key.Len(t.family))
	case set.KeyLen() > pred.MaxKeyLen:
		return fmt.Sprintf("set %q has keys of %d bytes, at most %d can be looked up", name, set.KeyLen(), pred.MaxKeyLen)
	case !key.InFacts():
		return fmt.Sprintf("%s is not known before the first rule, set %q cannot be asked for it", key, name)
	}
	return ""
}

// plannedSets are the sets of a ruleset that can be looked up, whether a rule asks them or not.
func plannedSets(rs *ruleset.Ruleset) (out []*plan.Set) {
	for _, from := range rs.Sets {
		if from.KeyLen() > pred.MaxKeyLen {
			continue // rules that ask it are not for BPF
		}
		to := &plan.Set{Name: from.Name, KeyLen: from.KeyLen(), Room: from.Room()}
		for _, e := range from.Elements {
			if e.Timeout == 0 {
				e.Timeout = from.Timeout
			}
			to.Elements = append(to.Elements, plan.Element(e))
		}
		out = append(out, to)
	}
	return out
}

// use numbers a question to a set, or a change of it.
func (s *slots) use(p pred.Pred) int {
	slot, isNew := s.slot(p, len(s.plan.SetUses))
	if isNew {
		s.plan.SetUses = append(s.plan.SetUses, p)
	}
	return slot
}

// own makes effects that the programs run themselves part of the conditions, at their end.
func (t *table) own(l *lowered, hooks uint8) {
	if l.action.Op != pred.Do {
		return
	}
	update, is := l.action.Effect.(pred.SetUpdate)
	if how, _ := t.can(l.action.Effect, hooks); !is || how != Own {
		return
	}
	// The rule goes on, and counts, whether the set is full or not.
	l.conds = append(l.conds, pred.Or{update, pred.Const(pred.Yes)})
	l.action = verdicts[pred.Continue]
}
