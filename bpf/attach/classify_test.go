package attach_test

import (
	"testing"

	"github.com/cilium/ebpf/asm"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/codegen"
	"github.com/bpftables/bpftables/codegen/rows"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

// TestClassifyStack lets a base chain that is code call a chain whose rows may ask
// everything: the stack of all functions on the way has 512 bytes.
func TestClassifyStack(t *testing.T) {
	inNamespace(t)
	for _, family := range []packet.Family{packet.IPv4, packet.IPv6} {
		class := &plan.Class{Table: "filter", Chain: "INPUT", Forced: true, Rules: []*plan.Rule{{Action: pred.Action{Op: pred.Drop}}}}
		image, err := rows.Build(&plan.Plan{Family: family, Counters: 1, Classes: []*plan.Class{class}}, 0, rows.Drawn())
		if err != nil {
			t.Fatal(err)
		}
		s := open(t, family)
		for _, hook := range []packet.Hook{packet.Input, packet.Output} {
			p := calling(family, hook, abi.FuncClassify)
			p.Image, p.Ops = image, ^uint64(0)
			p.Insns = append(start("chain"),
				asm.StoreImm(asm.RFP, -16, 0, asm.Word),
				asm.Mov.Reg(asm.R1, asm.R6), asm.Mov.Reg(asm.R2, asm.R7), asm.Mov.Imm(asm.R3, 0),
				asm.Call.Label(abi.FuncClassify),
				asm.Mov.Imm(asm.R0, abi.Accept), asm.Return())
			if err := s.Check([]codegen.Program{p}); err != nil {
				t.Errorf("%s %s: %v", family, hook, err)
			}
		}
	}
}
