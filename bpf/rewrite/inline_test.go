package rewrite

import (
	"testing"

	"github.com/cilium/ebpf/asm"
)

// TestInline wants jumps over the place of the call to be as much longer as the body is, and
// the body's returns to go to its end.
func TestInline(t *testing.T) {
	jump := func(offset int16) asm.Instruction {
		ins := asm.JEq.Imm(asm.R1, 0, "")
		ins.Offset = offset
		return ins
	}
	caller := asm.Instructions{
		jump(1), // over the call
		asm.Call.Label("chain"),
		jump(-3), // to the first
		jump(0),
		asm.Return(),
	}
	body := asm.Instructions{
		asm.LoadImm(asm.R0, 1, asm.DWord).WithSymbol("chain").WithSource(asm.Comment("chain")),
		asm.Return(),
		asm.Mov.Imm(asm.R0, 2),
		asm.Return(),
	}
	got, err := inline(caller, body)
	if err != nil {
		t.Fatal(err)
	}
	want := []int16{5, 0, 2, 0, 0, -7, 0, 0} // the wide load counts twice
	for i, offset := range want {
		if got[i].Offset != offset {
			t.Errorf("instruction %d: offset %d, want %d", i, got[i].Offset, offset)
		}
	}
	if len(got) != len(want) || got[1].Symbol() != "" || caller[0].Offset != 1 || body[0].Symbol() == "" {
		t.Errorf("%d instructions: %v", len(got), got)
	}
	if canInline(append(body, asm.StoreImm(asm.RFP, -8, 0, asm.Word))) {
		t.Error("a body that uses the stack was put into another function")
	}
}
