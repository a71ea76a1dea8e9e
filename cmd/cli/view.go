package cli

import (
	"github.com/bpftables/bpftables/compat/beside"
	"github.com/bpftables/bpftables/engine/apply"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// view is our ruleset with the tables that only netfilter's tools hold.
func (s *streams) view(e *apply.Engine) (*ruleset.Ruleset, error) {
	rs := &ruleset.Ruleset{Family: e.Family()}
	live, err := e.Current()
	if err != nil {
		return nil, err
	}
	if live != nil {
		rs.Tables = live.Tables
	}
	return rs, s.addTheirs(e, rs)
}

// addTheirs puts the tables that only netfilter's tools hold into a ruleset.
func (s *streams) addTheirs(e *apply.Engine, rs *ruleset.Ruleset) error {
	b, err := beside.Look(e, s.caller, "")
	if err != nil {
		return err
	}
	b.WarnBoth()
	for _, t := range b.Tables() {
		rs.Tables = append(without(rs.Tables, t.Name), t)
	}
	return nil
}

// everyone is the rules of all owners, with the tables that only netfilter's tools hold.
func (s *streams) everyone(family packet.Family) (all *apply.All, err error) {
	err = s.withEngine(family, func(e *apply.Engine) error {
		if all, err = e.All(); err != nil {
			return err
		}
		return s.addTheirs(e, all.Rules)
	})
	return all, err
}

func without(tables []*ruleset.Table, name string) []*ruleset.Table {
	var out []*ruleset.Table
	for _, t := range tables {
		if t.Name != name {
			out = append(out, t)
		}
	}
	return out
}
