package rewrite

import (
	"fmt"

	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
)

// inlineMost is up to how many generated instructions are put in the place of their call:
// the verifier walks them as a part of the program, and a jump over them has to be possible.
const inlineMost = 4096

// inline puts the body of a function in the place of its only call: a return costs more than
// a rule. The caller has given up all registers for the call.
func inline(caller, body asm.Instructions) (asm.Instructions, error) {
	at := -1
	for i := range caller {
		if caller[i].IsFunctionReference() && caller[i].Reference() == body[0].Symbol() {
			if at >= 0 {
				return nil, fmt.Errorf("the datapath calls %s twice", body[0].Symbol())
			}
			at = i
		}
	}
	if at < 0 {
		return nil, fmt.Errorf("the datapath does not call %s", body[0].Symbol())
	}
	in := inlined(body, caller[at])
	starts := offsets(caller)
	longer := offsets(in)[len(in)] - 1
	out := make(asm.Instructions, 0, len(caller)+len(in))
	for i, ins := range caller {
		if i == at {
			out = append(out, in...)
			continue
		}
		if i == at+1 && ins.Source() == nil { // not one of the body
			ins = ins.WithSource(caller[0].Source())
		}
		if jumps(ins) {
			to := starts[i+1] + int(ins.Offset)
			switch {
			case i < at && to > starts[at]:
				ins.Offset += int16(longer)
			case i > at && to <= starts[at]:
				ins.Offset -= int16(longer)
			}
		}
		out = append(out, ins)
	}
	return out, nil
}

// canInline says that a body is short and uses no stack, which would be the caller's.
func canInline(body asm.Instructions) bool {
	for i := range body {
		if body[i].Dst == asm.RFP || body[i].Src == asm.RFP {
			return false
		}
	}
	return len(body) <= inlineMost
}

// inlined is a body whose returns go to its end, with the source of its call.
func inlined(body asm.Instructions, call asm.Instruction) asm.Instructions {
	out := make(asm.Instructions, len(body))
	copy(out, body)
	out[0] = btf.WithFuncMetadata(out[0].WithSymbol(""), nil)
	if out[0].Source() == nil {
		out[0] = out[0].WithSource(call.Source())
	}
	starts := offsets(out)
	for i := range out {
		if out[i].OpCode.JumpOp() == asm.Exit {
			out[i].OpCode = asm.Ja.Label("").OpCode
			out[i].Offset = int16(starts[len(out)] - starts[i+1])
		}
	}
	return out
}

// jumps says that an instruction may go on elsewhere in its function.
func jumps(ins asm.Instruction) bool {
	op := ins.OpCode.JumpOp()
	return ins.OpCode.Class().IsJump() && op != asm.Call && op != asm.Exit
}

// offsets say where instructions, and the end, begin, in units of the kernel.
func offsets(insns asm.Instructions) []int {
	out := make([]int, len(insns)+1)
	for i, ins := range insns {
		out[i+1] = out[i] + int(ins.Size()/asm.InstructionSize)
	}
	return out
}
