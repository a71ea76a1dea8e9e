package codegen

import (
	"fmt"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/codegen/emit"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

// tell notes the effect for whoever runs it, and does to the facts what it will do to the
// packet. One that ends the traversal leaves Drop as the verdict: should nobody run it, the
// packet is not let through.
func (g *generator) tell(r *plan.Rule) error {
	ends := r.Action.Ends()
	if !ends {
		g.stage.count(g, r.ID)
	}
	g.Builder.Call(abi.FuncNote, r.Noted())
	if ends {
		g.Decide(r.ID, emit.Drop)
		return nil
	}
	return g.foretell(r.Action.Effect)
}

// foretell changes the facts as an effect will change the packet.
func (g *generator) foretell(e pred.Effect) error {
	if pred.Untracks(e) {
		return g.untrack()
	}
	if demand := pred.Demands(e); demand != pred.DemandsNothing {
		g.needs |= abi.NeedL4 | abi.NeedWide
		meets := g.NewLabel()
		g.CallAnswer(abi.FuncMeetsDemand, uint32(demand), meets, g.hot)
		g.Bind(meets)
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
