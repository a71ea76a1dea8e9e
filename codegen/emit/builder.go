// Package emit writes the instructions of one generated function. It is the only
// package that spells registers, labels, stack slots and offsets of struct facts.
//
// In: calls of the Builder, from package codegen. Out: instructions whose jumps are
// resolved, with the function's symbol on the first one. A function gets the
// context in R1 and the facts in R2 and keeps them:
//
//	regFacts (R6)  struct facts *     regCtx (R7)  struct bpf_nf_ctx *
//	regVal (R1)    the value at hand  regTmp (R2)  a second one
//
// Values are loaded from the facts for every comparison: the verifier then has
// nothing to track between rules, which keeps long functions linear.
package emit

import (
	"fmt"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/cilium/ebpf/asm"
)

const (
	regFacts = asm.R6
	regCtx   = asm.R7
	regVal   = asm.R1
	regTmp   = asm.R2
)

// Result is what a generated function returns.
type Result int32

// The results; struct facts has the rule for Accept and Drop.
const (
	Continue = Result(abi.Continue) // end of a user chain, or RETURN
	Accept   = Result(abi.Accept)
	Drop     = Result(abi.Drop)
	Hotdrop  = Result(abi.Hotdrop)
	NextPart = Hotdrop + 1 // a part fell off its end: go on with the next part of the chain
)

// Label is a point of the function that jumps refer to.
type Label int

// Builder collects the instructions of one function.
type Builder struct {
	ins   asm.Instructions
	bound []int // instruction index by label; -1: not yet
	refs  []ref
	src   fmt.Stringer
}

type ref struct {
	at int
	to Label
}

// New starts a function: it saves its arguments and refuses a nil facts pointer,
// which the verifier thinks possible.
func New(symbol string) *Builder {
	b := &Builder{}
	b.add(asm.Mov.Reg(regFacts, asm.R2))
	b.ins[0] = b.ins[0].WithSymbol(symbol).WithSource(asm.Comment(symbol))
	b.add(asm.Mov.Reg(regCtx, asm.R1))
	ok := b.NewLabel()
	b.branch(asm.JNE.Imm(regFacts, 0, ""), ok)
	b.Return(Hotdrop)
	b.Bind(ok)
	return b
}

// Source names what the next instruction stands for; the verifier's messages show it.
func (b *Builder) Source(s fmt.Stringer) { b.src = s }

func (b *Builder) add(i asm.Instruction) {
	if b.src != nil {
		i = i.WithSource(b.src)
		b.src = nil
	}
	b.ins = append(b.ins, i)
}

// NewLabel makes a label; Bind must be called with it once.
func (b *Builder) NewLabel() Label {
	b.bound = append(b.bound, -1)
	return Label(len(b.bound) - 1)
}

// Bind puts a label before the next instruction.
func (b *Builder) Bind(l Label) { b.bound[l] = len(b.ins) }

func (b *Builder) branch(i asm.Instruction, to Label) {
	b.refs = append(b.refs, ref{len(b.ins), to})
	b.add(i)
}

// Jump goes to a label.
func (b *Builder) Jump(to Label) { b.branch(asm.Ja.Label(""), to) }

// Return ends the function with a result.
func (b *Builder) Return(r Result) {
	b.add(asm.Mov.Imm(asm.R0, int32(r)))
	b.add(asm.Return())
}

// Finish resolves the jumps and gives the instructions. Those that nothing reaches
// are left out: behind an unconditional verdict, say. The verifier refuses them.
func (b *Builder) Finish() (asm.Instructions, error) {
	target := make(map[int]int, len(b.refs)) // instruction index by that of the jump
	for _, r := range b.refs {
		if b.bound[r.to] < 0 {
			return nil, fmt.Errorf("label %d is not placed", r.to)
		}
		target[r.at] = b.bound[r.to]
	}
	live := b.reachable(target)
	offset := make([]int, len(b.ins)+1)
	for i, ins := range b.ins {
		offset[i+1] = offset[i]
		if live[i] {
			offset[i+1] += int(ins.Size() / asm.InstructionSize)
		}
	}
	out := make(asm.Instructions, 0, len(b.ins))
	for i, ins := range b.ins {
		if !live[i] {
			continue
		}
		if to, jumps := target[i]; jumps {
			delta := offset[to] - offset[i+1]
			if delta > maxJump {
				return nil, fmt.Errorf("a jump over %d instructions is longer than BPF allows", delta)
			}
			ins.Offset = int16(delta)
			ins = ins.WithReference("")
		}
		out = append(out, ins)
	}
	return out, nil
}

// maxJump is how far a jump can go; generated code only jumps forward.
const maxJump = 32767

// reachable marks the instructions that can be reached from the first. Jumps only
// go forward, so one pass is enough.
func (b *Builder) reachable(target map[int]int) []bool {
	live := make([]bool, len(b.ins)+1)
	live[0] = true
	for i, ins := range b.ins {
		if !live[i] {
			continue
		}
		to, jumps := target[i]
		if jumps {
			live[to] = true
		}
		op := ins.OpCode.JumpOp()
		if op != asm.Exit && !(jumps && op == asm.Ja) {
			live[i+1] = true
		}
	}
	return live
}
