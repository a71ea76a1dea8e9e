package apply

import (
	"github.com/bpftables/bpftables/engine/state"
	"github.com/bpftables/bpftables/ruleset"
)

// before is the enforced ruleset; without one, an empty ruleset. Where tables are
// replaced as a whole it has no rules: most changes of that kind leave no rule of
// before, and reading them would cost more than reading those that come. fill
// reads the rules of tables that turn out to stay.
func (e *Engine) before(live *Live, withRules bool) (*ruleset.Ruleset, error) {
	switch {
	case live == nil:
		return &ruleset.Ruleset{Family: e.family}, nil
	case withRules:
		return e.rules(live.State, "", nil)
	}
	out := &ruleset.Ruleset{Family: e.family}
	for _, t := range live.State.Tables() {
		out.Tables = append(out.Tables, chains(t))
	}
	return out, nil
}

// chains is a table without its rules.
func chains(t *state.Table) *ruleset.Table {
	out := &ruleset.Table{Name: t.Name}
	for _, c := range t.Chains() {
		out.AddChain(&ruleset.Chain{Name: c.Name, Policy: c.Policy, Counters: c.Counters})
	}
	return out
}

// fill reads the rules of the tables that the change leaves as they are, where before
// has none.
func (e *Engine) fill(c *change) error {
	if c.live == nil || c.filled {
		return nil
	}
	for i, t := range c.after.Tables {
		for j, old := range c.before.Tables {
			if old != t {
				continue
			}
			rs, err := e.rules(c.live.State, t.Name, nil)
			if err != nil {
				return err
			}
			c.after.Tables[i], c.before.Tables[j] = rs.Tables[0], rs.Tables[0]
		}
	}
	return nil
}
