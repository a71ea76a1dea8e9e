package iptables

import (
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
)

// record brings the report up to date with a committed table. A text may commit a
// table more than once.
func (rd *reader) record(e *tableEdit) {
	tr := rd.report.Table(e.name)
	if tr == nil {
		tr = &TableReport{Name: e.name, KeptPolicy: map[string]bool{}}
		for _, c := range tables.BuiltIns(e.name) {
			tr.KeptPolicy[c] = true
		}
		rd.report.Tables = append(rd.report.Tables, tr)
	}
	if !e.changed {
		return
	}
	clear(tr.KeptPolicy)
	before := tr.Moved
	tr.Moved = nil
	var base map[*ruleset.Rule]bool
	if len(before)+len(e.moved) > 0 && rd.o.Base != nil && rd.o.Base.Table(e.name) != nil {
		base = rulesOf(rd.o.Base.Table(e.name))
	}
	for _, c := range e.order {
		for _, r := range c.rules.all() {
			if base == nil {
				return
			}
			from := e.moved[r]
			if from == nil {
				from = r
			}
			if was := before[from]; was != nil {
				from = was
			}
			if from != r && base[from] {
				if tr.Moved == nil {
					tr.Moved = map[*ruleset.Rule]*ruleset.Rule{}
				}
				tr.Moved[r] = from
			}
		}
	}
}
