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
			for name := range lists(rs, t) {
				if !res.Plan.Tables[i].InBPF {
					owner[name] = t.Name
				}
			}
		}
		for i, t := range rs.Tables {
			if !res.Plan.Tables[i].InBPF {
				continue
			}
			for name, rule := range lists(rs, t) {
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
func lists(rs *ruleset.Ruleset, t *ruleset.Table) map[string]*ruleset.Rule {
	out := map[string]*ruleset.Rule{}
	for _, c := range t.Chains {
		for _, r := range c.Rules {
			for _, m := range r.Matches {
				if m.Word() != "recent" {
					continue
				}
				place := &ruleset.Place{Family: rs.Family, Table: t.Name, Rule: r}
				if name, ok := listOf(m.Lower(place)); ok && out[name] == nil {
					out[name] = r
				}
			}
		}
	}
	return out
}

// listOf finds the list that a lowered -m recent uses.
func listOf(p pred.Pred) (name string, ok bool) {
	ok = pred.Any(p, func(part pred.Pred) bool {
		r, is := part.(pred.Recent)
		name = r.List
		return is
	})
	return name, ok
}
