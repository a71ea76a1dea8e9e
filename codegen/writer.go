package codegen

import (
	"fmt"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/codegen/condition"
	"github.com/bpftables/bpftables/codegen/emit"
	"github.com/bpftables/bpftables/codegen/rows/rule"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// require generates tests that fall through on yes and go to no otherwise, and to g.hot on
// hotdrop.
func (g *generator) require(p pred.Pred, no emit.Label) error {
	g.need(pred.ReadsOf(g.family, p))
	return condition.Require(g, g.family, p, no)
}

// Hot is where hotdrop goes. With this and the methods below the generator is a
// condition.Writer; the others are those of the Builder.
func (g *generator) Hot() emit.Label { return g.hot }

// Cell is where a field lies, once the stage has made it good.
func (g *generator) Cell(f pred.Field, mask uint32) (emit.Cell, bool) {
	g.stage.ensure(g, f, mask)
	return emit.FieldCell(f)
}

// FieldRange asks lo <= (field & mask) <= hi of a field that the datapath finds out.
func (g *generator) FieldRange(f pred.Field, mask, lo, hi uint32, no emit.Label) {
	g.Builder.Call(abi.FuncGetField, uint32(f))
	g.ResultRange(mask, lo, hi, no)
}

// Header asks for the first bytes of the transport header.
func (g *generator) Header(p pred.Header, no emit.Label) { g.Builder.Header(p, no, g.hot) }

// Address makes an address available and says where it lies.
func (g *generator) Address(of pred.AddrField) emit.Area {
	if of <= pred.AddrDst {
		return emit.Address(g.family, of == pred.AddrDst)
	}
	g.Builder.Call(abi.FuncGetAddr, uint32(of))
	return emit.Scratch
}

// Name makes the name of an interface available and says where it lies.
func (g *generator) Name(of pred.NameField) emit.Area {
	switch of {
	case pred.NameIn:
		return emit.InName
	case pred.NameOut:
		return emit.OutName
	}
	g.Builder.Call(abi.FuncGetName, uint32(of))
	return emit.Scratch
}

// Call asks a function of the C part.
func (g *generator) Call(p pred.Pred, no emit.Label) error {
	if g.stage.ask(g, p, no) {
		return nil
	}
	symbol, arg, ok := rule.Call(p)
	if !ok {
		return fmt.Errorf("predicate %s cannot be generated", p)
	}
	g.CallAnswer(symbol, arg, no, g.hot)
	return nil
}
