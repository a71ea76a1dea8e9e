package ruleset

import (
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// Ends says whether nothing behind the rule in its chain can be met: it asks nothing and has
// one of the verdicts (unconditional() in mark_source_chains(),
// net/ipv4/netfilter/ip_tables.c).
func (r *Rule) Ends() bool {
	v, ok := r.Target.(Verdict)
	return ok && v.EndsChain() && len(r.Matches) == 0 && !r.Goto && r.Then == nil
}

// Met are the rules that a packet can get to: those up to the first that always ends the
// chain. What stands behind it is not even checked for loops by netfilter.
func (c *Chain) Met() []*Rule {
	for i, r := range c.Rules {
		if r.Ends() {
			return c.Rules[:i+1]
		}
	}
	return c.Rules
}

// Hooks gives for each chain of the table the hooks from which it can be reached,
// as bits 1 << packet.Hook. A chain that nothing jumps to has none.
func (t *Table) Hooks(family packet.Family) map[*Chain]uint8 {
	out := make(map[*Chain]uint8, len(t.Chains))
	var todo []*Chain
	reach := func(c *Chain, hooks uint8) {
		if c != nil && out[c]|hooks != out[c] {
			out[c] |= hooks
			todo = append(todo, c)
		}
	}
	for _, c := range t.Chains {
		if c.Base != nil {
			reach(c, 1<<c.Base.Hook)
		}
	}
	in := t.Place(family, 0)
	for len(todo) > 0 {
		c := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		in.Hooks = out[c]
		for _, r := range c.Met() {
			for in.Rule = r; in.Rule != nil; in.Rule = in.Rule.Then {
				if a := in.Action(); a.Op == pred.Jump || a.Op == pred.Goto {
					reach(t.Chain(a.Chain), out[c])
				}
			}
		}
	}
	return out
}
