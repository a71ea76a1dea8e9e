package translate

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

// Classifier is how rules are found.
type Classifier uint8

// The ways: the translator's choice, or one of them for all chains (for tests; the last one is
// the translator's choice of how, with no code at all: all can be changed in place).
const (
	ClassifyAuto   Classifier = iota
	ClassifyCode              // as code, one rule after the other
	ClassifyTuples            // by tuples
	ClassifyTree              // by decision trees
	ClassifyRows              // as rows, short chains and those that no packet meets, too
)

// ClassifierNames are the ways by name, in their order.
var ClassifierNames = []string{"auto", "code", "tuples", "tree", "rows"}

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
		if t.looksUp(c) {
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

// shadow makes rows of the chains that are code, for when one of them is changed in place, and
// says which class each base chain has.
func (t *table) shadow() {
	if len(t.out.Reasons) > 0 {
		return // it is left to netfilter
	}
	if t.o.Shadows && t.canShadow() {
		t.shadowing = true
		for _, c := range t.src.Chains {
			if t.hooks[c] != 0 || !c.BuiltIn() {
				t.class(c)
			}
		}
		t.classRules()
	}
	t.out.Rows = true
	i := 0
	for _, c := range t.src.Chains {
		t.out.Rows = t.out.Rows && (t.classes[c] != nil || t.hooks[c] == 0 && c.BuiltIn())
		if c.BuiltIn() {
			t.out.Hooks[i].Class = t.classes[c]
			i++
		}
	}
	for _, class := range t.classes {
		class.Unmet = class.Unmet && !t.out.Rows
	}
}

// forgetLeft takes out the classes of tables that turned out to be left to netfilter when they had some: nothing
// looks them up, and a rule that were put there in place would be met by no packet.
func forgetLeft(p *plan.Plan) {
	left := map[string]bool{}
	for _, t := range p.Tables {
		left[t.Name] = !t.InBPF
	}
	p.Classes = slices.DeleteFunc(p.Classes, func(c *plan.Class) bool { return left[c.Table] })
	for i, c := range p.Classes {
		c.Number = i
	}
}

// canShadow says whether all chains can be looked up.
func (t *table) canShadow() bool {
	if t.crowded || len(t.res.Plan.Classes)+len(t.src.Chains) > plan.MaxClasses {
		return false
	}
	for _, c := range t.src.Chains {
		if t.below[c] > plan.ClassDepth {
			return false
		}
	}
	return true
}

// looksUp says whether a chain is to be looked up, whatever calls it. As rows, those are that no
// packet meets, too, without their rules: a jump may be put in place that leads there.
func (t *table) looksUp(c *ruleset.Chain) bool {
	switch t.o.Classifier {
	case ClassifyRows:
		if t.rows {
			return true
		}
		fallthrough
	case ClassifyAuto:
		return t.hooks[c] != 0 && t.long(c)
	}
	return t.hooks[c] != 0
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
		if name := t.callee(r); name != "" && t.classes[t.src.Chain(name)] != nil {
			return true
		}
	}
	return false
}

// classifyAll makes a base chain classified, with all that it calls, where no program runs it as code.
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
	if t.below[c] > plan.ClassDepth || t.crowded {
		return false
	}
	p := t.res.Plan
	class := &plan.Class{
		Number: len(p.Classes), Table: t.src.Name, Chain: c.Name, Forced: t.o.Classifier == ClassifyTuples || t.o.Classifier == ClassifyTree,
		Trees: t.o.Classifier == ClassifyTree, NoLead: t.rows, Hooks: t.hooks[c], Coded: t.coded[c] || t.shadowing && t.hooks[c] != 0, Shadow: t.shadowing,
		Unmet: t.unmet(c), Bare: t.hooks[c] == 0 && len(c.Rules) > 0,
	}
	if c.BuiltIn() {
		class.Policy = &plan.Policy{ID: t.policyID(c), Drop: c.Base.Policy == ruleset.Drop}
	}
	t.classes[c] = class
	p.Classes = append(p.Classes, class)
	for _, r := range c.Rules {
		if name := t.callee(r); name != "" {
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
		if name := b.callee(r); name != "" && b.classCalls(b.src.Chain(name), seen) == maxFrames {
			return maxFrames
		}
	}
	return classFrames
}

// classRules fills the classes that have no rules yet.
func (t *table) classRules() {
	for _, c := range t.src.Chains {
		class := t.classes[c]
		if class == nil || class.Source != nil {
			continue
		}
		if t.hooks[c] == 0 {
			class.Source = func(func(*plan.Rule) bool) {}
			continue
		}
		class.Size, class.Reads, class.Source = len(c.Rules), t.reads[c], t.rulesOf(c)
		if !t.lowersAgain(c) {
			for range class.Source { // numbers rules, and what has a slot
			}
		}
	}
}

// lowersAgain says whether the rules of a chain were not kept.
func (t *table) lowersAgain(c *ruleset.Chain) bool {
	return len(c.Rules) > 0 && t.lines[c.Rules[0]] == nil
}

// rulesOf gives the rules of a classified chain one after the other. Those that were not
// kept are lowered for each that asks: no code has them, so that their ids follow each
// other.
func (t *table) rulesOf(c *ruleset.Chain) iter.Seq[*plan.Rule] {
	if !t.lowersAgain(c) {
		return t.keptRules(c)
	}
	first := uint32(t.res.Plan.Counters)
	for _, r := range c.Rules {
		t.res.Rules[r] = t.nextID()
	}
	return func(yield func(*plan.Rule) bool) {
		place := t.src.Place(t.family, t.hooks[c])
		var room lowered
		var out plan.Rule
		for i, r := range c.Rules {
			t.lowerRule(&room, r, place)
			out = plan.Rule{ID: first + uint32(i), Conds: room.conds, Action: *room.action, Pos: r.Pos.String(), Ends: r.Ends()}
			t.calls(&out, r, place)
			if !yield(&out) {
				return
			}
		}
	}
}

// keptRules is rulesOf for rules that are there.
func (t *table) keptRules(c *ruleset.Chain) iter.Seq[*plan.Rule] {
	return func(yield func(*plan.Rule) bool) {
		place := t.src.Place(t.family, t.hooks[c])
		for _, r := range c.Rules {
			out := t.planned(r)
			t.calls(out, r, place)
			if !yield(out) {
				return
			}
		}
	}
}

// calls sets what a rule of a classified chain calls. Where all chains are classified, a jump that no
// packet meets is one all the same: the rule before it may be deleted in place.
func (t *table) calls(r *plan.Rule, src *ruleset.Rule, place *ruleset.Place) {
	if t.out.Rows && len(t.dead) > 0 && t.dead[src] {
		place.Rule = src
		r.Action = place.Action()
	}
	if r.Action.Op == pred.Jump || r.Action.Op == pred.Goto {
		r.Class = t.classes[t.src.Chain(r.Action.Chain)]
	}
}
