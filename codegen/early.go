package codegen

import (
	"fmt"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/codegen/emit"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

// EarlyProgram is the code of the early stage: the functions of all chains on the way,
// each named as its hole in the datapath (plan.EarlySymbol).
type EarlyProgram struct {
	Program
	Chains []string
	Exact  bool // counters without exception
}

// GenerateEarly makes the program of a plan's early stage; nil when it has none.
func GenerateEarly(p *plan.Plan) (*EarlyProgram, error) {
	if p.Early == nil {
		return nil, nil
	}
	g := &generator{family: p.Family, early: true}
	out := &EarlyProgram{Exact: p.Early.Exact}
	for _, c := range p.Early.Chains {
		out.Chains = append(out.Chains, c.Symbol())
		for _, f := range c.Funcs {
			if err := g.function(f); err != nil {
				return nil, fmt.Errorf("%s early stage: table %s: chain %s: %w", p.Family, c.Table, f.Chain, err)
			}
		}
	}
	out.Program = Program{
		Family: p.Family, Table: "early stage", Needs: g.needs, Insns: g.insns, Rules: p.Counters,
	}
	return out, nil
}

// accept ends a table's traversal. In the early stage the next table follows.
func (g *generator) accept(rule uint32) {
	if !g.early {
		g.Decide(rule, emit.Accept)
		return
	}
	g.Pass(rule, g.hot)
	g.Return(emit.Accept)
}

// count credits a rule that does not end the traversal.
func (g *generator) count(rule uint32) {
	if g.early {
		g.Pass(rule, g.hot)
		return
	}
	g.Count(rule, g.atomic)
}

// unclear is what a function returns where g.hot is: the early stage leaves packets with
// cut headers to the hooks, as everything else that it does not decide.
func (g *generator) unclear() emit.Result {
	if g.early {
		return emit.Up
	}
	return emit.Hotdrop
}

// ensure makes the facts good that a comparison reads, where they are not filled before
// the first rule.
func (g *generator) ensure(p pred.Cmp) {
	f, ok := p.Of.(pred.Field)
	if !g.early || !ok {
		return
	}
	switch f {
	case pred.FieldCtState:
		g.Ensure(abi.FuncEarlyCt, p.Mask, g.hot)
	case pred.FieldHasConn, pred.FieldCtMark:
		g.Ensure(abi.FuncEarlyCt, packet.CtNew, g.hot)
	case pred.FieldLen:
		g.Ensure(abi.FuncEarlyLen, 0, g.hot)
	}
}

// local asks whether the packet is for this host: the one type of address that the early
// stage knows.
func (g *generator) local(no emit.Label) {
	g.Call(abi.FuncEarlyLocal, 0)
	g.JumpIfResult(emit.Up, g.hot)
	g.JumpIfResult(emit.Result(abi.No), no)
}
