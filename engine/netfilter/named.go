package netfilter

import (
	"errors"
	"fmt"
	"strings"

	"github.com/bpftables/bpftables/compat/shim"
	"github.com/bpftables/bpftables/compat/tool"
	"github.com/bpftables/bpftables/engine/datapath"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// netfilter refuses a rule that names what it does not have, such as a set, a helper or a
// cgroup, also in a chain that no packet meets, and it holds what rules name: a set cannot
// be destroyed while one does. Rules of chains that nothing jumps to are not among those
// that netfilter runs for us; what they name is held by rules in a chain of its own, which
// nothing jumps to either.

// namedRule is what only netfilter can judge about a rule: its words that name something,
// and the protocol that some of them ask for.
type namedRule struct {
	table, chain string
	words        string         // behind "-A CHAIN "
	in           *ruleset.Place // of the rule
}

// nameOf gives what only netfilter can judge about a rule; false: nothing.
func nameOf(in ruleset.Place, table, chain string) (out namedRule, is bool, err error) {
	part := namesOf(&in)
	if part == nil {
		return out, false, nil
	}
	line, err := iptables.ExactLine(part, "")
	return namedRule{table, chain, strings.TrimPrefix(line, "-A  "), &in}, true, err
}

// named gives those rules of a table for which use says yes, each set of words once.
func named(rs *ruleset.Ruleset, t *ruleset.Table, use func(*ruleset.Chain) bool) ([]namedRule, error) {
	if t.Owner != tables.Owner {
		return nil, nil // nothing that only the tools of iptables run
	}
	bases := t.Bases()
	all, _, err := namesIn(func(yield func(datapath.Unmet) bool) {
		for _, c := range t.Chains {
			if !use(c) {
				continue
			}
			for _, r := range c.Rules {
				if !yield(datapath.Unmet{Place: ruleset.Place{Family: rs.Family, Bases: bases, Rule: r}, Table: t.Name, Chain: c.Name}) {
					return
				}
			}
		}
	})
	return all, err
}

// namesOf is the part of a rule that only netfilter can judge; nil: there is none.
func namesOf(in *ruleset.Place) *ruleset.Rule {
	out := &ruleset.Rule{Pos: in.Rule.Pos}
	found := false
	for _, m := range in.Rule.Matches {
		p := m.Lower(in)
		foreign := pred.UnsupportedReason(p) != ""
		_, protocol := m.(interface{ Protocol() (uint8, bool) })
		base := strings.HasPrefix(m.Word(), "-") && !protocol
		if foreign || !base && !ruleset.IsRemark(m) {
			out.Matches, found = append(out.Matches, m), found || foreign
		}
	}
	if a := in.Action(); a.Op == pred.Do && judgedByName(a.Effect) {
		out.Target, found = in.Rule.Target, true
	}
	if !found {
		return nil
	}
	return out
}

// judgedByName says whether netfilter may refuse an effect for what it names or for what
// the kernel lacks. The others are asked when they run.
func judgedByName(e pred.Effect) bool {
	switch e.(type) {
	case pred.Reject, pred.Log, pred.NFLog, pred.SetMark, pred.SetPriority, pred.NoTrack, pred.Queue, pred.Trace:
		return false
	}
	return true
}

// unmet gives what the chains of tables in BPF name that no packet meets.
func (b *build) unmet() ([]namedRule, error) {
	var out []namedRule
	rs := b.Result.Plain()
	for i, t := range rs.Tables {
		if !b.Result.Plan.Tables[i].InBPF {
			continue
		}
		rules, err := named(rs, t, func(c *ruleset.Chain) bool { return b.Result.Unmet[c] })
		if err != nil {
			return nil, err
		}
		out = append(out, rules...)
	}
	return out, nil
}

// judge asks netfilter about all rules that name something, under the lock that locked
// takes, unless it is nil. It gives nil if netfilter refuses none of them, or cannot be asked.
func (n *netfilter) judge(b *build, locked func(func() error) error) error {
	var errs []error
	rs := b.Result.Plain()
	for i, t := range rs.Tables {
		if !b.Named(t.Name) {
			continue
		}
		rules, err := named(rs, t, func(*ruleset.Chain) bool { return true })
		if err != nil {
			return err
		}
		if len(rules) == 0 {
			continue
		}
		find := n.tools.forTables
		if b.Result.Plan.Tables[i].InBPF {
			find = n.tools.forTargets
		}
		ask := func() error { return tryWith(find, rules, shim.Trial(b.Number)) }
		if locked != nil {
			errs = append(errs, locked(ask))
		} else {
			errs = append(errs, ask())
		}
	}
	return errors.Join(errs...)
}

// tryWith gives the errors of rules that a tool refuses.
func tryWith(find func() (*tool.Tool, error), rules []namedRule, chain string) error {
	t, err := find()
	switch {
	case errors.Is(err, tool.ErrMissing):
		return nil
	case err != nil:
		return err
	}
	refused := try(t, rules, chain)
	var errs []error
	for _, r := range rules {
		errs = append(errs, refused[r])
	}
	return errors.Join(errs...)
}

// try gives the rules that netfilter refuses, each with the reason. They stand for a moment
// in a chain that nothing jumps to.
func try(t *tool.Tool, rules []namedRule, chain string) map[namedRule]error {
	refused := map[namedRule]error{}
	tryAll(t, rules, chain, refused)
	var clean strings.Builder
	for _, table := range tablesOf(rules) {
		clean.WriteString(dropText(table, chain))
	}
	// What stays after a fault goes with the generation that it is named after.
	_ = t.Restore(clean.String())
	return refused
}

// tryAll finds them by halves: most often there is one, or none.
func tryAll(t *tool.Tool, rules []namedRule, chain string, refused map[namedRule]error) {
	err := t.Restore(chainText(rules, chain, tablesOf(rules)))
	switch n := len(rules); {
	case err == nil:
	case n == 1:
		refused[rules[0]] = rules[0].refusal(why(t, rules[0], chain, err))
	default:
		tryAll(t, rules[:n/2], chain, refused)
		tryAll(t, rules[n/2:], chain, refused)
	}
}

// chainText is restore text for a chain of rules in each of some tables, whose rules are
// together.
func chainText(rules []namedRule, chain string, tables []string) string {
	var b strings.Builder
	for _, table := range tables {
		fmt.Fprintf(&b, "*%s\n:%s - [0:0]\n", table, chain)
		for _, r := range rules {
			if r.table == table {
				fmt.Fprintf(&b, "-A %s %s\n", chain, r.words)
			}
		}
		b.WriteString("COMMIT\n")
	}
	return b.String()
}

// dropText is restore text that removes a chain of a table, whether it is there or not.
func dropText(table, chain string) string {
	return fmt.Sprintf("*%s\n:%s - [0:0]\n-X %s\nCOMMIT\n", table, chain, chain)
}

func tablesOf(rules []namedRule) (out []string) {
	for _, r := range rules {
		if len(out) == 0 || out[len(out)-1] != r.table {
			out = append(out, r.table)
		}
	}
	return out
}

// why asks the tool for one rule as a command, as that says more than "line 4 failed"; err is what
// it says of a text.
func why(t *tool.Tool, r namedRule, chain string, err error) error {
	words, fault := iptables.Words(r.words)
	if fault != nil || t.Restore(chainText(nil, chain, []string{r.table})) != nil {
		return err
	}
	args := []string{"-t", r.table, "-A", chain}
	for _, w := range words {
		args = append(args, w.Text)
	}
	if said := t.Command(args...); said != nil {
		return said
	}
	return err
}

// refusal is the error of a rule that a tool refuses alone.
func (r namedRule) refusal(err error) error {
	what := "the kernel does not have what it names, or cannot do it here"
	said := iptables.Overheard(err.Error(), r.chain)
	if said != nil && said.How == iptables.SaidOfUsage {
		what = strings.TrimSuffix(strings.TrimSpace(said.Text), ".")
	}
	out := &ruleset.Error{Pos: r.in.Rule.Pos, Thing: r.words, What: "netfilter refuses it: " + what}
	if said != nil {
		out.Cause = said
	}
	return out
}
