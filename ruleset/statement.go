package ruleset

import (
	"iter"
	"slices"

	"github.com/bpftables/bpftables/ruleset/pred"
)

// Statement is a condition (Match) or an effect (Target) of a rule.
type Statement interface {
	Word() string
	Args() []string
	Check(in *Place) error
}

// Count is the statement that counts the packets that come to it. A rule of iptables has
// none: it counts the packets that all of its conditions say yes to.
type Count struct{}

// Word is the statement's name in nft.
func (Count) Word() string { return "counter" }

// Args is the name.
func (Count) Args() []string { return []string{"counter"} }

// Check accepts every place.
func (Count) Check(*Place) error { return nil }

// Lower counts and goes on.
func (Count) Lower(*Place) pred.Action { return pred.Action{Op: pred.Continue} }

// NewRule makes a rule of statements in written order. What is not a Match is a Target.
func NewRule(pos Pos, statements ...Statement) *Rule {
	first := &Rule{Pos: pos}
	part := first
	for _, s := range statements {
		if part.Target != nil {
			part.Then = &Rule{Pos: pos}
			part = part.Then
		}
		if m, is := s.(Match); is {
			part.Matches = append(part.Matches, m)
			continue
		}
		part.Target = s.(Target)
	}
	return first
}

// Parts are the rule and what stands behind each effect, in written order.
func (r *Rule) Parts() iter.Seq[*Rule] {
	return func(yield func(*Rule) bool) {
		for part := r; part != nil && yield(part); part = part.Then {
		}
	}
}

// Statements are the conditions and effects in written order.
func (r *Rule) Statements() []Statement { return slices.Collect(r.All()) }

// All walks the statements of a rule in their order.
func (r *Rule) All() iter.Seq[Statement] {
	return func(yield func(Statement) bool) {
		for part := r; part != nil; part = part.Then {
			for _, m := range part.Matches {
				if !yield(m) {
					return
				}
			}
			if part.Target != nil && !yield(part.Target) {
				return
			}
		}
	}
}
