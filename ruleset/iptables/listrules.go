package iptables

import (
	"bufio"
	"fmt"
	"io"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
)

// ListRulesOptions say how ListRules prints.
type ListRulesOptions struct {
	Counters bool   // -v: "-c packets bytes" on every line
	Chain    string // only this chain; empty: all
	Rule     int    // only the rule with this number; 0: all
}

// ListRules writes a table as commands, as iptables-legacy 1.8.9 -S does
// (list_rules() in iptables/iptables.c). A chain that is not there is an error.
func ListRules(w io.Writer, t *ruleset.Table, o ListRulesOptions) error {
	if o.Chain != "" && t.Chain(o.Chain) == nil {
		return &ruleset.Error{Thing: o.Chain, What: "no such chain in table " + t.Name}
	}
	out := bufio.NewWriter(w)
	wanted := func(c *ruleset.Chain) bool { return o.Chain == "" || o.Chain == c.Name }
	for _, c := range t.Chains {
		if !wanted(c) || o.Rule != 0 {
			continue
		}
		switch {
		case !c.BuiltIn():
			fmt.Fprintf(out, "-N %s\n", c.Name)
		case o.Counters:
			fmt.Fprintf(out, "-P %s %s -c %d %d\n", c.Name, tables.PolicyOf(c), c.Counters.Packets, c.Counters.Bytes)
		default:
			fmt.Fprintf(out, "-P %s %s\n", c.Name, tables.PolicyOf(c))
		}
	}
	var buf []byte
	for _, c := range t.Chains {
		if !wanted(c) {
			continue
		}
		for i, r := range c.Rules {
			if o.Rule != 0 && o.Rule != i+1 {
				continue
			}
			buf = appendMatches(buf[:0], r, c.Name)
			if o.Counters {
				buf = fmt.Appendf(buf, " -c %d %d", r.Counters.Packets, r.Counters.Bytes)
			}
			out.Write(append(appendTarget(buf, r), '\n'))
		}
	}
	return out.Flush()
}
