package rewrite

import (
	"fmt"
	"testing"

	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
)

// section is a variable of 4 bytes with the value 6, and one of a byte with the value 255.
var section = &Constants{sections: map[string][]byte{".rodata": {6, 0, 0, 0, 255}}}

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
		got := section.Fold(append(read, c.in...))
		if g, w := fmt.Sprintf("%v", got), fmt.Sprintf("%v", append(read, c.want...)); g != w {
			t.Errorf("%s: got\n%swant\n%s", name, g, w)
		}
	}
}

// TestEmbed makes loads of constants numbers.
func TestEmbed(t *testing.T) {
	known := &Constants{sections: map[string][]byte{".rodata": {6, 0, 0, 0, 255, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 0xf8}}, Embed: true}
	keep := func(r asm.Register) asm.Instruction { return asm.StoreMem(asm.RFP, -8, r, asm.DWord) }
	begin := asm.Mov.Reg(asm.R7, asm.R1)
	for name, c := range map[string]struct{ in, want asm.Instructions }{
		"the same register": {
			asm.Instructions{variable(asm.R1, 0), asm.LoadMem(asm.R1, asm.R1, 0, asm.Word), keep(asm.R1), asm.Return()},
			asm.Instructions{asm.Mov.Imm32(asm.R1, 6), keep(asm.R1), asm.Return()},
		},
		"another register": {
			asm.Instructions{variable(asm.R1, 0), asm.LoadMem(asm.R2, asm.R1, 4, asm.Byte), keep(asm.R2), asm.Return()},
			asm.Instructions{asm.Mov.Imm32(asm.R2, 255), keep(asm.R2), asm.Return()},
		},
		"the address is used again": {
			asm.Instructions{variable(asm.R1, 0), asm.LoadMem(asm.R2, asm.R1, 4, asm.Byte), keep(asm.R2), keep(asm.R1), asm.Return()},
			asm.Instructions{variable(asm.R1, 0), asm.Mov.Imm32(asm.R2, 255), keep(asm.R2), keep(asm.R1), asm.Return()},
		},
		"an argument of a call": {
			asm.Instructions{variable(asm.R5, 0), asm.LoadMem(asm.R6, asm.R5, 4, asm.Byte), asm.FnGetPrandomU32.Call(), asm.Return()},
			asm.Instructions{variable(asm.R5, 0), asm.FnGetPrandomU32.Call(), asm.Return()},
		},
		"what is computed of it": {
			asm.Instructions{
				variable(asm.R1, 0), asm.LoadMem(asm.R2, asm.R1, 0, asm.Word), asm.And.Imm(asm.R2, 8),
				jump(asm.JEq.Imm(asm.R2, 0, "x"), 1), keep(asm.R2), asm.Mov.Imm(asm.R0, 1), asm.Return(),
			},
			asm.Instructions{asm.Mov.Imm(asm.R0, 1), asm.Return()},
		},
		"a jump between": {
			asm.Instructions{
				jump(asm.JEq.Imm(asm.R6, 1, "x"), 2), variable(asm.R1, 4), asm.LoadMem(asm.R1, asm.R1, 0, asm.Word), keep(asm.R1), asm.Return(),
			},
			asm.Instructions{
				jump(asm.JEq.Imm(asm.R6, 1, "x"), 2), variable(asm.R1, 4), asm.LoadMem(asm.R1, asm.R1, 0, asm.Word), keep(asm.R1), asm.Return(),
			},
		},
		"a wide number, and a jump over it": {
			asm.Instructions{
				jump(asm.JEq.Imm(asm.R6, 1, "x"), 3), variable(asm.R0, 8), asm.LoadMem(asm.R0, asm.R0, 0, asm.DWord), asm.Return(),
			},
			asm.Instructions{jump(asm.JEq.Imm(asm.R6, 1, "x"), 2), asm.LoadImm(asm.R0, -0x7f8f9fafbfcfdff, asm.DWord), asm.Return()},
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
		"only in a loop": { // read at its beginning, written at its end
			asm.Instructions{
				asm.Mov.Imm(asm.R3, 0), keep(asm.R3), asm.Mov.Imm(asm.R4, 2), asm.Add.Imm(asm.R3, 1),
				jump(asm.JLT.Reg(asm.R8, asm.R6, "x"), -4), asm.Return(),
			},
			asm.Instructions{
				asm.Mov.Imm(asm.R3, 0), keep(asm.R3), asm.Add.Imm(asm.R3, 1),
				jump(asm.JLT.Reg(asm.R8, asm.R6, "x"), -3), asm.Return(),
			},
		},
	} {
		in, want := append(asm.Instructions{begin}, c.in...), append(asm.Instructions{begin}, c.want...)
		if g, w := fmt.Sprintf("%v", known.Fold(in)), fmt.Sprintf("%v", want); g != w {
			t.Errorf("%s: got\n%swant\n%s", name, g, w)
		}
	}
}

// TestFoldKeepsSources gives what follows the line of what was taken out.
func TestFoldKeepsSources(t *testing.T) {
	got := section.Fold(asm.Instructions{
		variable(asm.R1, 0).WithSource(asm.Comment("first")), asm.LoadMem(asm.R1, asm.R1, 0, asm.Word),
		jump(asm.JNE.Imm(asm.R1, 6, "x"), 2).WithSource(asm.Comment("second")), asm.Mov.Imm(asm.R0, 1), asm.Return(),
		asm.Return(),
	})
	if len(got) != 4 || got[1].Source() != nil || fmt.Sprint(got[2].Source()) != "second" || got[3].Source() != nil {
		t.Errorf("got %v", got)
	}
}

// TestUntype takes types and lines from a single function; with another one, which the kernel
// must know the type of, it takes none.
func TestUntype(t *testing.T) {
	first := func(name string) asm.Instruction {
		ins := asm.Mov.Imm(asm.R0, 1).WithSymbol(name).WithSource(asm.Comment(name))
		return btf.WithFuncMetadata(ins, &btf.Func{Name: name})
	}
	single := asm.Instructions{first("one"), asm.Return()}
	Untype(single)
	if btf.FuncMetadata(&single[0]) != nil || single[0].Source() != nil || single[0].Symbol() != "one" {
		t.Errorf("left of a single function: %v", single)
	}
	two := asm.Instructions{first("one"), asm.Return(), first("two"), asm.Return()}
	Untype(two)
	for _, i := range []int{0, 2} {
		if btf.FuncMetadata(&two[i]) == nil || two[i].Source() == nil {
			t.Errorf("instruction %d of two functions lost its type", i)
		}
	}
}
