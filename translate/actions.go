package translate

import (
	"fmt"
	"strconv"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/pred"
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

// tooMany is what longer sequences are counted as: jumps that nest can double a number with
// each chain.
const tooMany = 1 << 30

// sequence bounds the actions that packets can collect on a set of paths.
type sequence struct {
	n   int
	all pred.Effect // what all actions are, if that is one; valid if n > 0
}

func (s sequence) then(o sequence) sequence {
	if o.n == 0 {
		return s
	}
	if s.n == 0 {
		return o
	}
	out := sequence{n: min(s.n+o.n, tooMany), all: same(s, o)}
	if out.all != nil && pred.Idempotent(out.all) {
		out.n = 1 // it is noted once
	}
	return out
}

// same is the effect of all actions of two sequences; nil when they differ.
func same(s, o sequence) pred.Effect {
	if s.all == o.all {
		return s.all
	}
	return nil
}

// count is the number of actions for messages.
func (s sequence) count() string {
	if s.n >= tooMany {
		return "more than a billion"
	}
	return strconv.Itoa(s.n)
}

func (s sequence) or(o sequence) sequence {
	if o.n == 0 {
		return s
	}
	if s.n == 0 {
		return o
	}
	return sequence{n: max(s.n, o.n), all: same(s, o)}
}

// flow is what a chain can do: paths that come back to the caller, and all paths.
type flow struct {
	through, any sequence
	returns      bool
}

// sequences are the actions that packets can collect from each base chain on. Any rule of a
// loose chain may be deleted later, and packets may leave it at any rule.
func (t *table) sequences(loose map[*ruleset.Chain]bool) map[*ruleset.Chain]sequence {
	flows := map[*ruleset.Chain]flow{}
	var walk func(c *ruleset.Chain) flow
	walk = func(c *ruleset.Chain) flow {
		if f, ok := flows[c]; ok {
			return f
		}
		f := t.chainFlow(c, walk, loose[c])
		flows[c] = f
		return f
	}
	out := map[*ruleset.Chain]sequence{}
	for _, c := range t.src.Chains {
		if t.hooks[c] != 0 && c.BuiltIn() {
			out[c] = walk(c).any
		}
	}
	return out
}

func (t *table) bound() {
	sequences := t.sequences(nil)
	for _, c := range t.src.Chains {
		s, met := sequences[c]
		if !met {
			continue
		}
		t.out.Longest = max(t.out.Longest, s.n)
		if s.n > plan.MaxNotes {
			t.out.Reasons = append(t.out.Reasons, plan.Reason{
				Pos: c.Pos.String(), Thing: "chain " + c.Name,
				Why: fmt.Sprintf("a packet could meet %s targets that netfilter must run; at most %d fit into its note", s.count(), plan.MaxNotes),
			})
			return
		}
	}
}

// pathEnd is a rule at which every packet ends that matched a rule above.
type pathEnd struct {
	after   int // how many rules further
	returns bool
}

// endWithin is how far endOf looks: a note holds fewer actions.
const endWithin = 2 * plan.MaxNotes

// endOf finds the rule that ends the path of a packet that matches the first of
// some rules: the usual "cond -j LOG", "cond -j DROP". Between them stand only
// rules that note actions or count; the conditions of the last one are all among
// those of the first, and nothing changes their answers in between. Nil: none.
func (t *table) endOf(rules []*ruleset.Rule) *pathEnd {
	first := t.lines[rules[0]]
	if first.action.Op != pred.Do || first.action.Ends() || len(first.conds) == 0 {
		return nil
	}
	for i, r := range rules[:min(len(rules), endWithin)] {
		l := t.lines[r]
		if changesFacts(l.action.Effect) {
			return nil
		}
		switch {
		case l.action.Op == pred.Continue, l.action.Op == pred.Do && !l.action.Ends():
			continue
		case l.action.Op == pred.Jump, l.action.Op == pred.Goto, !implied(l.conds, first.conds):
			return nil
		}
		return &pathEnd{after: i, returns: l.action.Op == pred.Return}
	}
	return nil
}

// changesFacts says whether rules behind an effect see something else than those before it.
func changesFacts(e pred.Effect) bool {
	_, mark := pred.MarkChange(e)
	return mark || pred.Untracks(e)
}

// implied says whether all conditions of a rule are among those of another, and
// give the same answer when asked again.
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

// sequenceOf is what a packet notes that matches all of some rules.
func (t *table) sequenceOf(rules []*ruleset.Rule) sequence {
	var s sequence
	for _, r := range rules {
		if a := t.lines[r].action; a.Op == pred.Do {
			s = s.then(sequence{n: 1, all: a.Effect})
		}
	}
	return s
}

func (t *table) chainFlow(c *ruleset.Chain, walk func(*ruleset.Chain) flow, loose bool) flow {
	var cur, back, any sequence
	returns := false
	for i, r := range c.Rules {
		l := t.lines[r]
		always := len(l.conds) == 0 && !loose
		ends := false
		if end := t.endOf(c.Rules[i:]); end != nil && !loose {
			// What this rule notes is only found on paths that end at a rule below.
			side := cur.then(t.sequenceOf(c.Rules[i : i+end.after+1]))
			if end.returns {
				back, returns = back.or(side), true
			} else {
				any = any.or(side)
			}
			continue
		}
		switch l.action.Op {
		case pred.Accept, pred.Drop:
			any, ends = any.or(cur), true
		case pred.Return:
			back, returns, ends = back.or(cur), true, true
		case pred.Do:
			one := sequence{n: 1, all: l.action.Effect}
			if l.action.Ends() {
				any, ends = any.or(cur.then(one)), true
			} else {
				cur = cur.then(one)
			}
		case pred.Jump, pred.Goto:
			callee := walk(t.src.Chain(l.action.Chain))
			any = any.or(cur.then(callee.any))
			through := cur.then(callee.through)
			switch {
			case l.action.Op == pred.Goto && callee.returns:
				back, returns, ends = back.or(through), true, true
			case l.action.Op == pred.Goto || !callee.returns:
				ends = true
			default:
				cur = through
			}
		}
		if ends && always {
			return flow{through: back, any: any.or(back), returns: returns}
		}
	}
	back = back.or(cur)
	return flow{through: back, any: any.or(back), returns: true}
}
