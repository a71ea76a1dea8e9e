package ruleset

import (
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

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
		if h, ok := packet.HookByName(c.Name); ok && c.BuiltIn() {
			reach(c, 1<<h)
		}
	}
	in := &Place{Family: family, Table: t.Name}
	for len(todo) > 0 {
		c := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		in.Hooks = out[c]
		for _, r := range c.Rules {
			in.Rule = r
			if a := in.Action(); a.Op == pred.Jump || a.Op == pred.Goto {
				reach(t.Chain(a.Chain), out[c])
			}
		}
	}
	return out
}
