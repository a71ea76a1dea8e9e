package translate

import (
	"fmt"
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
	t.classRules()
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
		Hooks: t.hooks[c], Depth: depth, Coded: t.coded[c],
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

// classCalls are the call frames of a classified chain. Where its rules call functions of
// the C part, the stack of them all is near the 512 bytes that there are (MAX_BPF_STACK):
// then no chain of code may stand above it.
func (b *hookBuilder) classCalls(c *ruleset.Chain, seen map[*ruleset.Chain]bool) int {
	if seen[c] {
		return classFrames
	}
	seen[c] = true
	if b.callsHelper(c) {
		return maxFrames
	}
	for _, r := range c.Rules {
		if name := callee(b.src, r); name != "" && b.classCalls(b.src.Chain(name), seen) == maxFrames {
			return maxFrames
		}
	}
	return classFrames
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
		if class == nil || class.Rules != nil || len(c.Rules) == 0 {
			continue
		}
		class.Rules = make([]*plan.Rule, len(c.Rules))
		for i, r := range c.Rules {
			p := t.planned(r, c)
			if p.Action.Op == pred.Jump || p.Action.Op == pred.Goto {
				p.Class = t.classes[t.src.Chain(p.Action.Chain)]
			}
			class.Rules[i] = p
		}
	}
}
