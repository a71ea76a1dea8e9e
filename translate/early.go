package translate

import (
	"fmt"
	"iter"
	"slices"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

// EarlyOptions steer the derivation of the early stage.
type EarlyOptions struct {
	Options
	// Exact ends the early stage where a rule with DROP cannot be answered; else the
	// rule is skipped and a later one may get its credit.
	Exact bool
}

// earlyWay are the chains that a received packet meets, in order: those of PREROUTING,
// then those of INPUT or of FORWARD. nat has more chains at INPUT, behind all that can
// drop.
var earlyWay = []struct {
	table string
	hook  packet.Hook
}{
	{"raw", packet.Prerouting}, {"mangle", packet.Prerouting}, {"nat", packet.Prerouting},
	{"mangle", packet.Input}, {"filter", packet.Input}, {"security", packet.Input},
	{"mangle", packet.Forward}, {"filter", packet.Forward}, {"security", packet.Forward},
}

// Early derives the early stage of a translated ruleset and adds it to the plan. Tables
// that netfilter runs are part of the way: their rules get counters here, too, for the
// packets that the early stage drops.
func Early(o EarlyOptions, res *Result) {
	rs := res.Plain()
	early := &plan.Early{Exact: o.Exact}
	for _, step := range earlyWay {
		src := rs.Table(step.table)
		if src == nil || src.Chain(step.hook.String()) == nil {
			continue
		}
		hook := earlyHook(rs, src, step.hook, o, res)
		r := &earlyRewriter{
			family: rs.Family, exact: o.Exact, table: step.table, hook: step.hook,
			plan: res.Plan, early: early, classes: map[*plan.Class]*plan.Class{},
		}
		early.Chains = append(early.Chains, &plan.EarlyChain{
			Table: step.table, Hook: step.hook, Funcs: r.funcs(hook.Funcs),
		})
	}
	res.unfolded.credit(res)
	switch {
	case len(res.Plan.Classes)+len(early.Classes) > plan.MaxClasses:
		res.Plan.EarlyOff = fmt.Sprintf("it would look up more than %d chains", plan.MaxClasses)
	case dropsEarly(early):
		res.Plan.Early = early
	}
}

// dropsEarly says whether the early stage can drop anything.
func dropsEarly(e *plan.Early) bool {
	for _, c := range e.Classes {
		if c.Policy != nil && c.Policy.Drop || anyDrop(c.Rules) {
			return true
		}
	}
	for _, c := range e.Chains {
		for _, f := range c.Funcs {
			if f.Policy != nil && f.Policy.Drop || anyDrop(f.Rules) {
				return true
			}
		}
	}
	return false
}

func anyDrop(rules []*plan.Rule) bool {
	for _, r := range rules {
		if r.Action.Op == pred.Drop || anyDrop(r.Inline) {
			return true
		}
	}
	return false
}

// earlyHook gives the functions of a hook: those of the plan, or for a table that
// netfilter runs, new ones; what cannot be asked in BPF is in their conditions then.
func earlyHook(rs *ruleset.Ruleset, src *ruleset.Table, h packet.Hook, o EarlyOptions, res *Result) *plan.Hook {
	for i, t := range rs.Tables {
		if t != src {
			continue
		}
		for _, hook := range res.Plan.Tables[i].Hooks {
			if hook.Hook == h {
				return hook
			}
		}
	}
	t := newTable(rs.Family, src, o.Options, res, newSlots(rs, &plan.Plan{}))
	t.lower()
	if t.nested() {
		return allUp(t, src.Chain(h.String()), h, tooNested)
	}
	own := res.Plan.Classes
	defer func() { res.Plan.Classes = own }() // netfilter runs the table
	t.classify()
	b := &hookBuilder{table: t, bit: 1 << h, sizes: map[*ruleset.Chain]int{}, inline: map[*ruleset.Chain]bool{}}
	base := src.Chain(h.String())
	hook, why := b.build(base, h)
	if why == "" {
		return hook
	}
	return allUp(t, base, h, why) // too long for a program
}

// allUp is a hook at which every packet goes up.
func allUp(t *table, base *ruleset.Chain, h packet.Hook, why string) *plan.Hook {
	return &plan.Hook{Hook: h, Priority: base.Base.Priority, Funcs: []*plan.Func{{
		Symbol: "chain", Chain: base.Name, Policy: &plan.Policy{ID: t.policyID(base)},
		Rules: []*plan.Rule{{Action: pred.Action{Op: pred.Up}, Pos: base.Pos.String(), Text: why}},
	}}}
}

// earlyRewriter rewrites the rules of one hook.
type earlyRewriter struct {
	family packet.Family
	exact  bool
	table  string
	hook   packet.Hook

	plan    *plan.Plan
	early   *plan.Early
	classes map[*plan.Class]*plan.Class // rewritten for this hook
}

// symbol names a function of this hook: the base chain is the hook's own.
func (e *earlyRewriter) symbol(name string) string {
	own := plan.EarlySymbol(e.table, e.hook)
	if name == "chain" {
		return own
	}
	return own + "_" + name
}

func (e *earlyRewriter) funcs(from []*plan.Func) []*plan.Func {
	out := make([]*plan.Func, len(from))
	for i, f := range from {
		g := *f
		g.Symbol = e.symbol(f.Symbol)
		g.Rules = e.rules(slices.Values(f.Rules))
		g.Class = e.class(f.Class)
		g.Parts = nil
		for _, part := range f.Parts {
			g.Parts = append(g.Parts, e.symbol(part))
		}
		out[i] = &g
	}
	return out
}

// class rewrites a classified chain and those that it calls. At each hook other things
// are known, so each hook has its own.
func (e *earlyRewriter) class(from *plan.Class) *plan.Class {
	if from == nil || e.classes[from] != nil {
		return e.classes[from]
	}
	c := *from
	c.Number = len(e.plan.Classes) + len(e.early.Classes)
	c.Rules, c.Source = nil, nil
	e.classes[from] = &c
	e.early.Classes = append(e.early.Classes, &c)
	c.Rules = e.rules(from.All())
	return &c
}

func (e *earlyRewriter) rules(from iter.Seq[*plan.Rule]) []*plan.Rule {
	out := []*plan.Rule{}
	for r := range from {
		if g := e.rule(r); g != nil {
			out = append(out, g)
		}
	}
	return out
}

// rule rewrites one rule; nil: no packet needs it.
func (e *earlyRewriter) rule(r *plan.Rule) *plan.Rule {
	up := &plan.Rule{ID: r.ID, Action: pred.Action{Op: pred.Up}, Pos: r.Pos, Text: r.Text}
	all := true
	for _, c := range r.Conds {
		if !pred.Stateless(c) {
			return never(up) // asking is an effect
		}
		known, whole := e.known(c)
		if known != pred.Pred(pred.Const(pred.Yes)) {
			up.Conds = append(up.Conds, known)
		}
		all = all && whole
	}
	if !all {
		if r.Action.Op == pred.Drop && !e.exact {
			return nil
		}
		return never(up)
	}
	out := *r
	out.Conds = up.Conds
	switch r.Action.Op {
	case pred.Accept, pred.Drop, pred.Return, pred.Continue:
	case pred.Jump, pred.Goto:
		out.Class = e.class(r.Class)
		if r.Call != "" {
			out.Call = e.symbol(r.Call)
		}
		if r.Inline != nil {
			out.Inline = e.rules(slices.Values(r.Inline))
		}
	default:
		return never(up)
	}
	return never(&out)
}

// never leaves out a rule that no packet matches.
func never(r *plan.Rule) *plan.Rule {
	for _, c := range r.Conds {
		if c == pred.Pred(pred.Const(pred.No)) {
			return nil
		}
	}
	return r
}
