package apply

import (
	"slices"

	"github.com/bpftables/bpftables/engine/state"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
	"github.com/bpftables/bpftables/ruleset/packet"
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
		if !tables.Known(t.Name) {
			continue // of another owner: join puts it there
		}
		out.Tables = append(out.Tables, chains(e.family, t, nil))
	}
	return out, nil
}

// around is before without rules for one command line: of a command that names a chain, which
// most do, those that it names are enough.
func (e *Engine) around(live *Live, argv *iptables.Argv) (*ruleset.Ruleset, error) {
	if argv == nil || argv.Chain == "" || live.State.Table(argv.Table) == nil {
		return e.before(live, false)
	}
	t := chains(e.family, live.State.Table(argv.Table), argv.Names)
	return &ruleset.Ruleset{Family: e.family, Tables: []*ruleset.Table{t}}, nil
}

// chains is a table without its rules; names are those of the user chains that are wanted, nil: all.
func chains(family packet.Family, t *state.Table, names []string) *ruleset.Table {
	out := &ruleset.Table{Family: family, Name: t.Name, Owner: tables.Owner}
	for _, c := range t.Chains() {
		if names != nil && c.Policy == "" && !slices.Contains(names, c.Name) {
			continue
		}
		out.AddChain(&ruleset.Chain{Name: c.Name, Base: tables.Base(t.Name, c.Name, c.Policy), Counters: c.Counters})
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
