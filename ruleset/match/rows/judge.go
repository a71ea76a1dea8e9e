package rows

import (
	"fmt"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// Place is where the rule of a row stands.
func (r *Row) Place(rule *ruleset.Rule) *ruleset.Place {
	hook, _ := tables.HookOf(r.Chain)
	return &ruleset.Place{Family: r.Family, Bases: tables.Bases(r.Table), Hooks: 1 << hook, Rule: rule}
}

// Text is the rule as iptables-save prints it, without target.
func Text(rule *ruleset.Rule) string {
	var parts []string
	for _, m := range rule.Matches {
		if t := ruleset.TextOf(m); t != "" {
			parts = append(parts, t)
		}
	}
	return strings.Join(parts, " ")
}

// Check asks every match of a rule whether the kernel would refuse it there.
func (r *Row) Check(rule *ruleset.Rule) error {
	in := r.Place(rule)
	for _, m := range rule.Matches {
		if err := m.Check(in); err != nil {
			return fmt.Errorf("%s: %s", m.Word(), tables.Word(err, r.Table))
		}
	}
	return nil
}

// Facts gives the packets of the row, which share the memory of stateful words.
func (r *Row) Facts() ([]*packet.Facts, error) {
	state := map[any]any{}
	all := make([]*packet.Facts, len(r.Packets))
	for i, p := range r.Packets {
		f, err := packet.Parse(r.Family, p.Text)
		if err != nil {
			return nil, &ruleset.Error{Pos: p.Pos, What: err.Error()}
		}
		f.World.State = state
		all[i] = f
	}
	return all, nil
}

// Eval is the second judge: the matches of a rule, in order.
func Eval(rule *ruleset.Rule, f *packet.Facts) pred.Answer {
	for _, m := range rule.Matches {
		if a := m.Eval(f); a != pred.Yes {
			return a
		}
	}
	return pred.Yes
}

// Lower gives the predicates of a rule for the third judge; reason is not empty
// when one of them is Unsupported.
func (r *Row) Lower(rule *ruleset.Rule) (p pred.And, reason string) {
	in := r.Place(rule)
	for _, m := range rule.Matches {
		l := m.Lower(in)
		p = append(p, l)
		if u := pred.UnsupportedReason(l); u != "" {
			reason = u
		}
	}
	return p, reason
}
