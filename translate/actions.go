package translate

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/flow"
	"github.com/bpftables/bpftables/translate/plan"
)

// number gives each different target its action number, in the order in which a
// walk through the chains meets them.
func (t *table) number() {
	t.numbers = map[pred.Effect]int{}
	seen := map[*ruleset.Chain]bool{}
	var visit func(c *ruleset.Chain)
	visit = func(c *ruleset.Chain) {
		if c == nil || seen[c] {
			return
		}
		seen[c] = true
		for _, r := range c.Rules {
			if a := t.lines[r].action; a.Op == pred.Do {
				t.addAction(a.Effect)
			}
			visit(t.src.Chain(t.callee(r)))
		}
	}
	for _, c := range t.src.Chains {
		if t.hooks[c] != 0 {
			visit(c)
		}
	}
	if n := len(t.out.Actions); n > plan.MaxActions {
		t.leave(nil, "table "+t.src.Name, fmt.Sprintf("its rules have %d different targets that netfilter must run; at most %d have a number", n, plan.MaxActions))
		return
	}
	t.bound()
}

func (t *table) addAction(e pred.Effect) {
	if _, ok := t.numbers[e]; ok {
		return
	}
	t.numbers[e] = len(t.out.Actions)
	t.out.Actions = append(t.out.Actions, plan.Action{Effect: e})
}

// bound leaves a table to netfilter in which packets could collect more actions than fit.
func (t *table) bound() {
	longest := flow.Longest(&rulesFlow{t}, t.numbersOf(t.order))
	for i, c := range t.src.Chains {
		if t.hooks[c] == 0 || !c.BuiltIn() {
			continue
		}
		n := longest[i].Effects
		t.out.Longest = max(t.out.Longest, n)
		if longest[i].Words > plan.MaxNotes || n > plan.MaxRuns {
			t.out.Reasons = append(t.out.Reasons, plan.Reason{
				Pos: c.Pos.String(), Thing: "chain " + c.Name,
				Why: fmt.Sprintf("a packet could meet %s targets that netfilter must run; at most %d different ones in a row fit into its note", count(n), plan.MaxNotes),
			})
			return
		}
	}
}

// count is a number of actions for messages.
func count(n int) string {
	if n >= flow.TooMany {
		return "more than a billion"
	}
	return strconv.Itoa(n)
}

// numbersOf are the places of chains in the table, the last one first.
func (t *table) numbersOf(chains []*ruleset.Chain) []int {
	out := make([]int, 0, len(chains))
	for _, c := range slices.Backward(chains) {
		out = append(out, t.at[c])
	}
	return out
}

// rulesFlow gives the ways through a table; chains are numbered by their places.
type rulesFlow struct{ *table }

// Rules are those of a chain.
func (t *rulesFlow) Rules(chain int) []flow.Rule {
	c := t.src.Chains[chain]
	out := make([]flow.Rule, len(c.Rules))
	for i, r := range c.Rules {
		l := t.lines[r]
		out[i] = flow.Rule{Op: l.action.Op, Ends: r.Ends(), Always: len(l.conds) == 0}
		if name := t.callee(r); name != "" {
			out[i].To = t.at[t.src.Chain(name)]
		}
		if l.action.Op == pred.Do {
			out[i].Note = NoteOf(l.action.Effect, t.numbers[l.action.Effect])
		}
	}
	return out
}

// NoteOf is what ways through a table depend on of an effect with a number.
func NoteOf(e pred.Effect, number int) flow.Note {
	return flow.Note{Number: uint32(number), Final: pred.Ends(e), Once: pred.Idempotent(e), Changes: changesFacts(e)}
}

// changesFacts says whether rules behind an effect see something else than those before it.
func changesFacts(e pred.Effect) bool {
	_, mark := pred.MarkChange(e)
	return mark || pred.Untracks(e)
}

// Implied says whether all conditions of a rule are among those of another, and give the same
// answer when asked again.
func (t *rulesFlow) Implied(chain, by, rule int) bool {
	rules := t.src.Chains[chain].Rules
	return implied(t.lines[rules[rule]].conds, t.lines[rules[by]].conds)
}

func implied(conds, by []pred.Pred) bool {
	have := map[string]bool{}
	for _, p := range by {
		have[p.String()] = true
	}
	for _, p := range conds {
		if !have[p.String()] || !pred.Stateless(p) {
			return false
		}
	}
	return true
}
