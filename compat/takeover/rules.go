package takeover

import (
	"fmt"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// read reads saved text of one table.
func read(family packet.Family, names ruleset.Resolver, file, table, text string) (*ruleset.Table, error) {
	rs, _, err := iptables.Read(strings.NewReader(text), iptables.Options{
		File: file, Family: family, Resolver: names, Counters: true, Table: table,
	})
	if err != nil {
		return nil, err
	}
	if t := rs.Table(table); t != nil {
		return t, nil
	}
	return tables.New(table, family), nil
}

// write gives restore text of a table with counters, from which the very same rules are
// read: by us, and by netfilter's tools.
func write(t *ruleset.Table) (string, error) {
	var out strings.Builder
	fmt.Fprintf(&out, "*%s\n", t.Name)
	for _, c := range t.Chains {
		policy := tables.PolicyOf(c)
		if policy == "" {
			policy = "-"
		}
		fmt.Fprintf(&out, ":%s %s [%d:%d]\n", c.Name, policy, c.Counters.Packets, c.Counters.Bytes)
	}
	for _, c := range t.Chains {
		for _, r := range c.Rules {
			line, err := iptables.ExactLine(r, c.Name)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(&out, "[%d:%d] %s\n", r.Counters.Packets, r.Counters.Bytes, line)
		}
	}
	out.WriteString("COMMIT\n")
	return out.String(), nil
}

// same says whether two tables enforce the same: the very same rules in the same chains.
func same(a, b *ruleset.Table) bool {
	return equal(a, b, func(x, y *ruleset.Rule, chain string) bool {
		one, err1 := iptables.ExactLine(x, chain)
		other, err2 := iptables.ExactLine(y, chain)
		return err1 == nil && err2 == nil && one == other
	})
}

// alike says whether two tables are printed in the same way.
func alike(a, b *ruleset.Table) bool {
	return equal(a, b, func(x, y *ruleset.Rule, chain string) bool {
		return iptables.PrintRule(x, chain) == iptables.PrintRule(y, chain)
	})
}

func equal(a, b *ruleset.Table, rules func(x, y *ruleset.Rule, chain string) bool) bool {
	if len(a.Chains) != len(b.Chains) {
		return false
	}
	for _, c := range a.Chains {
		other := b.Chain(c.Name)
		if other == nil || tables.PolicyOf(other) != tables.PolicyOf(c) || len(other.Rules) != len(c.Rules) {
			return false
		}
		for i, r := range c.Rules {
			if !rules(r, other.Rules[i], c.Name) {
				return false
			}
		}
	}
	return true
}

// count raises the counters of a table to those of the same table elsewhere: a packet that
// the first of the two drops never gets to the second.
func count(t, other *ruleset.Table) {
	for _, c := range t.Chains {
		o := other.Chain(c.Name)
		c.Counters = larger(c.Counters, o.Counters)
		for i, r := range c.Rules {
			r.Counters = larger(r.Counters, o.Rules[i].Counters)
		}
	}
}

func larger(a, b ruleset.Counters) ruleset.Counters {
	return ruleset.Counters{Packets: max(a.Packets, b.Packets), Bytes: max(a.Bytes, b.Bytes)}
}
