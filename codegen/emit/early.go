package emit

import (
	"unsafe"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/cilium/ebpf/asm"
)

// Up is what a chain of the early stage returns when the hooks must judge the packet.
const Up = Result(abi.EarlyUp)

var earlyLayout abi.EarlyPacket

// The list of rules that a packet of the early stage has passed.
var (
	earlyCount = word(unsafe.Offsetof(earlyLayout.N))
	earlyIDs   = int32(unsafe.Offsetof(earlyLayout.Ids))
	earlyMax   = int32(len(earlyLayout.Ids))
	earlyCt    = word(unsafe.Offsetof(earlyLayout.Ct))
)

// Pass lists that the packet has passed a rule, which gets its credit if the packet is
// dropped; goes to full when there is no more room. Clobbers R1 and R2.
func (b *Builder) Pass(rule uint32, full Label) {
	b.loadRaw(regVal, earlyCount)
	b.branch(asm.JGE.Imm32(regVal, earlyMax, ""), full)
	b.add(asm.Mov.Reg(regTmp, regVal))
	b.add(asm.LSh.Imm(regTmp, 2))
	b.add(asm.Add.Reg(regTmp, regFacts))
	b.add(asm.StoreImm(regTmp, int16(earlyIDs), int64(rule), asm.Word))
	b.add(asm.Add.Imm32(regVal, 1))
	b.store(earlyCount)
}

// Ensure calls a function of the C part that makes facts good, and goes to up where it
// cannot.
func (b *Builder) Ensure(symbol string, arg uint32, up Label) {
	b.Call(symbol, arg)
	b.branch(asm.JNE.Imm32(asm.R0, 0, ""), up)
}

// EnsureState makes the conntrack state good for a question about some states, and goes to
// up where it cannot. tells says that the question tells NEW from INVALID. What an earlier
// question has found out is not asked again.
func (b *Builder) EnsureState(mask uint32, tells bool, up Label) {
	known := b.NewLabel()
	b.loadRaw(regVal, earlyCt)
	b.branch(asm.JEq.Imm32(regVal, abi.EarlyCtNew, ""), known)
	b.branch(asm.JEq.Imm32(regVal, abi.EarlyCtInvalid, ""), known)
	if !tells {
		b.branch(asm.JEq.Imm32(regVal, abi.EarlyCtUnsure, ""), known)
	}
	b.Ensure(abi.FuncEarlyCt, mask, up)
	b.Bind(known)
}
