package translate

import (
	"fmt"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// unfolded is a ruleset whose rules have one effect each, at their end, and says where its
// rules and chains come from.
type unfolded struct {
	rules *ruleset.Ruleset
	parts map[*ruleset.Rule][]*ruleset.Rule // parts of the given rules that a rule counts for
	bases map[*ruleset.Chain]*ruleset.Chain
}

// unfold makes rules that have conditions behind an effect, or several effects, into more
// rules. Most rulesets have none and are given back as they are.
func unfold(rs *ruleset.Ruleset) *unfolded {
	u := &unfolded{rules: rs}
	for i, t := range rs.Tables {
		if !folded(t) {
			continue
		}
		if u.parts == nil {
			u.parts, u.bases = map[*ruleset.Rule][]*ruleset.Rule{}, map[*ruleset.Chain]*ruleset.Chain{}
			copied := *rs
			copied.Tables = append([]*ruleset.Table{}, rs.Tables...)
			u.rules = &copied
		}
		w := &unfolder{unfolded: u, family: rs.Family, src: t, hooks: t.Hooks(rs.Family)}
		u.rules.Tables[i] = w.table()
	}
	return u
}

func folded(t *ruleset.Table) bool {
	for _, c := range t.Chains {
		for _, r := range c.Rules {
			if r.Then != nil {
				return true
			}
		}
	}
	return false
}

// credit gives the parts of the given rules and the given chains the counter slots of what
// they became.
func (u *unfolded) credit(res *Result) {
	for r, parts := range u.parts {
		if id, ok := res.Rules[r]; ok {
			for _, part := range parts {
				res.Rules[part] = id
			}
		}
	}
	for c, from := range u.bases {
		if id, ok := res.Policies[c]; ok {
			res.Policies[from] = id
		}
	}
}

// Plain is the ruleset with one effect in each rule, at its end: what others can run whose
// rules have no more.
func (r *Result) Plain() *ruleset.Ruleset { return r.unfolded.rules }

// unfolder is the work on one table.
type unfolder struct {
	*unfolded
	family packet.Family
	src    *ruleset.Table
	out    *ruleset.Table
	hooks  map[*ruleset.Chain]uint8
}

func (u *unfolder) table() *ruleset.Table {
	copied := *u.src
	u.out = &copied
	u.out.Chains = nil
	for _, c := range u.src.Chains {
		chain := *c
		u.out.AddChain(&chain)
	}
	for i, c := range u.src.Chains {
		chain := u.out.Chains[i]
		u.bases[chain] = c
		place := u.src.Place(u.family, u.hooks[c])
		chain.Rules = u.unfold(place, c.Name, c.Rules)
	}
	return u.out
}

// part is a part of a rule, lowered.
type part struct {
	rule *ruleset.Rule
	from []*ruleset.Rule
	lowered
}

// unfold gives the rules that do what some rules do.
func (u *unfolder) unfold(place *ruleset.Place, chain string, rules []*ruleset.Rule) (out []*ruleset.Rule) {
	for i, r := range rules {
		if r.Then == nil {
			out = append(out, r)
			continue
		}
		parts := u.partsOf(place, r)
		if flat(parts) {
			out = append(out, u.flatten(parts)...)
			continue
		}
		first := parts[0]
		if !leaves(parts) {
			out = append(out, jump(first.rule, u.inner(chain, parts, nil), false))
			continue
		}
		// What ends the chain must not come back to this one: the rules behind move, too.
		rest := jump(&ruleset.Rule{Pos: r.Pos}, u.hide(chain, u.unfold(place, chain, rules[i+1:])), true)
		return append(out, jump(first.rule, u.inner(chain, parts, rest), true), rest)
	}
	return out
}

// partsOf takes a rule apart. A part that only counts is one with the next if that asks
// nothing; what stands behind a verdict is left out.
func (u *unfolder) partsOf(place *ruleset.Place, r *ruleset.Rule) (out []*part) {
	var counted []*ruleset.Rule
	var asked []ruleset.Match
	for p := range r.Parts() {
		plain := *p
		plain.Then = nil
		plain.Matches = append(asked[:len(asked):len(asked)], p.Matches...)
		one := &part{rule: &plain, from: append(counted, p)}
		one.lower(&plain, place)
		one.conds = append([]pred.Pred{}, one.conds...)
		if one.action.Op == pred.Continue && p.Then != nil && len(p.Then.Matches) == 0 {
			counted, asked = one.from, plain.Matches
			continue
		}
		counted, asked = nil, nil
		out = append(out, one)
		if one.action.Ends() {
			return out
		}
	}
	return out
}

// flat says whether the conditions of each part can be asked again for the parts behind it.
func flat(parts []*part) bool {
	changed := false
	for i, p := range parts[:len(parts)-1] {
		switch p.action.Op {
		case pred.Continue:
		case pred.Do:
			changed = changed || changesFacts(p.action.Effect) || pred.Attaches(p.action.Effect)
		default:
			return false // the chain that it jumps to may change anything
		}
		for _, before := range parts[:i+1] {
			for _, c := range before.conds {
				if !pred.Stateless(c) || changed && pred.Changeable(c) {
					return false
				}
			}
		}
	}
	return true
}

// flatten gives a rule for each part, which asks all that is asked before it, too.
func (u *unfolder) flatten(parts []*part) (out []*ruleset.Rule) {
	var asked []ruleset.Match
	for _, p := range parts {
		asked = append(asked[:len(asked):len(asked)], p.rule.Matches...)
		one := *p.rule
		one.Matches = asked
		out = append(out, u.made(&one, p))
	}
	return out
}

// leaves says whether a part ends the chain without a verdict.
func leaves(parts []*part) bool {
	for _, p := range parts {
		if p.action.Op == pred.Return || p.action.Op == pred.Goto {
			return true
		}
	}
	return false
}

// inner makes a chain for packets that the conditions of the first part say yes to. Its end
// is the end of the rule; with rest, it goes there instead of coming back.
func (u *unfolder) inner(chain string, parts []*part, rest *ruleset.Rule) string {
	first := *parts[0].rule
	first.Matches = nil
	rules := []*ruleset.Rule{u.made(&first, parts[0])}
	switch behind := parts[1:]; len(behind) {
	case 0:
	case 1:
		rules = append(rules, u.made(behind[0].rule, behind[0]))
	default:
		rules = append(rules, jump(behind[0].rule, u.inner(chain, behind, rest), rest != nil))
	}
	if rest != nil {
		rules = append(rules, rest)
	}
	return u.hide(chain, rules)
}

// made tells for which parts of the given rules a rule counts.
func (u *unfolder) made(r *ruleset.Rule, p *part) *ruleset.Rule {
	u.parts[r] = p.from
	return r
}

// hide puts rules into a chain that no language can name.
func (u *unfolder) hide(chain string, rules []*ruleset.Rule) string {
	name := fmt.Sprintf("%s part %d", chain, len(u.out.Chains))
	u.out.AddChain(&ruleset.Chain{Name: name, Rules: rules})
	return name
}

// jump is a rule that asks what another asks and leads to a chain.
func jump(r *ruleset.Rule, chain string, gone bool) *ruleset.Rule {
	return &ruleset.Rule{Pos: r.Pos, Matches: r.Matches, Target: hidden{chain, gone}}
}

// hidden is a jump to a chain that hide made.
type hidden struct {
	chain string
	gone  bool // it does not come back
}

// Word is the name of the chain.
func (h hidden) Word() string { return h.chain }

// Args is the name of the chain.
func (h hidden) Args() []string { return []string{h.chain} }

// Check accepts every rule.
func (h hidden) Check(*ruleset.Place) error { return nil }

// ChainName is the name of the chain.
func (h hidden) ChainName() string { return h.chain }

// Lower gives the jump.
func (h hidden) Lower(*ruleset.Place) pred.Action {
	if h.gone {
		return pred.Action{Op: pred.Goto, Chain: h.chain}
	}
	return pred.Action{Op: pred.Jump, Chain: h.chain}
}
