package state

import (
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
)

// File is the name of what stored rules are read from, in positions.
const File = "state"

// Ruleset reads the rules of one table, or of all with "", with their counters and what
// live adds, for iptables' tables alone. What iptables-save would print of them is not asked.
func (s *Store) Ruleset(table string, live Live, o iptables.Options) (*ruleset.Ruleset, error) {
	if err := s.checkTexts(); err != nil {
		return nil, err
	}
	o.Family = s.Family
	l := iptables.NewLoader(o)
	for _, t := range s.tables {
		if tables.Known(t.Name) && (table == "" || table == t.Name) {
			t.load(l, live)
		}
	}
	return l.Ruleset()
}

func (t *Table) load(l *iptables.Loader, live Live) {
	l.Table(t.Name)
	for _, c := range t.chains {
		l.Chain(c.Name, c.Policy, live.Add(c.Counters, c.Cell()))
	}
	for _, c := range t.chains {
		for i := range c.Len() {
			r := c.Rule(i)
			l.Rule(c.Name, r.Text, r.Exact, live.Add(r.Counters, Cell{c, i, r.Slot, r.Origin}))
		}
	}
}
