package iptables

import (
	"errors"
	"fmt"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
)

// ParseRule reads one rule specification of a command line, without command and
// chain: one rule for each combination of source and destination addresses. Chains
// after -j and -g are those of the table in o.Base. The column of a fault is the
// number of the argument, from 1.
func ParseRule(args []string, o Options, table string) ([]*ruleset.Rule, error) {
	rd := newReader(o)
	if !tables.Known(table) {
		return nil, &ruleset.Error{Thing: table, What: "no such table", Fix: tablesFix}
	}
	rd.cur = newTableEdit(table, rd.o.Family, rd.table(table))
	rd.parser.table, rd.parser.restore = table, false
	into := &chainEdit{} // a chain without a name, which allows -i and -o
	rd.cur.chains[""] = into
	rd.args = append(rd.args, arg{text: "-A", at: -2}, arg{at: -1})
	for i, text := range args {
		if i >= argsMax {
			return nil, &ruleset.Error{What: fmt.Sprintf("more than %d arguments", argsMax)}
		}
		rd.args = append(rd.args, arg{text: text, at: i})
	}
	rd.run(ruleset.Counters{}, false)
	if len(rd.faults) > 0 {
		return nil, errors.Join(rd.faults...)
	}
	for _, r := range into.rules.all() {
		r.Pos = ruleset.Pos{}
	}
	return into.rules.all(), nil
}
