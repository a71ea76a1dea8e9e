package rewrite

import "github.com/cilium/ebpf/asm"

// Where loads of constants became numbers, the address that they were loaded from, and what
// was computed to decide a jump that is no more, stay behind: the verifier would walk them,
// and the map of the constants would have to be made. What computes a register that nothing
// reads afterwards is taken out, too.

// live is a set of registers.
type live uint16

func one(r asm.Register) live { return 1 << r }

// arguments are the registers of a call; a helper may read fewer.
const arguments = live(1<<asm.R1 | 1<<asm.R2 | 1<<asm.R3 | 1<<asm.R4 | 1<<asm.R5)

// uses gives the registers that an instruction reads and those that it writes.
func uses(ins *asm.Instruction) (reads, writes live) {
	class, dst, src := ins.OpCode.Class(), one(ins.Dst), live(0)
	switch {
	case class.IsALU():
		if ins.OpCode.Source() == asm.RegSource {
			src = one(ins.Src)
		}
		if op := ins.OpCode.ALUOp(); op != asm.Mov {
			src |= dst
		}
		return src, dst
	case class == asm.LdXClass:
		return one(ins.Src), dst
	case class == asm.LdClass && ins.OpCode.IsDWordLoad():
		return 0, dst
	case class == asm.StClass:
		return dst, 0
	case class == asm.StXClass: // an atomic one may read R0 and write registers
		return dst | one(ins.Src) | one(asm.R0), 0
	case ins.OpCode.JumpOp() == asm.Exit:
		return one(asm.R0), 0
	case ins.OpCode.JumpOp() == asm.Call:
		return arguments, arguments | one(asm.R0)
	case class.IsJump():
		if ins.OpCode.Source() == asm.RegSource {
			src = one(ins.Src)
		}
		return dst | src, 0
	}
	return ^live(0), 0
}

// pure says whether an instruction does nothing but compute its destination.
func pure(ins *asm.Instruction) bool {
	class := ins.OpCode.Class()
	return class.IsALU() || class == asm.LdClass && ins.OpCode.IsDWordLoad()
}

// dropUnread takes out of what is reached what computes registers that nothing reads.
func (f *folder) dropUnread() {
	before := make([]live, len(f.insns))
	for changed := true; changed; {
		changed = false
		for i := len(f.insns) - 1; i >= 0; i-- {
			if !f.reached[i] {
				continue
			}
			now := f.needs(i, f.after(i, before))
			changed = changed || now != before[i]
			before[i] = now
		}
	}
	for i := 1; i < len(f.insns); i++ {
		if f.reached[i] && f.unread(i, f.after(i, before)) {
			f.reached[i] = false
		}
	}
}

// needs gives what is read from an instruction on, of what is read after it.
func (f *folder) needs(i int, after live) live {
	if f.unread(i, after) {
		return after
	}
	if t := f.taken[i]; t.yes != t.not {
		return after // a jump that always or never is taken
	}
	reads, writes := uses(&f.insns[i])
	return after&^writes | reads
}

// unread says whether nothing reads what an instruction computes. Names stay.
func (f *folder) unread(i int, after live) bool {
	ins := &f.insns[i]
	return i > 0 && pure(ins) && ins.Symbol() == "" && after&one(ins.Dst) == 0
}

// after gives what is read after an instruction.
func (f *folder) after(i int, before []live) (out live) {
	ins := &f.insns[i]
	if ins.OpCode.JumpOp() == asm.Exit {
		return 0
	}
	to, jump := f.targets[i]
	if jump && f.taken[i].yes {
		out |= before[to]
	}
	if !jump || f.taken[i].not {
		out |= f.next(i, before)
	}
	return out
}

// next gives what is read by what follows an instruction in the text.
func (f *folder) next(i int, before []live) live {
	for i++; i < len(f.insns); i++ {
		if f.reached[i] {
			return before[i]
		}
	}
	return 0
}
