package apply

import (
	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/compat/shim"
	"github.com/bpftables/bpftables/compat/state"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/translate"
	"github.com/bpftables/bpftables/translate/plan"
)

// origins finds where the rules of a new ruleset stood in the ruleset before.
type origins struct {
	places map[*ruleset.Rule]state.Place
	report iptables.Report
	before *ruleset.Ruleset
}

func newOrigins(before *ruleset.Ruleset, report iptables.Report) *origins {
	o := &origins{places: map[*ruleset.Rule]state.Place{}, report: report, before: before}
	for _, t := range before.Tables {
		for _, c := range t.Chains {
			for i, r := range c.Rules {
				o.places[r] = state.Place{Table: t.Name, Chain: c.Name, Rule: i}
			}
		}
	}
	return o
}

func (o *origins) rule(table string, r *ruleset.Rule) *state.Place {
	if tr := o.report.Table(table); tr != nil {
		if old, ok := tr.Moved[r]; ok {
			r = old
		}
	}
	if p, ok := o.places[r]; ok {
		return &p
	}
	return nil
}

func (o *origins) policy(table string, c *ruleset.Chain) *state.Place {
	old := o.before.Table(table)
	if !c.BuiltIn() || old == nil || old.Chain(c.Name) == nil {
		return nil
	}
	if tr := o.report.Table(table); tr != nil && !tr.KeptPolicy[c.Name] {
		return nil
	}
	return &state.Place{Table: table, Chain: c.Name, Rule: state.None}
}

// tableState describes one table of a new generation.
func tableState(t *ruleset.Table, p *plan.Table, res *translate.Result, o *origins) state.Table {
	out := state.Table{Name: t.Name, InBPF: p.InBPF, Notes: p.Notes, Shims: len(p.Actions)}
	for _, c := range t.Chains {
		cs := state.Chain{Name: c.Name, Policy: state.Cell{Slot: state.None}, Rules: make([]state.Cell, len(c.Rules))}
		if id, ok := res.Policies[c]; ok {
			cs.Policy.Slot = int(id)
		}
		cs.Policy.From = o.policy(t.Name, c)
		for i, r := range c.Rules {
			cs.Rules[i] = state.Cell{Slot: state.None, From: o.rule(t.Name, r)}
			if id, ok := res.Rules[r]; ok {
				cs.Rules[i].Slot = int(id)
			}
		}
		out.Chains = append(out.Chains, cs)
	}
	return out
}

// readings are the live counters of a generation by place.
type readings map[state.Place]ruleset.Counters

// read collects the live counters of a state: slots are the counters of its maps,
// saved gives iptables-save text of a table left to netfilter.
func read(s *state.State, rs *ruleset.Ruleset, slots []abi.Counter, pins string, saved func(table string) (string, error)) (readings, error) {
	out := readings{}
	for _, t := range s.Tables {
		out.addSlots(t, slots) // of a table that netfilter runs: what the early stage dropped
		if t.InBPF {
			continue
		}
		text, err := saved(t.Name)
		if err != nil {
			return nil, err
		}
		out.addWhole(t.Name, shim.WholeCounters(text, s.Generation, rs.Table(t.Name), pins))
	}
	return out, nil
}

func (r readings) addSlots(t state.Table, slots []abi.Counter) {
	add := func(chain string, rule int, cell state.Cell) {
		if cell.Slot != state.None && cell.Slot < len(slots) {
			n := slots[cell.Slot]
			r[state.Place{Table: t.Name, Chain: chain, Rule: rule}] = ruleset.Counters{Packets: n.Packets, Bytes: n.Bytes}
		}
	}
	for _, c := range t.Chains {
		add(c.Name, state.None, c.Policy)
		for i, cell := range c.Rules {
			add(c.Name, i, cell)
		}
	}
}

func (r readings) addWhole(table string, counters map[*ruleset.Chain]shim.ChainCounters) {
	for c, cc := range counters {
		r.add(state.Place{Table: table, Chain: c.Name, Rule: state.None}, cc.Policy)
		for i, n := range cc.Rules {
			r.add(state.Place{Table: table, Chain: c.Name, Rule: i}, n)
		}
	}
}

func (r readings) add(at state.Place, n ruleset.Counters) {
	sum := r[at]
	add(&sum, n)
	r[at] = sum
}

// addTo adds the readings of a generation to the counters of its own ruleset.
func (r readings) addTo(rs *ruleset.Ruleset) {
	each(rs, func(p state.Place, c *ruleset.Counters) { add(c, r[p]) })
}

// carryTo adds the readings of the previous generation to the rules of s that
// stood there.
func (r readings) carryTo(s *state.State, rs *ruleset.Ruleset) {
	from := map[state.Place]state.Place{}
	for _, t := range s.Tables {
		for _, c := range t.Chains {
			if c.Policy.From != nil {
				from[state.Place{Table: t.Name, Chain: c.Name, Rule: state.None}] = *c.Policy.From
			}
			for i, cell := range c.Rules {
				if cell.From != nil {
					from[state.Place{Table: t.Name, Chain: c.Name, Rule: i}] = *cell.From
				}
			}
		}
	}
	each(rs, func(p state.Place, c *ruleset.Counters) {
		if old, ok := from[p]; ok {
			add(c, r[old])
		}
	})
}

func add(c *ruleset.Counters, n ruleset.Counters) {
	c.Packets += n.Packets
	c.Bytes += n.Bytes
}

// each visits all counters of a ruleset with their places.
func each(rs *ruleset.Ruleset, visit func(state.Place, *ruleset.Counters)) {
	for _, t := range rs.Tables {
		for _, c := range t.Chains {
			visit(state.Place{Table: t.Name, Chain: c.Name, Rule: state.None}, &c.Counters)
			for i, r := range c.Rules {
				visit(state.Place{Table: t.Name, Chain: c.Name, Rule: i}, &r.Counters)
			}
		}
	}
}
