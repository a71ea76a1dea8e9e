package translate

import (
	"cmp"
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

// earlyStep is a base chain on the way of a received packet, and its hole.
type earlyStep struct {
	table  *ruleset.Table
	base   *ruleset.Chain
	symbol string
}

// earlyHoles are the holes that the datapath has for filtering chains at a hook, in
// their order. At PREROUTING conntrack stands between them, and behind both is one for the
// chain that translates addresses.
var earlyHoles = map[packet.Hook][]string{
	packet.Input:   {"first_input", "second_input", "third_input"},
	packet.Forward: {"first_forward", "second_forward", "third_forward"},
}

// earlyWay are the chains that a received packet meets, in order: those of PREROUTING,
// then those of INPUT or of FORWARD. Those that translate addresses at INPUT stand behind
// all that can drop. why says which chain has no hole.
func earlyWay(rs *ruleset.Ruleset) (way []earlyStep, why string) {
	for _, h := range []packet.Hook{packet.Prerouting, packet.Input, packet.Forward} {
		taken := map[string]bool{}
		for _, s := range basesAt(rs, h) {
			if h != packet.Prerouting && s.base.Base.Type == ruleset.NAT {
				continue
			}
			s.symbol = earlyHole(s.base.Base, len(taken))
			if s.symbol == "" || taken[s.symbol] || h == packet.Prerouting && taken["nat_prerouting"] {
				return nil, fmt.Sprintf("chain %s of table %s is one too many at %s", s.base.Name, s.table.Name, h)
			}
			taken[s.symbol] = true
			way = append(way, s)
		}
	}
	return way, ""
}

// basesAt are the base chains at a hook by priority.
func basesAt(rs *ruleset.Ruleset, h packet.Hook) []earlyStep {
	var out []earlyStep
	for _, t := range rs.Tables {
		for _, c := range t.Chains {
			if c.Base != nil && c.Base.Hook == h {
				out = append(out, earlyStep{table: t, base: c})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b earlyStep) int { return cmp.Compare(a.base.Base.Priority, b.base.Base.Priority) })
	return out
}

// earlyHole is the hole of a base chain with n of its hook before it; "": there is none.
func earlyHole(b *ruleset.Base, n int) string {
	switch {
	case b.Hook != packet.Prerouting && n < len(earlyHoles[b.Hook]):
		return earlyHoles[b.Hook][n]
	case b.Hook != packet.Prerouting:
		return ""
	case b.Type == ruleset.NAT:
		return "nat_prerouting"
	case b.Tracked():
		return "tracked_prerouting"
	}
	return "untracked_prerouting"
}

// Early derives the early stage of a translated ruleset and adds it to the plan. Tables
// that netfilter runs are part of the way: their rules get counters here, too, for the
// packets that the early stage drops.
func Early(o EarlyOptions, res *Result) {
	rs := res.Plain()
	early := &plan.Early{Exact: o.Exact}
	way, why := earlyWay(rs)
	if why != "" {
		res.Plan.EarlyOff = why
		return
	}
	for _, step := range way {
		hook := earlyHook(rs, step, o, res)
		r := &earlyRewriter{
			family: rs.Family, exact: o.Exact, own: step.symbol, at: step.base.Base, hook: step.base.Base.Hook,
			plan: res.Plan, early: early, classes: map[*plan.Class]*plan.Class{},
		}
		early.Chains = append(early.Chains, &plan.EarlyChain{
			Table: step.table.Name, Hook: step.base.Base.Hook, Symbol: step.symbol, Funcs: r.funcs(hook.Funcs),
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
func earlyHook(rs *ruleset.Ruleset, step earlyStep, o EarlyOptions, res *Result) *plan.Hook {
	src, base, h := step.table, step.base, step.base.Base.Hook
	for i, t := range rs.Tables {
		if t != src {
			continue
		}
		for _, hook := range res.Plan.Tables[i].Hooks {
			if hook.Hook == h && hook.Priority == base.Base.Priority {
				return hook
			}
		}
	}
	t := newTable(rs.Family, src, o.Options, res, newSlots(rs, &plan.Plan{}))
	t.lower()
	if t.nested() {
		return allUp(t, base, h, tooNested)
	}
	own := res.Plan.Classes
	defer func() { res.Plan.Classes = own }() // netfilter runs the table
	t.classify()
	b := &hookBuilder{table: t, bit: 1 << h, sizes: map[*ruleset.Chain]int{}, inline: map[*ruleset.Chain]bool{}}
	hook, why := b.build(base, h)
	if why == "" {
		return hook
	}
	return allUp(t, base, h, why) // too long for a program
}

// allUp is a hook at which every packet goes up: the early stage leaves it to the hooks.
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
	own    string // symbol of the base chain
	at     *ruleset.Base
	hook   packet.Hook

	plan    *plan.Plan
	early   *plan.Early
	classes map[*plan.Class]*plan.Class // rewritten for this hook
}

// symbol names a function of this hook: the base chain is the hook's own.
func (e *earlyRewriter) symbol(name string) string {
	if name == "chain" {
		return e.own
	}
	return e.own + "_" + name
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
