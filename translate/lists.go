package translate

import (
	"fmt"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// shareLists leaves to netfilter the tables that use a list of -m recent which a
// table of netfilter's uses, too: a list has one owner. Lists are shared by all
// tables of a namespace (recent_table_lookup(), net/netfilter/xt_recent.c).
func shareLists(rs *ruleset.Ruleset, o Options, res *Result, s *slots) {
	if len(res.Plan.Recents) == 0 {
		return // no table in BPF has one
	}
	for again := true; again; {
		again = false
		owner := map[string]string{}
		for i, t := range rs.Tables {
			for name := range lists(t) {
				if !res.Plan.Tables[i].InBPF {
					owner[name] = t.Name
				}
			}
		}
		for i, t := range rs.Tables {
			if !res.Plan.Tables[i].InBPF {
				continue
			}
			for name, rule := range lists(t) {
				if by, ok := owner[name]; ok {
					work := newTable(rs.Family, t, o, res, s)
					work.note(rule, "recent", fmt.Sprintf("list %s is used by table %s, which netfilter runs", name, by))
					res.Plan.Tables[i] = work.out
					again = true
				}
			}
		}
	}
}

// lists are the lists of -m recent that a table uses, each with its first rule.
func lists(t *ruleset.Table) map[string]*ruleset.Rule {
	out := map[string]*ruleset.Rule{}
	for _, c := range t.Chains {
		for _, r := range c.Rules {
			for _, m := range r.Matches {
				if name := ruleset.KeptSet(m); name != "" && out[name] == nil {
					out[name] = r
				}
			}
		}
	}
	return out
}

// allLists gives plan.Plan.Lists: the rules of tables in BPF, also those that no packet
// meets. The kernel checks a table's rules as they stand in memory (translate_table(),
// net/ipv4/netfilter/ip_tables.c), where iptables has put the built-in chains first and
// then the others by name, as Table.Chains has them.
func allLists(rs *ruleset.Ruleset, res *Result) []pred.Recent {
	var out []pred.Recent
	for i, t := range rs.Tables {
		if !res.Plan.Tables[i].InBPF || len(res.Plan.Recents) == 0 && len(res.Unmet) == 0 {
			continue
		}
		in := t.Place(rs.Family, 0)
		for _, c := range t.Chains {
			if len(res.Plan.Recents) == 0 && !res.Unmet[c] {
				continue
			}
			for _, r := range c.Rules {
				in.Rule = r
				out = appendLists(out, in)
			}
		}
	}
	return out
}

func appendLists(out []pred.Recent, in *ruleset.Place) []pred.Recent {
	for _, m := range in.Rule.Matches {
		if ruleset.KeptSet(m) == "" {
			continue
		}
		pred.Any(m.Lower(in), func(part pred.Pred) bool {
			if l, ok := part.(pred.Recent); ok {
				out = append(out, l)
			}
			return false
		})
	}
	return out
}
