package attach

import (
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/cilium/ebpf/asm"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/bpf/maps"
	"github.com/bpftables/bpftables/codegen"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// section is a variable of 4 bytes with the value 6, and one of a byte with the value 255.
var section = &constants{sections: map[string][]byte{".rodata": {6, 0, 0, 0, 255}}}

func variable(reg asm.Register, at int64) asm.Instruction {
	ins := asm.LoadImm(reg, at<<32, asm.DWord).WithReference(".rodata")
	ins.Src = asm.PseudoMapValue
	return ins
}

func jump(ins asm.Instruction, offset int16) asm.Instruction {
	ins = ins.WithReference("")
	ins.Offset = offset
	return ins
}

// TestFold takes out what cannot run, and nothing else.
func TestFold(t *testing.T) {
	one, two := asm.Mov.Imm(asm.R0, 1), asm.Mov.Imm(asm.R0, 2)
	read := asm.Instructions{variable(asm.R1, 0), asm.LoadMem(asm.R1, asm.R1, 0, asm.Word)}[:2:2]
	for name, c := range map[string]struct{ in, want asm.Instructions }{
		"never": {
			asm.Instructions{asm.And.Imm(asm.R1, 1), jump(asm.JNE.Imm(asm.R1, 0, "x"), 2), one, asm.Return(), two, asm.Return()},
			asm.Instructions{asm.And.Imm(asm.R1, 1), one, asm.Return()},
		},
		"always": {
			asm.Instructions{asm.And.Imm(asm.R1, 2), jump(asm.JNE.Imm(asm.R1, 0, "x"), 2), one, asm.Return(), two, asm.Return()},
			asm.Instructions{asm.And.Imm(asm.R1, 2), two, asm.Return()},
		},
		"wide": { // a jump over a wide load, which counts twice
			asm.Instructions{
				jump(asm.JGT.Imm(asm.R6, 3, "x"), 6), jump(asm.JEq.Imm(asm.R1, 5, "x"), 2), variable(asm.R2, 0), one,
				jump(asm.JSGE.Imm32(asm.R1, 6, "x"), 1), one, asm.Return(),
			},
			asm.Instructions{jump(asm.JGT.Imm(asm.R6, 3, "x"), 3), variable(asm.R2, 0), one, asm.Return()},
		},
		"call": { // forgets
			asm.Instructions{asm.Call.Label("f"), jump(asm.JNE.Imm(asm.R1, 6, "x"), 1), one, asm.Return()},
			asm.Instructions{asm.Call.Label("f"), jump(asm.JNE.Imm(asm.R1, 6, "x"), 1), one, asm.Return()},
		},
		"loop": { // the second time it is another value
			asm.Instructions{jump(asm.JEq.Imm(asm.R1, 9, "x"), 2), asm.Add.Imm(asm.R1, 1), jump(asm.Ja.Label("x"), -3), one, asm.Return()},
			asm.Instructions{jump(asm.JEq.Imm(asm.R1, 9, "x"), 2), asm.Add.Imm(asm.R1, 1), jump(asm.Ja.Label("x"), -3), one, asm.Return()},
		},
		"atomic": { // gives the old value
			asm.Instructions{asm.FetchAdd.Mem(asm.R7, asm.R1, asm.DWord, 0), jump(asm.JNE.Imm(asm.R1, 6, "x"), 1), one, asm.Return()},
			asm.Instructions{asm.FetchAdd.Mem(asm.R7, asm.R1, asm.DWord, 0), jump(asm.JNE.Imm(asm.R1, 6, "x"), 1), one, asm.Return()},
		},
		"byte": {
			asm.Instructions{variable(asm.R2, 4), asm.LoadMem(asm.R2, asm.R2, 0, asm.Byte), jump(asm.JLT.Reg(asm.R1, asm.R2, "x"), 1), one, asm.Return()},
			asm.Instructions{variable(asm.R2, 4), asm.LoadMem(asm.R2, asm.R2, 0, asm.Byte), asm.Return()},
		},
		"beyond": {
			asm.Instructions{variable(asm.R2, 2), asm.LoadMem(asm.R2, asm.R2, 0, asm.Word), jump(asm.JNE.Imm(asm.R2, 0, "x"), 1), one, asm.Return()},
			asm.Instructions{variable(asm.R2, 2), asm.LoadMem(asm.R2, asm.R2, 0, asm.Word), jump(asm.JNE.Imm(asm.R2, 0, "x"), 1), one, asm.Return()},
		},
	} {
		got := section.fold(append(read, c.in...))
		if g, w := fmt.Sprintf("%v", got), fmt.Sprintf("%v", append(read, c.want...)); g != w {
			t.Errorf("%s: got\n%swant\n%s", name, g, w)
		}
	}
}

// TestEmbed makes loads of constants numbers.
func TestEmbed(t *testing.T) {
	known := &constants{sections: map[string][]byte{".rodata": {6, 0, 0, 0, 255, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 0xf8}}, embed: true}
	for name, c := range map[string]struct{ in, want asm.Instructions }{
		"the same register": {
			asm.Instructions{variable(asm.R1, 0), asm.LoadMem(asm.R1, asm.R1, 0, asm.Word), asm.Return()},
			asm.Instructions{asm.Mov.Imm32(asm.R1, 6), asm.Return()},
		},
		"another register": { // the address may be used again
			asm.Instructions{variable(asm.R1, 0), asm.LoadMem(asm.R2, asm.R1, 4, asm.Byte), asm.Return()},
			asm.Instructions{variable(asm.R1, 0), asm.Mov.Imm32(asm.R2, 255), asm.Return()},
		},
		"a jump between": {
			asm.Instructions{
				jump(asm.JEq.Imm(asm.R6, 1, "x"), 2), variable(asm.R1, 4), asm.LoadMem(asm.R1, asm.R1, 0, asm.Word), asm.Return(),
			},
			asm.Instructions{
				jump(asm.JEq.Imm(asm.R6, 1, "x"), 2), variable(asm.R1, 4), asm.LoadMem(asm.R1, asm.R1, 0, asm.Word), asm.Return(),
			},
		},
		"a wide number, and a jump over it": {
			asm.Instructions{
				jump(asm.JEq.Imm(asm.R6, 1, "x"), 3), variable(asm.R1, 8), asm.LoadMem(asm.R1, asm.R1, 0, asm.DWord), asm.Return(),
			},
			asm.Instructions{jump(asm.JEq.Imm(asm.R6, 1, "x"), 2), asm.LoadImm(asm.R1, -0x7f8f9fafbfcfdff, asm.DWord), asm.Return()},
		},
		"in a loop": { // the second time it is another place
			asm.Instructions{
				variable(asm.R1, 0), asm.LoadMem(asm.R2, asm.R1, 0, asm.Word), asm.Add.Imm(asm.R1, 4),
				jump(asm.JLT.Reg(asm.R2, asm.R6, "x"), -3), asm.Return(),
			},
			asm.Instructions{
				variable(asm.R1, 0), asm.LoadMem(asm.R2, asm.R1, 0, asm.Word), asm.Add.Imm(asm.R1, 4),
				jump(asm.JLT.Reg(asm.R2, asm.R6, "x"), -3), asm.Return(),
			},
		},
	} {
		if g, w := fmt.Sprintf("%v", known.fold(c.in)), fmt.Sprintf("%v", c.want); g != w {
			t.Errorf("%s: got\n%swant\n%s", name, g, w)
		}
	}
}

// TestFoldKeepsSources gives what follows the line of what was taken out.
func TestFoldKeepsSources(t *testing.T) {
	got := section.fold(asm.Instructions{
		variable(asm.R1, 0).WithSource(asm.Comment("first")), asm.LoadMem(asm.R1, asm.R1, 0, asm.Word),
		jump(asm.JNE.Imm(asm.R1, 6, "x"), 2).WithSource(asm.Comment("second")), asm.Mov.Imm(asm.R0, 1), asm.Return(),
		asm.Return(),
	})
	if len(got) != 4 || got[1].Source() != nil || fmt.Sprint(got[2].Source()) != "second" || got[3].Source() != nil {
		t.Errorf("got %v", got)
	}
}

// TestFoldAsTheKernel loads programs folded and as they are: the kernel, which also takes out
// what cannot run, must be left with the same instructions.
func TestFoldAsTheKernel(t *testing.T) {
	if _, err := linked(); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() != 0 {
		if os.Getenv("REQUIRE_KERNEL") != "" {
			t.Fatal("needs root")
		}
		t.Skip("needs root")
	}
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
	spec, prog, err := specOf(p, 1)
	if err != nil {
		t.Fatal(err)
	}
	known := constantsOf(spec)
	known.embed = false // what the kernel does not do
	if !fold {
		known = nil
	}
	if prog.Instructions, err = fillInline(prog.Instructions, p.Insns, known); err != nil {
		t.Fatal(err)
	}
	st, err := states([]codegen.Program{*p})
	if err != nil {
		t.Fatal(err)
	}
	given, err := maps.New(spec.Maps, st)
	if err != nil {
		t.Fatal(err)
	}
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
		if !jumps(ins) {
			out = append(out, fmt.Sprint(ins.OpCode, ins.Dst, ins.Src, ins.Offset))
		}
	}
	return out, len(prog.Instructions)
}
