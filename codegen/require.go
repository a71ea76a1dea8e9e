package codegen

import (
	"fmt"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/codegen/emit"
	"github.com/bpftables/bpftables/codegen/rows/rule"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/cilium/ebpf/asm"
)

// generator writes the functions of one hook. The embedded Builder is the one of
// the function at hand.
type generator struct {
	*emit.Builder
	family     packet.Family
	atomic     bool
	early      bool       // for the early stage
	tells      bool       // a rule of it tells NEW from INVALID
	hot        emit.Label // returns Hotdrop; in the early stage Up
	needs      uint32
	classified bool
	insns      asm.Instructions
}

// require generates a test that falls through on yes and goes to no otherwise;
// hotdrop goes to g.hot.
func (g *generator) require(p pred.Pred, no emit.Label) error {
	g.need(pred.ReadsOf(g.family, p))
	switch p := p.(type) {
	case pred.Const:
		g.constant(pred.Answer(p), no)
	case pred.Not:
		return g.exclude(p.P, no)
	case pred.And:
		return g.all(p, no)
	case pred.Or:
		return g.either(p, no)
	case pred.HotdropIf:
		return g.exclude(p.P, g.hot)
	case pred.Cmp:
		g.ensure(p)
		return g.compare(p, no)
	case pred.Header:
		g.Header(p, no, g.hot)
	case pred.Transport:
		return g.compare(pred.Eq(pred.FieldL4State, uint32(packet.L4Found)), g.hot)
	case pred.Have:
		return g.have(p, no)
	case pred.Addr:
		g.Bytes(g.address(p.Of), p.Value[:g.addressLen()], p.Mask[:g.addressLen()], no)
	case pred.AddrRange:
		g.BytesRange(g.address(p.Of), p.Lo[:g.addressLen()], p.Hi[:g.addressLen()], no)
	case pred.Name:
		g.Bytes(g.name(p.Of), p.Value[:], p.Mask[:], no)
	case pred.U32:
		g.u32(p, no)
	default:
		return g.call(p, no)
	}
	return nil
}

// all requires several predicates in order.
func (g *generator) all(ps pred.And, no emit.Label) error {
	for _, p := range ps {
		if err := g.require(p, no); err != nil {
			return err
		}
	}
	return nil
}

// exclude falls through on no and goes to yes otherwise.
func (g *generator) exclude(p pred.Pred, yes emit.Label) error {
	no := g.NewLabel()
	if err := g.require(p, no); err != nil {
		return err
	}
	g.Jump(yes)
	g.Bind(no)
	return nil
}

func (g *generator) either(ps pred.Or, no emit.Label) error {
	if len(ps) == 0 {
		g.Jump(no)
		return nil
	}
	yes := g.NewLabel()
	last := len(ps) - 1
	for _, p := range ps[:last] {
		if err := g.exclude(p, yes); err != nil {
			return err
		}
	}
	if err := g.require(ps[last], no); err != nil {
		return err
	}
	g.Bind(yes)
	return nil
}

func (g *generator) constant(a pred.Answer, no emit.Label) {
	switch a {
	case pred.No:
		g.Jump(no)
	case pred.Hotdrop:
		g.Jump(g.hot)
	}
}

func (g *generator) compare(p pred.Cmp, no emit.Label) error {
	switch of := p.Of.(type) {
	case pred.Field:
		if c, ok := emit.FieldCell(of); ok {
			g.Range(c, p.Mask, p.Lo, p.Hi, no)
			return nil
		}
		g.Call(abi.FuncGetField, uint32(of))
		g.ResultRange(p.Mask, p.Lo, p.Hi, no)
		return nil
	case pred.Load:
		area, err := g.area(of)
		if err != nil {
			return err
		}
		g.Range(emit.PacketCell(area, int16(of.Off), of.Width), p.Mask, p.Lo, p.Hi, no)
		return nil
	}
	return fmt.Errorf("predicate %s compares an unknown value", p)
}

// area finds the bytes that a Load reads. The facts hold the IP header, the first
// 20 bytes of the transport header and the extension header found last.
func (g *generator) area(l pred.Load) (emit.Area, error) {
	area, size := emit.L3, 20
	switch {
	case l.Base == pred.BaseL4:
		area = emit.L4
	case l.Base == pred.BaseExt:
		area, size = emit.Scratch, 24
	case g.family == packet.IPv6:
		size = 40
	}
	if int(l.Off)+int(l.Width) > size {
		return area, fmt.Errorf("%s lies beyond the %d bytes that the datapath keeps", l, size)
	}
	return area, nil
}

