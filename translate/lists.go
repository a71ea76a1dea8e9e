package translate

import (
	"fmt"
	"iter"
	"slices"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

// shareLists leaves to netfilter the tables that use a list of -m recent, or a table of -m hashlimit, which a
// table that netfilter runs uses, too: a list has one owner. Lists are shared by all
// tables of a namespace (recent_table_lookup(), net/netfilter/xt_recent.c).
func shareLists(rs *ruleset.Ruleset, o Options, res *Result, s *slots) {
	if !keeps(res.Plan) {
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
					work.leave(rule, "kept set", fmt.Sprintf("%s is used by table %s, which netfilter runs", name, by))
					res.Plan.Tables[i] = work.out
					again = true
				}
			}
		}
	}
}

// keeps says whether rules of tables in BPF keep sets.
func keeps(p *plan.Plan) bool {
	return len(p.Recents) > 0 || slices.ContainsFunc(p.Args, pred.Keeps)
}

// lists are the sets that rules of a table keep, by their titles, each with its first rule.
func lists(t *ruleset.Table) map[string]*ruleset.Rule {
	out := map[string]*ruleset.Rule{}
	for _, c := range t.Chains {
		for s, r := range kept(c) {
			if out[s.Title()] == nil {
				out[s.Title()] = r
			}
		}
	}
	return out
}

// keptSets are the sets that rules of tables in BPF keep, also those that no packet meets. The
// first rule that names one makes it, with its mask. The kernel checks a table's rules as they
// stand in memory (translate_table(), net/ipv4/netfilter/ip_tables.c), where iptables has put
// the built-in chains first and then the others by name, as Table.Chains has them.
func keptSets(rs *ruleset.Ruleset, res *Result) (out []*plan.Set) {
	made, keeping := map[string]*plan.Set{}, keeps(res.Plan)
	for i, t := range rs.Tables {
		if !res.Plan.Tables[i].InBPF || !keeping && len(res.Unmet) == 0 {
			continue
		}
		for _, c := range t.Chains {
			if !keeping && !res.Unmet[c] {
				continue
			}
			for s := range kept(c) {
				to := made[s.Title()]
				if to == nil {
					to = &plan.Set{Name: s.Name, KeyLen: s.KeyLen(), Room: s.Room()}
					if s.Meter != nil {
						to.Meter = &plan.Meter{Family: rs.Family, Metering: *s.Meter}
					} else {
						to.Stamps = &plan.Stamps{Mask: s.Mask}
					}
					made[s.Title()], out = to, append(out, to)
				}
				for _, h := range s.Hits {
					if !slices.Contains(to.Stamps.Hits, h) {
						to.Stamps.Hits = append(to.Stamps.Hits, h)
					}
				}
			}
		}
	}
	return out
}

// forgetUnkept takes out what rules ask of lists that no table in BPF keeps: of tables that
// were left to netfilter when their rules had been numbered. Numbers of the others stay.
func forgetUnkept(p *plan.Plan) {
	p.Recents = slices.DeleteFunc(p.Recents, func(r pred.Recent) bool {
		return !slices.ContainsFunc(p.Sets, func(s *plan.Set) bool { return s.Stamps != nil && s.Name == r.List })
	})
	p.Args = slices.DeleteFunc(p.Args, func(a pred.Pred) bool {
		m, is := a.(pred.Meter)
		return is && !slices.ContainsFunc(p.Sets, func(s *plan.Set) bool { return s.Meter != nil && s.Name == m.Table })
	})
}

// kept gives the sets that the rules of a chain keep.
func kept(c *ruleset.Chain) iter.Seq2[*ruleset.Set, *ruleset.Rule] {
	return func(yield func(*ruleset.Set, *ruleset.Rule) bool) {
		for _, r := range c.Rules {
			for _, m := range r.Matches {
				if s := ruleset.KeptSet(m); s != nil && !yield(s, r) {
					return
				}
			}
		}
	}
}
