package emit

import (
	"fmt"
	"math/bits"
	"unsafe"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/cilium/ebpf/asm"
)

// Call calls a generated function or one of the C part with the context, the facts
// and, if given, one argument. Clobbers R1 to R5; the result is in R0.
func (b *Builder) Call(symbol string, arg ...uint32) {
	b.add(asm.Mov.Reg(asm.R1, regCtx))
	b.add(asm.Mov.Reg(asm.R2, regFacts))
	for _, a := range arg {
		b.add(asm.Mov.Imm32(asm.R3, int32(a)))
	}
	b.add(asm.Call.Label(symbol))
}

// CallAnswer calls a predicate of the C part and branches on its answer.
func (b *Builder) CallAnswer(symbol string, arg uint32, no, hot Label) {
	b.Call(symbol, arg)
	b.branch(asm.JEq.Imm32(asm.R0, 0, ""), no)
	b.branch(asm.JEq.Imm32(asm.R0, 2, ""), hot)
}

// ReturnUnless ends the function with the result of the last call unless it is r.
func (b *Builder) ReturnUnless(r Result) {
	same := b.NewLabel()
	b.branch(asm.JEq.Imm32(asm.R0, int32(r), ""), same)
	b.add(asm.Return())
	b.Bind(same)
}

// ReturnResult ends the function with the result of the last call.
func (b *Builder) ReturnResult() { b.add(asm.Return()) }

// JumpIfResult goes to a label when the last call gave r.
func (b *Builder) JumpIfResult(r Result, to Label) {
	b.branch(asm.JEq.Imm32(asm.R0, int32(r), ""), to)
}

// Decide records the rule and ends the traversal. The C part counts the rule.
func (b *Builder) Decide(rule uint32, r Result) {
	b.add(asm.StoreImm(regFacts, cellRule.off, int64(rule), asm.Word))
	b.Return(r)
}

// Count adds the packet to the counters of a rule. The number of the rule takes a
// way through memory, where the verifier does not follow it: otherwise it would
// tell apart the states before and after every rule. Atomic is for hooks that
// another packet can interrupt on the same CPU.
func (b *Builder) Count(rule uint32, atomic bool) {
	b.add(asm.StoreImm(regFacts, cellRule.off, int64(rule), asm.Word))
	b.add(asm.LoadMem(regVal, regFacts, cellRule.off, asm.Word))
	b.add(asm.RSh.Imm(regVal, int32(bits.TrailingZeros32(abi.CounterBlock))))
	b.add(asm.StoreMem(regFacts, cellKey.off, regVal, asm.Word))
	b.add(asm.LoadMapPtr(asm.R1, 0).WithReference(abi.MapCounters))
	b.add(asm.Mov.Reg(asm.R2, regFacts))
	b.add(asm.Add.Imm(asm.R2, int32(cellKey.off)))
	b.add(asm.FnMapLookupElem.Call())
	missing := b.NewLabel()
	b.branch(asm.JEq.Imm(asm.R0, 0, ""), missing)
	at := int16(uintptr(rule%abi.CounterBlock) * unsafe.Sizeof(counter))
	b.addTo(at+int16(unsafe.Offsetof(counter.Packets)), func() { b.add(asm.Mov.Imm(regVal, 1)) }, atomic)
	b.addTo(at+int16(unsafe.Offsetof(counter.Bytes)), func() { b.loadRaw(regVal, cellLen) }, atomic)
	b.Bind(missing)
}

var counter abi.Counter // for its layout

// addTo adds the number that load puts into regVal to a counter at R0 + off.
func (b *Builder) addTo(off int16, load func(), atomic bool) {
	load()
	if atomic {
		b.add(asm.AddAtomic.Mem(asm.R0, regVal, asm.DWord, off))
		return
	}
	b.add(asm.LoadMem(regTmp, asm.R0, off, asm.DWord))
	b.add(asm.Add.Reg(regTmp, regVal))
	b.add(asm.StoreMem(asm.R0, off, regTmp, asm.DWord))
}

// Text is a source text for verifier messages.
type Text struct{ Pos, Rule string }

// String is "position: rule".
func (t Text) String() string { return fmt.Sprintf("%s: %s", t.Pos, t.Rule) }

// The two numbers that -m u32 works with live in the facts, too (cellWord, cellBase): the
// word that was read and the base from which offsets count. Generated code has no stack of its
// own, as it may become a part of another function.

// maxOffset is beyond any packet; offsets are compared with it before they wrap.
const maxOffset = 0x7fffffff

// U32Start sets the base to the IP header.
func (b *Builder) U32Start() {
	b.add(asm.StoreImm(regFacts, cellBase.off, 0, asm.Word))
}

// U32Load reads the word at base + off by a call of the C part, or goes to no
// when it is not there.
func (b *Builder) U32Load(off uint32, no Label) {
	b.add(asm.LoadMem(asm.R3, regFacts, cellBase.off, asm.Word))
	b.add(asm.Mov.Imm32(asm.R1, int32(off)))
	b.add(asm.Add.Reg(asm.R3, asm.R1))
	b.branch(asm.JGT.Imm(asm.R3, maxOffset, ""), no)
	b.add(asm.Mov.Reg(asm.R1, regCtx))
	b.add(asm.Mov.Reg(asm.R2, regFacts))
	b.add(asm.Call.Label(abi.FuncLoadBE32))
	b.branch(asm.JSLT.Imm(asm.R0, 0, ""), no)
	b.add(asm.StoreMem(regFacts, cellWord.off, asm.R0, asm.Word))
}

// U32Op applies '&', '<' or '>' to the word. Shifts count modulo 32, as the
// processor does in u32_match_it() of net/netfilter/xt_u32.c.
func (b *Builder) U32Op(op byte, arg uint32) {
	b.add(asm.LoadMem(regVal, regFacts, cellWord.off, asm.Word))
	switch op {
	case '&':
		b.add(asm.And.Imm32(regVal, int32(arg)))
	case '<':
		b.add(asm.LSh.Imm32(regVal, int32(arg&31)))
	default:
		b.add(asm.RSh.Imm32(regVal, int32(arg&31)))
	}
	b.add(asm.StoreMem(regFacts, cellWord.off, regVal, asm.Word))
}

// U32Advance adds the word to the base ('@'), or goes to no when it wraps.
func (b *Builder) U32Advance(no Label) {
	b.add(asm.LoadMem(regVal, regFacts, cellWord.off, asm.Word))
	b.add(asm.LoadMem(regTmp, regFacts, cellBase.off, asm.Word))
	b.add(asm.Add.Reg(regTmp, regVal))
	b.branch(asm.JGT.Imm(regTmp, maxOffset, ""), no)
	b.add(asm.StoreMem(regFacts, cellBase.off, regTmp, asm.Word))
}

// U32InRange asks whether the word lies in a range.
func (b *Builder) U32InRange(lo, hi uint32, no Label) {
	b.add(asm.LoadMem(regVal, regFacts, cellWord.off, asm.Word))
	b.inRange(^uint32(0), ^uint32(0), lo, hi, no)
}
