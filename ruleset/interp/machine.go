package interp

import (
	"slices"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// Mode is the statement of a match that is asked.
type Mode uint8

// The two statements of a match.
const (
	ByEval  Mode = iota // Match.Eval
	ByLower             // pred.Eval of Match.Lower
)

// Verdict is how a traversal of a table ends.
type Verdict uint8

// The verdicts. A packet that an effect of the deciding rule took (pred.Ends: an answer, a
// queue) is Taken.
const (
	Accept Verdict = iota
	Drop
	Taken
)

// String names the verdict.
func (v Verdict) String() string { return [...]string{"ACCEPT", "DROP", "TAKEN"}[v] }

// Machine is one table ready to run. It counts, as the table in the kernel does;
// stateful matches keep their memory in the World of the packets. It is not safe
// for concurrent use.
type Machine struct {
	family   packet.Family
	table    *ruleset.Table
	mode     Mode
	trace    bool
	chains   map[string]*chain
	Rules    map[*ruleset.Rule]ruleset.Counters  // packets and bytes that matched
	Policies map[*ruleset.Chain]ruleset.Counters // packets and bytes that met the policy
}

// chain is a chain with its rules lowered.
type chain struct {
	*ruleset.Chain
	rules []*rule
}

type rule struct {
	*ruleset.Rule
	number int // from 1
	action pred.Action
	lower  []pred.Pred // by match; only ByLower; nil: asked by Eval, its predicates cannot say it
	behind *rule       // what is written behind the effect; nil: nothing
}

// New prepares a table.
func New(family packet.Family, t *ruleset.Table, mode Mode) *Machine {
	m := &Machine{
		family: family, table: t, mode: mode, chains: make(map[string]*chain, len(t.Chains)),
		Rules: map[*ruleset.Rule]ruleset.Counters{}, Policies: map[*ruleset.Chain]ruleset.Counters{},
	}
	hooks := t.Hooks(family)
	for _, c := range t.Chains {
		m.chains[c.Name] = m.prepare(c, hooks[c])
	}
	return m
}

// Load does to a world what loading the rules does: a -m recent rule makes its
// list.
func (m *Machine) Load(w *packet.World) {
	for _, c := range m.table.Chains {
		for _, r := range c.Rules {
			for _, s := range r.Statements() {
				if l, ok := s.(interface{ Load(*packet.World) }); ok {
					l.Load(w)
				}
			}
		}
	}
}

func (m *Machine) prepare(c *ruleset.Chain, hooks uint8) *chain {
	out := &chain{Chain: c, rules: make([]*rule, len(c.Rules))}
	for i, r := range c.Rules {
		out.rules[i] = m.part(m.table.Place(m.family, hooks), r, i+1)
	}
	return out
}

// part prepares a rule, and what stands behind its first effect.
func (m *Machine) part(in *ruleset.Place, r *ruleset.Rule, number int) *rule {
	if r == nil {
		return nil
	}
	in.Rule = r
	one := &rule{Rule: r, number: number, action: in.Action()}
	if m.mode == ByLower {
		for _, match := range r.Matches {
			one.lower = append(one.lower, meaningful(match.Lower(in)))
		}
	}
	one.behind = m.part(in, r.Then, number)
	return one
}

// ask asks the matches of a rule in order and gives the first answer that is not
// yes, with the number of the match that gave it.
func (m *Machine) ask(r *rule, f *packet.Facts) (pred.Answer, int) {
	for i, match := range r.Matches {
		var a pred.Answer
		if m.mode == ByLower && r.lower[i] != nil {
			a = pred.Eval(r.lower[i], f)
		} else {
			a = match.Eval(f)
		}
		if a != pred.Yes {
			return a, i
		}
	}
	return pred.Yes, -1
}

// meaningful gives the predicate, nil when a part of it is Unsupported, which has
// no meaning here.
func meaningful(p pred.Pred) pred.Pred {
	if unsupported(p) {
		return nil
	}
	return p
}

func unsupported(p pred.Pred) bool {
	switch p := p.(type) {
	case pred.Unsupported:
		return true
	case pred.Not:
		return unsupported(p.P)
	case pred.HotdropIf:
		return unsupported(p.P)
	case pred.And:
		return slices.ContainsFunc(p, unsupported)
	case pred.Or:
		return slices.ContainsFunc(p, unsupported)
	}
	return false
}
