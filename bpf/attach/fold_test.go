package attach

import (
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/bpf/maps"
	"github.com/bpftables/bpftables/bpf/rewrite"
	"github.com/bpftables/bpftables/codegen"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// TestFoldAsTheKernel loads programs folded and as they are: the kernel, which also takes out
// what cannot run, must be left with the same instructions.
func TestFoldAsTheKernel(t *testing.T) {
	needsRoot(t)
	for _, p := range callers() {
		whole, _ := leftOf(t, p, false)
		folded, n := leftOf(t, p, true)
		if !slices.Equal(whole, folded) {
			t.Errorf("%s %s needs %#x: the kernel keeps %d instructions, and %d others of what was folded to %d",
				p.Family, p.Hook, p.Needs, len(whole), len(folded), n)
		}
		if n > 2*len(folded) {
			t.Errorf("%s %s needs %#x: folded to %d instructions, the kernel keeps %d", p.Family, p.Hook, p.Needs, n, len(folded))
		}
	}
}

// needsRoot skips a test that loads programs where it cannot.
func needsRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("REQUIRE_KERNEL") != "" {
			t.Fatal("needs root")
		}
		t.Skip("needs root")
	}
	if _, err := netfilterObject.linked(); err != nil {
		t.Fatal(err)
	}
}

// callers are programs of every kind that call a function of the datapath.
func callers() (out []*codegen.Program) {
	for _, family := range []packet.Family{packet.IPv4, packet.IPv6} {
		for _, hook := range []packet.Hook{packet.Input, packet.Output} {
			for _, needs := range []uint32{0, abi.NeedL4, abi.NeedCt | abi.NeedIif, ^uint32(0)} {
				p := codegen.Program{Table: "filter", Family: family, Hook: hook, Needs: needs, Rules: 1}
				p.Insns = asm.Instructions{
					asm.JEq.Imm(asm.R2, 0, "end").WithSymbol("chain").WithSource(asm.Comment("chain")),
					asm.Mov.Imm(asm.R3, 0), asm.Call.Label(abi.FuncFindExt),
					asm.Mov.Imm(asm.R0, abi.Accept).WithSymbol("end"), asm.Return(),
				}
				shim := p
				shim.Shim = true
				out = append(out, &p, &shim)
			}
		}
	}
	return out
}

// leftOf gives the instructions that the kernel keeps of a program, and how many it was given.
// Jumps are left out: it keeps those that never go where others go, too. So is what is numbered
// anew each time.
func leftOf(t *testing.T, p *codegen.Program, fold bool) (out []string, loaded int) {
	t.Helper()
	spec, prog, err := specOf(p, seat{hook: p.Hook}, 1)
	if err != nil {
		t.Fatal(err)
	}
	known := rewrite.ConstantsOf(spec)
	known.Embed = false // what the kernel does not do
	if !fold {
		known = nil
	}
	if prog.Instructions, err = rewrite.FillInline(prog.Instructions, generated(p), known, abi.FuncChain, abi.FuncLead); err != nil {
		t.Fatal(err)
	}
	given := madeMaps(t, spec, p)
	defer given.Close()
	l, err := load(spec, prog, given)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	info, err := l.Info()
	if err != nil {
		t.Fatal(err)
	}
	insns, err := info.Instructions()
	if err != nil {
		t.Fatal(err)
	}
	for _, ins := range insns {
		if ins.OpCode.JumpOp() == asm.Call {
			ins.Offset = 0 // the distance
		}
		if op := ins.OpCode.JumpOp(); op == asm.InvalidJumpOp || op == asm.Call || op == asm.Exit {
			out = append(out, fmt.Sprint(ins.OpCode, ins.Dst, ins.Src, ins.Offset))
		}
	}
	return out, len(prog.Instructions)
}

// madeMaps makes the maps that a program uses.
func madeMaps(t *testing.T, spec *ebpf.CollectionSpec, p *codegen.Program) maps.Set {
	t.Helper()
	st, err := states([]codegen.Program{*p})
	if err != nil {
		t.Fatal(err)
	}
	given, err := maps.New(spec.Maps, st)
	if err != nil {
		t.Fatal(err)
	}
	return given
}
