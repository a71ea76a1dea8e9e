package translate

import (
	"fmt"
	"iter"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

// Classifier is how rules are found.
type Classifier uint8

// The ways: the translator's choice, or one of them for all chains (for tests).
const (
	ClassifyAuto   Classifier = iota
	ClassifyCode              // as code, one rule after the other
	ClassifyTuples            // by tables of rules with the same bits
	ClassifyTree              // by decision trees
)

// ClassifierNames are the ways by name, in their order.
var ClassifierNames = []string{"auto", "code", "tuples", "tree"}

// ParseClassifier reads the name of a way; "" is auto.
func ParseClassifier(name string) (Classifier, error) {
	for i, n := range ClassifierNames {
		if n == name {
			return Classifier(i), nil
		}
	}
	if name == "" {
		return ClassifyAuto, nil
	}
	return 0, fmt.Errorf("classifier %s: no such way; it is one of %s", name, strings.Join(ClassifierNames, ", "))
}

const (
	// codeRules is up to how many rules a chain is code.
	codeRules = 24
	// classDepth is CLASS_DEPTH of bpf/classify.h.
	classDepth = 12
	// classFrames are the call frames of a classified chain: classify(), run_program() and
	// what that calls.
	classFrames = 2 + helperFrames
	classWeight = 16
)

// classify decides which chains are looked up: the long ones, and all that they call.
func (t *table) classify() {
	if t.o.Classifier == ClassifyCode {
		return
	}
	for _, c := range t.src.Chains {
		if t.hooks[c] != 0 && (t.o.Classifier != ClassifyAuto || len(c.Rules) > codeRules) {
			t.class(c)
		}
	}
	t.classCallers()
	t.classRules()
	for _, c := range t.src.Chains {
		if t.classes[c] == nil {
			t.keep(c) // too deep to be looked up
		}
	}
}

// classCallers looks up user chains that call looked up ones. As code they would need
// room on the stack that the lookup needs: it may be called by base chains alone.
func (t *table) classCallers() {
	for more := true; more; {
		more = false
		for _, c := range t.src.Chains {
			if t.hooks[c] != 0 && !c.BuiltIn() && t.classes[c] == nil && t.callsClass(c) {
				more = t.class(c) || more
			}
		}
	}
}

func (t *table) callsClass(c *ruleset.Chain) bool {
	for _, r := range c.Rules {
		if name := callee(t.src, r); name != "" && t.classes[t.src.Chain(name)] != nil {
			return true
		}
	}
	return false
}

// classifyAll looks up a base chain that is no program, with all that it calls.
func (b *hookBuilder) classifyAll(base *ruleset.Chain) bool {
	if b.o.Classifier == ClassifyCode || !b.class(base) {
		return false
	}
	b.classRules()
	return true
}

// class makes a chain and those that it calls classified, unless they call each other
// too deep.
func (t *table) class(c *ruleset.Chain) bool {
	if t.classes[c] != nil {
		return true
	}
	depth := t.depth(c, map[*ruleset.Chain]int{})
	if depth > classDepth {
		return false
	}
	p := t.res.Plan
	class := &plan.Class{
		Number: len(p.Classes), Table: t.src.Name, Chain: c.Name, Forced: t.o.Classifier != ClassifyAuto,
		Trees: t.o.Classifier == ClassifyTree, Hooks: t.hooks[c], Depth: depth, Coded: t.coded[c],
	}
	if c.BuiltIn() {
		class.Policy = &plan.Policy{ID: t.policyID(c), Drop: c.Policy == "DROP"}
	}
	t.classes[c] = class
	p.Classes = append(p.Classes, class)
	for _, r := range c.Rules {
		if name := callee(t.src, r); name != "" {
			t.class(t.src.Chain(name))
		}
	}
	return true
}

// depth is how deep the chains below one call each other.
func (t *table) depth(c *ruleset.Chain, memo map[*ruleset.Chain]int) int {
	if n, ok := memo[c]; ok {
		return n
	}
	n := 0
	for _, r := range c.Rules {
		if name := callee(t.src, r); name != "" {
			n = max(n, 1+t.depth(t.src.Chain(name), memo))
		}
	}
	memo[c] = n
	return n
}

// classRules fills the classes that have no rules yet.
func (t *table) classRules() {
	for _, c := range t.src.Chains {
		class := t.classes[c]
		if class == nil || class.Source != nil {
			continue
		}
		class.Size, class.Source = len(c.Rules), t.rulesOf(c)
		if len(c.Rules) == 0 || t.lines[c.Rules[0]] == nil {
			for _, r := range c.Rules {
				t.ruleID(r)
			}
			continue
		}
		for range class.Source { // numbers what has a slot
		}
	}
}

// rulesOf gives the rules of a classified chain. Those that were not kept are lowered for
// each that asks.
func (t *table) rulesOf(c *ruleset.Chain) iter.Seq[*plan.Rule] {
	return func(yield func(*plan.Rule) bool) {
		place := &ruleset.Place{Family: t.family, Table: t.src.Name, Hooks: t.hooks[c]}
		var room lowered
		var conds []pred.Pred
		out := &plan.Rule{}
		for _, r := range c.Rules {
			l := t.lines[r]
			if l == nil {
				l = &room
				l.lower(r, place)
			}
			t.plannedIn(out, r, l, conds[:0])
			conds = out.Conds
			if out.Action.Op == pred.Jump || out.Action.Op == pred.Goto {
				out.Class = t.classes[t.src.Chain(out.Action.Chain)]
			}
			if !yield(out) {
				return
			}
		}
	}
}
