package translate

import (
	"fmt"
	"slices"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

// maxNesting is how deep jumps may nest in a table that BPF runs. Real rulesets have less than
// ten; the functions that follow jumps call themselves that often.
const maxNesting = 4096

var tooNested = fmt.Sprintf("its jumps nest deeper than %d chains", maxNesting)

// callGraph is which chains call which, as far as packets get. A rule behind one that always ends
// its chain calls nothing: chains may call each other in rings there, and netfilter takes
// them (mark_source_chains(), net/ipv4/netfilter/ip_tables.c).
type callGraph struct {
	order []*ruleset.Chain       // those that packets meet, callers before what they call
	below map[*ruleset.Chain]int // how deep the chains below one call each other
	dead  map[*ruleset.Rule]bool // jumps that no packet meets
	// crowded says that there are too many chains to give each of them a number.
	crowded bool
	rows    bool // all chains are looked up, and none is code
}

// follow finds out which chains call which.
func (t *table) follow() {
	t.below, t.dead = map[*ruleset.Chain]int{}, map[*ruleset.Rule]bool{}
	for _, c := range t.src.Chains {
		for _, r := range c.Rules[len(c.Met()):] {
			if chainOf(r) != "" {
				t.dead[r] = true
			}
		}
	}
	t.order = t.callersFirst()
	t.crowded = len(t.res.Plan.Classes)+len(t.order) > plan.MaxClasses
	for i := len(t.order) - 1; i >= 0; i-- {
		c, n := t.order[i], 0
		for _, r := range c.Rules {
			if name := t.callee(r); name != "" {
				n = max(n, 1+t.below[t.src.Chain(name)])
			}
		}
		t.below[c] = n
	}
	t.rows = t.o.Classifier == ClassifyRows && t.canShadow()
}

// callersFirst gives the chains that packets meet, each behind all that call it. It keeps a
// stack of its own: jumps may nest as deep as there are chains.
func (t *table) callersFirst() []*ruleset.Chain {
	type step struct {
		chain *ruleset.Chain
		next  int
	}
	var done []*ruleset.Chain
	seen := map[*ruleset.Chain]bool{}
	for _, base := range t.src.Chains {
		if !base.BuiltIn() {
			continue
		}
		for stack := []step{{chain: base}}; len(stack) > 0; {
			top := &stack[len(stack)-1]
			if top.next == len(top.chain.Rules) {
				done = append(done, top.chain)
				stack = stack[:len(stack)-1]
				continue
			}
			name := t.callee(top.chain.Rules[top.next])
			top.next++
			if c := t.src.Chain(name); c != nil && !seen[c] {
				seen[c] = true
				stack = append(stack, step{chain: c})
			}
		}
	}
	slices.Reverse(done)
	return done
}

// nested says whether jumps nest too deep for the functions that follow them.
func (t *table) nested() bool {
	for _, n := range t.below {
		if n > maxNesting {
			return true
		}
	}
	return false
}

// unmet says whether a chain has jumps that no packet meets.
func (t *table) unmet(c *ruleset.Chain) bool {
	return len(t.dead) > 0 && slices.ContainsFunc(c.Rules, func(r *ruleset.Rule) bool { return t.dead[r] })
}

// callee is the chain that a rule jumps or goes to; "" when it does not, or no packet
// meets it.
func (t *table) callee(r *ruleset.Rule) string {
	if len(t.dead) > 0 && t.dead[r] {
		return ""
	}
	return chainOf(r)
}

// chainOf is the chain that a rule names; "" when it names none.
func chainOf(r *ruleset.Rule) string {
	if r.Target == nil {
		return ""
	}
	if j, ok := r.Target.(interface{ ChainName() string }); ok {
		return j.ChainName()
	}
	return ""
}

// lowerRule fills l for a rule. A jump that no packet meets is one that drops.
func (t *table) lowerRule(l *lowered, r *ruleset.Rule, place *ruleset.Place) {
	l.lower(r, place)
	t.own(l, place.Hooks)
	if len(t.dead) > 0 && t.dead[r] {
		l.action = verdicts[pred.Drop]
	}
}