func (g *generator) have(p pred.Have, no emit.Label) error {
	c, ok := emit.ScratchLen, true
	switch p.Base {
	case pred.BaseL4:
		c, ok = emit.FieldCell(pred.FieldL4Avail)
	case pred.BaseL3:
		c, ok = emit.FieldCell(pred.FieldLen)
	}
	if !ok {
		return fmt.Errorf("%s: length is not in the facts", p)
	}
	if p.Len > 0 {
		g.Range(c, ^uint32(0), uint32(p.Len), ^uint32(0), no)
	}
	return nil
}

func (g *generator) addressLen() int { return g.family.Bits() / 8 }

// address makes an address available and says where it lies.
func (g *generator) address(of pred.AddrField) emit.Area {
	if of <= pred.AddrDst {
		return emit.Address(g.family, of == pred.AddrDst)
	}
	g.Call(abi.FuncGetAddr, uint32(of))
	return emit.Scratch
}

// name makes an interface name available and says where it lies.
func (g *generator) name(of pred.NameField) emit.Area {
	switch of {
	case pred.NameIn:
		return emit.InName
	case pred.NameOut:
		return emit.OutName
	}
	g.Call(abi.FuncGetName, uint32(of))
	return emit.Scratch
}

func (g *generator) u32(p pred.U32, no emit.Label) {
	for _, t := range p.Tests {
		g.U32Start()
		g.U32Load(abi.FuncLoadBE32, t.Start, no)
		for _, op := range t.Ops {
			if op.Op == '@' {
				g.U32Advance(no)
				g.U32Load(abi.FuncLoadBE32, op.Arg, no)
				continue
			}
			g.U32Op(op.Op, op.Arg)
		}
		found := g.NewLabel()
		for _, r := range t.Ranges {
			other := g.NewLabel()
			g.U32InRange(r[0], r[1], other)
			g.Jump(found)
			g.Bind(other)
		}
		g.Jump(no)
		g.Bind(found)
	}
}

// call generates a predicate that a function of the C part answers.
func (g *generator) call(p pred.Pred, no emit.Label) error {
	if _, ok := p.(pred.AddrType); ok && g.early {
		g.local(no)
		return nil
	}
	symbol, arg, ok := rule.Call(p)
	if !ok {
		return fmt.Errorf("predicate %s cannot be generated", p)
	}
	g.CallAnswer(symbol, arg, no, g.hot)
	return nil
}

// foretell changes the facts as an effect will change the packet.
func (g *generator) foretell(e pred.Effect) error {
	if pred.Untracks(e) {
		return g.untrack()
	}
	if c, is := pred.ChangesHeader(g.family, e); is {
		g.ChangeHeader(c)
		return nil
	}
	if pred.ChangesLength(e) {
		g.needs |= abi.NeedL4 | abi.NeedWide
		done := g.NewLabel()
		g.CallAnswer(abi.FuncAddMSS, 0, done, g.hot)
		g.Bind(done)
		return nil
	}
	s, is := pred.MarkChange(e)
	if !is {
		return nil
	}
	dst, ok1 := emit.FieldCell(s.Dst)
	src, ok2 := emit.FieldCell(s.Src)
	if !ok1 || !ok2 {
		return fmt.Errorf("%s changes a field that is not in the facts", e)
	}
	g.need(s.Dst.Reads(g.family))
	g.need(s.Src.Reads(g.family))
	skip := g.NewLabel()
	if s.NeedConn {
		if err := g.require(pred.Eq(pred.FieldHasConn, 1), skip); err != nil {
			return err
		}
	}
	g.SetMark(dst, src, s.Keep, s.And, s.Xor, s.Shift)
	g.Bind(skip)
	return nil
}

// untrack makes later rules see a packet without entry as UNTRACKED
// (xt_ct_target(), net/netfilter/xt_CT.c).
func (g *generator) untrack() error {
	skip := g.NewLabel()
	for _, p := range []pred.Pred{pred.Eq(pred.FieldHasConn, 0), pred.Masked(pred.FieldCtState, packet.CtMet, 0)} {
		if err := g.require(p, skip); err != nil {
			return err
		}
	}
	state, _ := emit.FieldCell(pred.FieldCtState)
	g.Set(state, packet.CtUntracked)
	g.Bind(skip)
	return nil
}
