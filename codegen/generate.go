// Package codegen turns the hooks of a Plan into BPF instructions.
//
// In: a plan.Hook. Out: a Program: the generated functions, which replace the stub
// "chain" of the C datapath, and what the datapath must prepare for them. Pure:
// nothing is loaded here. Package emit spells the instructions.
package codegen

import (
	"fmt"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/codegen/emit"
	"github.com/bpftables/bpftables/codegen/rows"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

// Generate makes the programs of all BPF tables of a plan, whose classified chains lie in an
// image (see Image).
func Generate(p *plan.Plan, image *rows.Image) ([]Program, error) {
	var out []Program
	looks := classNeeds(p)
	uses, err := setUses(p)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.Family, err)
	}
	for _, t := range p.Tables {
		for _, h := range t.Hooks {
			prog, err := generateHook(p, t, h, image, looks)
			if err != nil {
				return nil, fmt.Errorf("%s %s %s: %w", p.Family, t.Name, h.Hook, err)
			}
			prog.SetUses, prog.Sets = uses, p.Sets
			out = append(out, prog)
		}
	}
	return out, nil
}

// Image lays out the classified chains of a plan; nil when there are none.
func Image(p *plan.Plan, o rows.Options) (*rows.Image, error) {
	image, err := rows.Build(p, classNeeds(p), o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.Family, err)
	}
	return image, nil
}

// classNeeds is what programs that look rows up fill of the facts.
func classNeeds(p *plan.Plan) uint32 {
	g := &generator{family: p.Family}
	g.needClasses(p.Classes)
	return g.needs
}

func generateHook(p *plan.Plan, t *plan.Table, h *plan.Hook, image *rows.Image, looks uint32) (Program, error) {
	stage := hookStage{atomic: h.Hook.Local()}
	g := &generator{family: p.Family, stage: stage}
	lead, first, err := g.leadIn(h.Funcs[0], image)
	if err != nil {
		return Program{}, err
	}
	for i, f := range h.Funcs {
		if i == 0 {
			f = first
		}
		if err := g.function(f); err != nil {
			return Program{}, fmt.Errorf("chain %s: %w", f.Chain, err)
		}
	}
	if g.classified {
		g.needs |= looks
	}
	if h.NAT {
		// Whether the packet is an error of ICMP is in its transport header.
		g.needs |= abi.NeedL4 | abi.NeedCt
	}
	base, alone := 0, false
	if c := h.Funcs[0].Class; c != nil {
		base, alone = c.Number+1, c.NoLead
	}
	var ops uint64
	seat := 0
	if image != nil {
		ops = image.Ops[t.Name]
		if t.Rows && h.Class != nil {
			seat = h.Class.Number + 1
		}
	}
	return Program{
		Image: image, Ops: ops, Base: base, Seat: seat, Rows: alone, Looks: g.classified, Family: p.Family, Table: t.Name, Hook: h.Hook, Priority: h.Priority, NAT: h.NAT, Alone: t.Alone(),
		Needs: g.tracked(p), Atomic: stage.atomic, Shim: h.Shim, Insns: g.insns, Lead: lead,
		Rules: p.Counters, Limits: p.Limits, Nths: p.Nths, Recents: p.Recents, Args: p.Args,
	}, nil
}

// function generates one chain, or one part of a chain.
func (g *generator) function(f *plan.Func) error {
	g.Builder = emit.New(f.Symbol)
	g.hot = g.NewLabel()
	end := g.NewLabel()
	if f.Class != nil {
		g.classify(f.Class)
		g.ReturnResult()
		return g.finish()
	}
	for _, part := range f.Parts {
		g.Builder.Call(part)
		g.JumpIfResult(emit.Continue, end)
		g.ReturnUnless(emit.NextPart)
	}
	if err := g.rules(f.Rules, end); err != nil {
		return err
	}
	if f.Part {
		g.Return(emit.NextPart)
	}
	g.Bind(end)
	switch {
	case f.Policy == nil:
		g.Return(emit.Continue)
	case f.Policy.Drop:
		g.Decide(f.Policy.ID, emit.Drop)
	default:
		g.stage.accept(g, f.Policy.ID)
	}
	return g.finish()
}

// finish ends a function.
func (g *generator) finish() error {
	g.Bind(g.hot)
	g.Return(g.stage.hotdrop())
	insns, err := g.Finish()
	g.insns = append(g.insns, insns...)
	return err
}

// rules generates rules in order; end is where RETURN goes.
func (g *generator) rules(rules []*plan.Rule, end emit.Label) error {
	for _, r := range rules {
		next := g.NewLabel()
		g.Source(emit.Text{Pos: r.Pos, Rule: r.Text})
		for _, c := range r.Conds {
			if err := g.require(c, next); err != nil {
				return fmt.Errorf("%s: %w", r.Pos, err)
			}
		}
		if err := g.action(r, end); err != nil {
			return fmt.Errorf("%s: %w", r.Pos, err)
		}
		g.Bind(next)
	}
	return nil
}

// action generates what a rule does once it matches.
func (g *generator) action(r *plan.Rule, end emit.Label) error {
	switch r.Action.Op {
	case pred.Accept:
		g.stage.accept(g, r.ID)
	case pred.Drop:
		g.Decide(r.ID, emit.Drop)
	case pred.Continue:
		g.stage.count(g, r.ID)
	case pred.Return:
		g.stage.count(g, r.ID)
		g.Jump(end)
	case pred.Jump:
		return g.jump(r)
	case pred.Goto:
		return g.goTo(r, end)
	case pred.Do:
		return g.tell(r)
	case pred.Up:
		g.Return(emit.Up)
	default:
		return fmt.Errorf("action %s cannot run in BPF", r.Action)
	}
	return nil
}

func (g *generator) jump(r *plan.Rule) error {
	g.stage.count(g, r.ID)
	if g.called(r) {
		g.ReturnUnless(emit.Continue)
		return nil
	}
	back := g.NewLabel()
	err := g.rules(r.Inline, back)
	g.Bind(back)
	return err
}

// called calls the chain that a rule names; false when it is in place.
func (g *generator) called(r *plan.Rule) bool {
	switch {
	case r.Class != nil:
		g.classify(r.Class)
	case r.Call != "":
		g.Builder.Call(r.Call)
	default:
		return false
	}
	return true
}

// classify calls the lookup of a classified chain.
func (g *generator) classify(c *plan.Class) {
	g.classified = true
	g.stage.ensureClass(g, c)
	g.Builder.Call(abi.FuncClassify, uint32(c.Number))
}

// goTo runs a chain whose end is the end of this one.
func (g *generator) goTo(r *plan.Rule, end emit.Label) error {
	g.stage.count(g, r.ID)
	if g.called(r) {
		g.ReturnUnless(emit.Continue)
	} else if err := g.rules(r.Inline, end); err != nil {
		return err
	}
	g.Jump(end)
	return nil
}
