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
	return s.read(table, "", live, o)
}

// Ruleset reads the rules of one chain; the other chains of its table have none.
func (c *Chain) Ruleset(live Live, o iptables.Options) (*ruleset.Ruleset, error) {
	return c.table.store.read(c.table.Name, c.Name, live, o)
}

// read reads the rules of a table and a chain; "" is for all of them.
func (s *Store) read(table, chain string, live Live, o iptables.Options) (*ruleset.Ruleset, error) {
	if err := s.checkTexts(); err != nil {
		return nil, err
	}
	o.Family = s.Family
	l := iptables.NewLoader(o)
	for _, t := range s.tables {
		if tables.Known(t.Name) && (table == "" || table == t.Name) {
			t.load(l, chain, live)
		}
	}
	return l.Ruleset()
}

// load reads the rules of a chain, or with "" of all.
func (t *Table) load(l *iptables.Loader, chain string, live Live) {
	l.Table(t.Name)
	wanted := t.around(chain)
	for _, c := range t.chains {
		if wanted == nil || c.Policy != "" || wanted[c.Name] {
			l.Chain(c.Name, c.Policy, live.Add(c.Counters, c.Cell()))
		}
	}
	for _, c := range t.chains {
		if chain != "" && chain != c.Name {
			continue
		}
		for i := range c.Len() {
			r := c.Rule(i)
			l.Rule(c.Name, r.Text, r.Exact, live.Add(r.Counters, Cell{c, i, r.Slot, r.Origin}))
		}
	}
}

// around are a chain and what its rules may jump to; nil for "": all chains.
func (t *Table) around(chain string) map[string]bool {
	if chain == "" {
		return nil
	}
	out := map[string]bool{chain: true}
	if c := t.Chain(chain); c != nil {
		for i := range c.Len() {
			r := c.Rule(i)
			out[r.lastWord()] = true
		}
	}
	return out
}
