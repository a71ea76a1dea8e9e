package apply

import (
	"slices"

	"github.com/bpftables/bpftables/bpf/failpoint"
	"github.com/bpftables/bpftables/engine/state"
	"github.com/bpftables/bpftables/ruleset"
)

// Held names the tables in which something of ours is enforced: rules, chains of users, or
// a policy other than ACCEPT.
func (e *Engine) Held() (map[string]bool, error) {
	live, err := e.Live()
	if err != nil || live == nil {
		return nil, err
	}
	defer live.Close()
	out := map[string]bool{}
	for _, t := range live.State.Tables() {
		if holds(t) {
			out[t.Name] = true
		}
	}
	return out, nil
}

// Holds says the same of a table that is not enforced.
func Holds(t *ruleset.Table) bool {
	return t != nil && slices.ContainsFunc(t.Chains, func(c *ruleset.Chain) bool {
		return len(c.Rules) > 0 || c.Base == nil || c.Base.Policy != ruleset.Accept
	})
}

func holds(t *state.Table) bool {
	return t != nil && slices.ContainsFunc(t.Chains(), func(c *state.Chain) bool {
		return c.Len() > 0 || c.Policy != ruleset.Accept.String()
	})
}

// empties asks about the tables that a text which replaces them leaves with nothing.
func (req *Request) empties(c *change) error {
	if req.Emptied == nil || c.live == nil {
		return nil
	}
	var out []string
	for _, name := range c.flushed {
		if holds(c.live.State.Table(name)) && !Holds(c.after.Table(name)) {
			out = append(out, name)
		}
	}
	if len(out) == 0 {
		return nil
	}
	return req.Emptied(out)
}

// Dir is where the state of the family in this namespace lies.
func (e *Engine) Dir() string { return e.data.Dir() }

// Pins is the directory that all pins of the family in this namespace lie under: a rule of
// netfilter's that uses one is ours.
func (e *Engine) Pins() string { return e.data.Pins() }

// Withdraw removes everything of ours in this family while others enforce the same rules.
func (e *Engine) Withdraw() error { return e.FlushAll() }

// Step marks a step of a longer change at which a test build kills the process.
func (e *Engine) Step(name string) { failpoint.At(name) }
