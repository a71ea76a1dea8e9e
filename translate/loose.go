package translate

import (
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

// loosen decides which classified chains may lose rules in place. The bounds on what a
// packet collects (bound) rely on rules that end its way: "-j LOG" before "-j DROP" is one
// action, and more once the DROP is gone. A chain is not Fixed if the table's bounds hold
// without those rules, in all such chains at once.
func (t *table) loosen() {
	noted := t.noted()
	if len(noted) == 0 {
		return
	}
	for c, class := range t.classes {
		class.Notes = t.callsAny(c, noted, map[*ruleset.Chain]bool{})
	}
	all, quiet := map[*ruleset.Chain]bool{}, map[*ruleset.Chain]bool{}
	for c := range t.classes {
		all[c], quiet[c] = true, !noted[c]
	}
	for _, loose := range []map[*ruleset.Chain]bool{all, quiet, nil} {
		if longest, ok := t.holds(loose); ok {
			t.out.Longest = longest
			for c, class := range t.classes {
				class.Fixed = !loose[c]
			}
			return
		}
	}
}

// holds says whether the bounds hold for loose chains, and how many actions there are at most.
func (t *table) holds(loose map[*ruleset.Chain]bool) (longest int, ok bool) {
	for _, s := range t.sequences(loose) {
		if s.n > plan.MaxNotes {
			return 0, false
		}
		longest = max(longest, s.n)
	}
	return longest, true
}

// noted are the chains with rules that note actions which do not end the traversal.
func (t *table) noted() map[*ruleset.Chain]bool {
	out := map[*ruleset.Chain]bool{}
	for _, c := range t.src.Chains {
		for _, r := range c.Rules {
			if l := t.lines[r]; l != nil && l.action.Op == pred.Do && !l.action.Ends() {
				out[c] = true
				break
			}
		}
	}
	return out
}

// callsAny says whether a chain is one of some, or calls one.
func (t *table) callsAny(c *ruleset.Chain, some, memo map[*ruleset.Chain]bool) bool {
	if known, ok := memo[c]; ok || some[c] {
		return known || some[c]
	}
	memo[c] = false
	for _, r := range c.Rules {
		if name := t.callee(r); name != "" && t.callsAny(t.src.Chain(name), some, memo) {
			memo[c] = true
			return true
		}
	}
	return false
}
