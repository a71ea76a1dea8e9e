package netfilter

import (
	"errors"

	"github.com/bpftables/bpftables/compat/shim"
	"github.com/bpftables/bpftables/compat/tool"
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
		case r.rule.Pos.File != state.File:
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
	var held []shim.Held
	for _, r := range rules {
		h, can := r.held(b)
		if _, err := shim.Hold(n.family, b.Number, []shim.Held{h}); !can || err != nil {
			rest = append(rest, r)
			continue
		}
		held = append(held, h)
	}
	chains, err := shim.Hold(n.family, b.Number, held)
	if err != nil || n.own.Replace(names(chains, false), chains) != nil {
		return rules
	}
	return rest
}

// held is what a rule names; false when some of it is not known here.
func (r namedRule) held(b *build) (h shim.Held, all bool) {
	in := &ruleset.Place{Family: b.Result.Plain().Family, Bases: b.Result.Plain().Table(r.table).Bases(), Rule: r.rule}
	for _, m := range r.rule.Matches {
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
