package codegen

import (
	"fmt"
	"slices"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/codegen/emit"
	"github.com/bpftables/bpftables/codegen/rows"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

// EarlyProgram is the code of the early stage: the functions of all chains on the way.
type EarlyProgram struct {
	Program
	Chains       []EarlyChain
	Exact        bool // all counters are as if the hooks had judged the packet
	TellsInvalid bool // a rule tells the conntrack states NEW and INVALID apart
}

// EarlyChain is a base chain on the way.
type EarlyChain struct {
	Symbol    string // of its function, and of its hole in the datapath (plan.EarlyChain)
	Class     uint32 // 1 more than the number of its class; 0: it is code
	AsksState bool   // a class whose rows ask for the conntrack state
	AsksFirst bool   // its first rules ask for it
	States    uint32 // for early_ct() then
	// Of a class whose first rules are code, its function: the label of the last of them, and
	// the last row up to there.
	Label, Row uint32
}

// GenerateEarly makes the program of a plan's early stage; nil when it has none. Its
// classified chains lie in the image with those of the programs for the hooks.
func GenerateEarly(p *plan.Plan, image *rows.Image) (*EarlyProgram, error) {
	if p.Early == nil {
		return nil, nil
	}
	stage := &earlyStage{}
	g := &generator{family: p.Family, stage: stage}
	g.needClasses(p.Early.Classes)
	out := &EarlyProgram{Exact: p.Early.Exact}
	for _, c := range p.Early.Chains {
		out.Chains = append(out.Chains, earlyChain(c, image))
		for _, f := range c.Funcs {
			if err := stage.function(g, f); err != nil {
				return nil, fmt.Errorf("%s early stage: table %s: chain %s: %w", p.Family, c.Table, f.Chain, err)
			}
		}
	}
	out.TellsInvalid = stage.tells
	out.Program = Program{
		Family: p.Family, Table: "early stage", Needs: g.needs, Insns: g.insns, Rules: p.Counters,
		Image: image,
	}
	return out, nil
}

func earlyChain(c *plan.EarlyChain, image *rows.Image) EarlyChain {
	lead := leadOf(c.Funcs[0])
	out := EarlyChain{Symbol: c.Symbol, AsksFirst: slices.ContainsFunc(lead, asksState)}
	class := c.Funcs[0].Class
	if class == nil {
		return out
	}
	out.Class = uint32(class.Number) + 1
	out.States, out.AsksState = classStates(class)
	if len(lead) > 0 {
		out.Label = rows.Label(class, len(lead)-1)
		out.Row = image.LastUpTo(class.Number, out.Label)
	}
	return out
}

// function generates a function. That of a classified chain is its lead.
func (s *earlyStage) function(g *generator, f *plan.Func) error {
	if f.Class == nil {
		return g.function(f)
	}
	mask, _ := classStates(f.Class)
	s.tells = s.tells || tells(mask)
	rules := leadOf(f)
	if len(rules) == 0 {
		return nil // the datapath looks rows up
	}
	insns, err := g.lead(f.Symbol, rules)
	g.insns = append(g.insns, insns...)
	return err
}

// tells says whether a question about some states tells NEW from INVALID.
func tells(mask uint32) bool { return (mask&packet.CtNew == 0) != (mask&packet.CtInvalid == 0) }

// classStates says whether the rows of a chain, or of the chains that it calls, ask for the
// conntrack state, and gives one mask for all of them.
func classStates(c *plan.Class) (mask uint32, asks bool) {
	askedStates(c, map[*plan.Class]bool{}, func(one uint32) {
		if asks = true; tells(one) {
			mask = one
		}
	})
	return mask, asks
}

// askedStates gives the states that each question of a chain, and of those that it calls,
// tells from the others.
func askedStates(c *plan.Class, seen map[*plan.Class]bool, ask func(mask uint32)) {
	if seen[c] {
		return
	}
	seen[c] = true
	for r := range c.All() {
		eachState(r, ask)
		if r.Class != nil {
			askedStates(r.Class, seen, ask)
		}
	}
}

// eachState gives the states that each question of a rule tells from the others.
func eachState(r *plan.Rule, ask func(mask uint32)) {
	for _, cond := range r.Conds {
		pred.Any(cond, func(p pred.Pred) bool {
			cmp, is := p.(pred.Cmp)
			field, isField := cmp.Of.(pred.Field)
			if is && isField {
				if mask := statesAsked(field, cmp.Mask); mask != 0 {
					ask(mask)
				}
			}
			return false
		})
	}
}

// asksState says whether a rule asks for the conntrack state.
func asksState(r *plan.Rule) (asks bool) {
	eachState(r, func(uint32) { asks = true })
	return asks
}

// statesAsked is the mask that early_ct() is given for a question about some bits of a field;
// 0: it is not about conntrack.
func statesAsked(f pred.Field, mask uint32) uint32 {
	switch f {
	case pred.FieldCtState:
		return mask
	case pred.FieldHasConn, pred.FieldCtMark:
		return packet.CtNew
	}
	return 0
}

// earlyStage is the stage of early programs.
type earlyStage struct {
	tells bool // a rule tells NEW from INVALID
}

// accept lists the rule; the next table follows.
func (s *earlyStage) accept(g *generator, rule uint32) {
	s.count(g, rule)
	g.Return(emit.Accept)
}

// count lists the rule, which gets its credit if the packet is dropped.
func (s *earlyStage) count(g *generator, rule uint32) { g.Pass(rule, g.hot) }

// hotdrop leaves packets with cut headers to the hooks, as everything else that is not decided
// here.
func (s *earlyStage) hotdrop() emit.Result { return emit.Up }

func (s *earlyStage) ensure(g *generator, f pred.Field, mask uint32) {
	if states := statesAsked(f, mask); states != 0 {
		s.ensureState(g, states)
	}
	if f == pred.FieldLen {
		g.Ensure(abi.FuncEarlyLen, 0, g.hot)
	}
}

// ensureClass makes the conntrack state good before rows ask for it: a lookup asks all rows at
// once.
func (s *earlyStage) ensureClass(g *generator, c *plan.Class) {
	if mask, asks := classStates(c); asks {
		s.ensureState(g, mask)
	}
}

// ensureState makes the conntrack state good for a question about some states.
func (s *earlyStage) ensureState(g *generator, mask uint32) {
	s.tells = s.tells || tells(mask)
	g.EnsureState(mask, tells(mask), g.hot)
}

// ask asks whether the packet is for this host: the one type of address that the early stage
// knows.
func (s *earlyStage) ask(g *generator, p pred.Pred, no emit.Label) bool {
	if _, is := p.(pred.AddrType); !is {
		return false
	}
	g.Builder.Call(abi.FuncEarlyLocal, 0)
	g.JumpIfResult(emit.Up, g.hot)
	g.JumpIfResult(emit.Result(abi.No), no)
	return true
}
