package netfilter

import (
	"cmp"
	"errors"
	"iter"
	"slices"
	"strings"

	"github.com/bpftables/bpftables/bpf/anchor"
	"github.com/bpftables/bpftables/bpf/failpoint"
	"github.com/bpftables/bpftables/compat/shim"
	"github.com/bpftables/bpftables/compat/tool"
	"github.com/bpftables/bpftables/engine/datapath"
	"github.com/bpftables/bpftables/engine/state"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// hold makes netfilter hold what rules name that no packet meets. Rules that were there
// before do not hinder a change, whatever became of what they name.
func (n *netfilter) hold(b *build) error {
	rules, err := b.unmet()
	if err != nil {
		return err
	}
	if rules = n.holdInOwn(b, rules); len(rules) == 0 {
		return nil
	}
	t, err := n.tools.forTargets()
	if errors.Is(err, tool.ErrMissing) {
		return nil // nothing can be asked, and no packet meets them
	}
	if err != nil {
		return err
	}
	chain := shim.Holder(b.Number)
	aside, err := n.tools.besideHost()
	if err != nil {
		return err
	}
	if aside.Restore(chainText(rules, chain, tablesOf(rules))) == nil || t.Restore(chainText(rules, chain, tablesOf(rules))) == nil {
		return nil
	}
	refused := try(t, rules, chain)
	var kept []namedRule
	var errs []error
	for _, r := range rules {
		switch err := refused[r]; {
		case err == nil:
			kept = append(kept, r)
		case r.in.Rule.Pos.File != state.File:
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 || len(kept) == 0 {
		return errors.Join(errs...)
	}
	return t.Restore(chainText(kept, chain, tablesOf(kept)))
}

// holdInOwn has our table in nf_tables hold what it can of some rules, and gives the others. It holds all or
// nothing: what the kernel refuses the tools can say the reason of.
func (n *netfilter) holdInOwn(b *build, rules []namedRule) (rest []namedRule) {
	chains, rest := n.holders(b.Number, rules)
	if n.own.Replace(names(chains, false), chains) != nil {
		return rules
	}
	return rest
}

// holders are chains of our table that hold what they can of some rules; the others are for the tools of iptables.
func (n *netfilter) holders(gen uint32, rules []namedRule) (chains []anchor.Chain, rest []namedRule) {
	for _, r := range rules {
		h, can := heldOf(r.in)
		h.Rule = r.table + " " + r.words
		c, err := shim.Hold(n.family, gen, h)
		if !can || err != nil {
			rest = append(rest, r)
			continue
		}
		chains = append(chains, c)
	}
	return chains, rest
}

// heldOf is what a rule names; false when some of it is not known here.
func heldOf(in *ruleset.Place) (h shim.Held, all bool) {
	for _, m := range in.Rule.Matches {
		set := ruleset.AskedKernelSet(m)
		switch {
		case set != "":
			h.Sets = append(h.Sets, set)
		case pred.UnsupportedReason(m.Lower(in)) != "":
			return h, false
		}
	}
	if a := in.Action(); a.Op == pred.Do && judgedByName(a.Effect) {
		h.Effect = a.Effect
	}
	return h, true
}

// Names says whether a rule names what only netfilter can judge.
func (d *Datapath) Names(in *ruleset.Place) bool { return namesOf(in) != nil }

// Hold does for the generation that is enforced what hold does for a new one: in one transaction of nf_tables,
// and one for each table of iptables that has to hold some.
func (d *Datapath) Hold(live *datapath.Live, rules, went []datapath.Unmet) error {
	n, gen := &d.netfilter, live.Number()
	all, fresh, err := namesIn(byTable(rules))
	if err != nil {
		return err
	}
	old, _, err := namesIn(byTable(went))
	if err != nil {
		return err
	}
	there, err := n.own.Names()
	if err != nil {
		return err
	}
	chains, rest := n.holders(gen, all)
	_, gone := n.holders(gen, old)
	var stale []string
	if len(went) > 0 {
		wanted := names(chains, false)
		stale = slices.DeleteFunc(slices.Clone(there), func(name string) bool { return !shim.IsHolder(name, gen) || slices.Contains(wanted, name) })
	}
	chains = slices.DeleteFunc(chains, func(c anchor.Chain) bool { return slices.Contains(there, c.Name) })
	if n.own.Replace(stale, chains) != nil || n.tools.hold(shim.Holder(gen), rest, gone) != nil {
		return cmp.Or(tryWith(n.tools.forTargets, fresh, shim.Trial(gen)), datapath.ErrAnew)
	}
	failpoint.At("unmet held")
	return nil
}

// byTable gives rules table after table.
func byTable(rules []datapath.Unmet) iter.Seq[datapath.Unmet] {
	return slices.Values(slices.SortedStableFunc(slices.Values(rules), func(a, b datapath.Unmet) int { return strings.Compare(a.Table, b.Table) }))
}

// namesIn are what rules name, each set of words of a table once, and those of them that are new.
func namesIn(rules iter.Seq[datapath.Unmet]) (all, fresh []namedRule, err error) {
	seen := map[[2]string]bool{}
	for u := range rules {
		name, is, err := nameOf(u.Place, u.Table, u.Chain)
		if err != nil {
			return nil, nil, err
		}
		if is && u.New {
			fresh = append(fresh, name)
		}
		if key := [2]string{name.table, name.words}; is && !seen[key] {
			seen[key] = true
			all = append(all, name)
		}
	}
	return all, fresh, nil
}

// hold has the tools of iptables hold some rules, in a chain of each table, and no others: those that went may
// have been held.
func (t *tools) hold(chain string, rules, went []namedRule) error {
	if len(rules)+len(went) == 0 {
		return nil
	}
	if len(rules) > 0 {
		text := chainText(rules, chain, tablesOf(rules))
		aside, err := t.besideHost()
		if err == nil {
			err = aside.Restore(text)
		}
		if err != nil {
			return err
		}
	}
	for _, table := range tablesOf(went) {
		if slices.Contains(tablesOf(rules), table) {
			continue
		}
		if err := t.drop(table, chain); err != nil {
			return err
		}
	}
	return nil
}

// drop removes a chain of a table that nothing jumps to, from whatever tool has it.
func (t *tools) drop(table, chain string) error {
	installed, err := t.installed()
	if err != nil {
		return err
	}
	for _, one := range installed {
		if len(one.Present(table)) == 0 {
			continue
		}
		if err := one.Restore(dropText(table, chain)); err != nil {
			return err
		}
	}
	return nil
}
