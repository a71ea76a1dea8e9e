package interp

import (
	"fmt"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// StepKind is what a Step is about.
type StepKind uint8

// The kinds of steps.
const (
	StepRule   StepKind = iota // a rule was tried
	StepEnd                    // a user chain ended without verdict
	StepPolicy                 // the policy decided
)

// Step is one step of a traversal, for explain.
type Step struct {
	Kind   StepKind
	Chain  string
	Depth  int // of jumps; 0 in the built-in chain
	Rule   *ruleset.Rule
	Number int // of the rule in its chain, from 1
	Answer pred.Answer
	Failed string // No, Hotdrop: the first match that did not say yes, as printed
	Policy string // StepPolicy: the policy
}

func (r *run) record(one *rule, a pred.Answer, which int) {
	if !r.m.trace {
		return
	}
	s := Step{Kind: StepRule, Chain: r.at.Name, Depth: len(r.stack), Rule: one.Rule, Number: one.number, Answer: a}
	if which >= 0 {
		s.Failed = ruleset.TextOf(one.Matches[which])
	}
	r.res.Steps = append(r.res.Steps, s)
}

func (r *run) tell(kind StepKind) {
	if r.m.trace {
		s := Step{Kind: kind, Chain: r.at.Name, Depth: len(r.stack)}
		if r.at.Base != nil {
			s.Policy = r.at.Base.Policy.String()
		}
		r.res.Steps = append(r.res.Steps, s)
	}
}

// String is the step as explain prints it, without the text of the rule.
func (s Step) String() string {
	where := strings.Repeat("  ", s.Depth) + s.Chain
	switch s.Kind {
	case StepPolicy:
		return fmt.Sprintf("%s policy %s", where, s.Policy)
	case StepEnd:
		return where + " ends, back to the caller"
	}
	where = fmt.Sprintf("%s %d", where, s.Number)
	if s.Rule.Pos.Line > 0 {
		where = fmt.Sprintf("%s (line %d)", where, s.Rule.Pos.Line)
	}
	switch s.Answer {
	case pred.Yes:
		return where + " matches: " + s.action()
	case pred.Hotdrop:
		return fmt.Sprintf("%s drops the packet: %q cannot read its headers", where, s.Failed)
	}
	return fmt.Sprintf("%s does not match: %s", where, s.Failed)
}

// action is what the rule does, as written.
func (s Step) action() string {
	t := s.Rule.Target
	switch {
	case t == nil:
		return "counted, goes on"
	case s.Rule.Goto:
		return "-g " + t.Word()
	}
	return "-j " + ruleset.TextOf(t)
}
