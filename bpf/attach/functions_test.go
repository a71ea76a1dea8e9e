package attach_test

import (
	"errors"
	"testing"

	"github.com/cilium/ebpf/asm"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/bpf/attach"
	"github.com/bpftables/bpftables/codegen"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// functions are all that generated code may call.
var functions = []string{
	abi.FuncGetField, abi.FuncGetAddr, abi.FuncGetName, abi.FuncFindExt, abi.FuncTCPOption, abi.FuncTCPMSS, abi.FuncAddMSS, abi.FuncMeetsDemand,
	abi.FuncDCCPOption, abi.FuncSCTPChunks, abi.FuncLoadBE32, abi.FuncAddrType, abi.FuncAddrType6, abi.FuncLimit, abi.FuncNth,
	abi.FuncRandom, abi.FuncRecent, abi.FuncSearch, abi.FuncMeter, abi.FuncGroups, abi.FuncControlGroup, abi.FuncTime, abi.FuncHeaders6, abi.FuncEUI64, abi.FuncOptions6, abi.FuncHops6,
	abi.FuncPolicy, abi.FuncConnCount, abi.FuncConnLabel,
	abi.FuncReversePath, abi.FuncQuota, abi.FuncCount, abi.FuncNote,
}

// TestEveryFunction lets the verifier see every function that generated code may call.
func TestEveryFunction(t *testing.T) {
	inNamespace(t)
	for _, family := range []packet.Family{packet.IPv4, packet.IPv6} {
		s := open(t, family)
		for _, f := range functions {
			for _, hook := range []packet.Hook{packet.Input, packet.Output} {
				if err := s.Check([]codegen.Program{calling(family, hook, f)}); err != nil {
					t.Errorf("%s %s %s: %v", family, hook, f, err)
				}
			}
		}
	}
}

// TestDepth lets the deepest chain that code generation makes call every function: five
// functions of generated code, each with the 16 bytes of stack that they use.
func TestDepth(t *testing.T) {
	inNamespace(t)
	for _, family := range []packet.Family{packet.IPv4, packet.IPv6} {
		s := open(t, family)
		for _, f := range functions {
			p := calling(family, packet.Output, f)
			p.Insns = nil
			for i, name := range []string{"chain", "one", "two", "three", "four"} {
				callee := append([]string{"one", "two", "three", "four"}, f)[i]
				p.Insns = append(p.Insns, start(name)...)
				p.Insns = append(p.Insns,
					asm.StoreImm(asm.RFP, -16, 0, asm.Word),
					asm.Mov.Reg(asm.R1, asm.R6), asm.Mov.Reg(asm.R2, asm.R7), asm.Mov.Imm(asm.R3, 0),
					asm.Call.Label(callee),
					asm.Mov.Imm(asm.R0, abi.Accept), asm.Return())
			}
			if err := s.Check([]codegen.Program{p}); err != nil {
				t.Errorf("%s %s: %v", family, f, err)
			}
		}
	}
}

// calling is a chain that calls one function and accepts.
func calling(family packet.Family, hook packet.Hook, function string) codegen.Program {
	return codegen.Program{
		Table: "filter", Family: family, Hook: hook, Shim: true, Rules: 1,
		Needs: abi.NeedL4 | abi.NeedCt | abi.NeedIif | abi.NeedOif | abi.NeedMac,
		Insns: asm.Instructions{
			asm.JEq.Imm(asm.R2, 0, "end").WithSymbol("chain").WithSource(asm.Comment(function)),
			asm.Mov.Imm(asm.R3, 0),
			asm.Call.Label(function),
			asm.Mov.Imm(asm.R0, abi.Accept).WithSymbol("end"),
			asm.Return(),
		},
	}
}

// TestRefused wants the rule that the verifier does not take to be named.
func TestRefused(t *testing.T) {
	inNamespace(t)
	s := open(t, packet.IPv4)
	p := calling(packet.IPv4, packet.Input, abi.FuncCount)
	p.Insns = asm.Instructions{
		asm.Mov.Imm(asm.R0, abi.Accept).WithSymbol("chain").WithSource(asm.Comment("rules.v4:1: fine")),
		asm.LoadMem(asm.R3, asm.R0, 0, asm.Word).WithSource(asm.Comment("rules.v4:2: not fine")),
		asm.Return(),
	}
	err := s.Check([]codegen.Program{p})
	var refused *attach.RefusedError
	if !errors.As(err, &refused) || refused.Rule != "rules.v4:2: not fine" || refused.Reason != "R0 invalid mem access 'scalar'" {
		t.Fatalf("%v", err)
	}
}
