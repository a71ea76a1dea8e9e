package codegen

import (
	"fmt"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/codegen/emit"
	"github.com/bpftables/bpftables/codegen/rows"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
	"github.com/cilium/ebpf/asm"
)

// Lead is the code of the first rules of a base chain that ask for nothing of the packet's
// headers. It runs before these are read, and before a classified chain is looked up
// (bpf/netfilter/lead.h).
type Lead struct {
	Insns asm.Instructions // of the function "lead"; nil: there is none
	// Of a classified chain: the label of its last rule, and the last row up to there.
	Label, Row uint32
}

// leadMost is how many rules a lead has at most. Each packet that none of them decides pays
// for all.
const leadMost = 8

// leading says whether a rule can be one of a lead.
func leading(r *plan.Rule) bool {
	switch r.Action.Op {
	case pred.Accept, pred.Drop, pred.Continue, pred.Up:
	default:
		return false
	}
	for _, p := range r.Conds {
		if pred.Any(p, readsHeaders) {
			return false
		}
	}
	return true
}

// readsHeaders says of a predicate without its parts whether it needs more than fill_first()
// reads, or has a memory.
func readsHeaders(p pred.Pred) bool {
	switch p := p.(type) {
	case pred.Const, pred.Not, pred.And, pred.Or:
		return false
	case pred.Name:
		return p.Of != pred.NameIn && p.Of != pred.NameOut
	case pred.Cmp:
		switch p.Of {
		case pred.Value(pred.FieldLen), pred.Value(pred.FieldMark), pred.Value(pred.FieldCtState),
			pred.Value(pred.FieldHasConn), pred.Value(pred.FieldCtMark):
			return false
		}
	}
	return true
}

// leadOf gives the first rules of a base chain that make a lead, and how many those are.
func leadOf(f *plan.Func) (lead []*plan.Rule) {
	take := func(r *plan.Rule) bool {
		if len(lead) == leadMost || !leading(r) {
			return false
		}
		kept := *r // of a class, it is valid until the next
		kept.Conds = append([]pred.Pred{}, r.Conds...)
		lead = append(lead, &kept)
		return true
	}
	if f.Class != nil && f.Class.NoLead {
		return nil
	}
	if f.Class != nil {
		for r := range f.Class.All() {
			if !take(r) {
				break
			}
		}
		return lead
	}
	for _, r := range f.Rules {
		if !take(r) {
			break
		}
	}
	return lead
}

// lead generates the lead of a base chain as a function.
func (g *generator) lead(symbol string, rules []*plan.Rule) (asm.Instructions, error) {
	g.Builder = emit.New(symbol)
	g.hot = g.NewLabel()
	end := g.NewLabel()
	if err := g.rules(rules, end); err != nil {
		return nil, err
	}
	g.Bind(end)
	g.Return(emit.Continue)
	g.Bind(g.hot)
	g.Return(g.stage.hotdrop())
	return g.Finish()
}

// leadIn generates the lead of a base chain. Where that is code, its rules are taken out of it;
// where it is classified, its descriptor in the image says how far the lead goes.
func (g *generator) leadIn(base *plan.Func, image *rows.Image) (lead Lead, rest *plan.Func, err error) {
	rules := leadOf(base)
	if len(rules) == 0 || base.Class != nil && image == nil { // nothing is laid out: the code is to be printed
		return lead, base, nil
	}
	if lead.Insns, err = g.lead(abi.FuncLead, rules); err != nil {
		return lead, nil, fmt.Errorf("lead: %w", err)
	}
	if base.Class == nil {
		less := *base
		less.Rules = base.Rules[len(rules):]
		return lead, &less, nil
	}
	lead.Label = rows.Label(base.Class, len(rules)-1)
	lead.Row = image.LastUpTo(base.Class.Number, lead.Label)
	image.SetLead(base.Class.Number, lead.Label)
	return lead, base, nil
}
