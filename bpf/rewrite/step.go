package rewrite

import (
	"encoding/binary"

	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
)

// word is what is known of a register.
type word struct {
	known bool
	in    string // the section that n is an offset in; "": n is the value itself
	n     uint64
}

func number(n uint64) word { return word{known: true, n: n} }

type registers [asm.RFP + 1]word

// meet keeps what both know, and says whether that is less than before.
func (r *registers) meet(other *registers) (less bool) {
	for i := range r {
		if r[i] != other[i] && r[i].known {
			r[i], less = word{}, true
		}
	}
	return less
}

// step runs an instruction that does not jump.
func (f *folder) step(ins *asm.Instruction, r *registers) {
	switch class := ins.OpCode.Class(); {
	case class.IsALU():
		r[ins.Dst] = compute(ins, r)
	case class == asm.LdXClass:
		r[ins.Dst] = f.read(ins, r[ins.Src])
	case class == asm.LdClass && ins.OpCode.IsDWordLoad():
		r[ins.Dst] = f.load(ins)
	case class == asm.StClass, class == asm.StXClass && ins.OpCode.Mode() == asm.MemMode:
	default: // calls, atomic operations, packet loads
		for i := range asm.R6 {
			r[i] = word{}
		}
		r[ins.Dst], r[ins.Src] = word{}, word{}
	}
}

// load is a wide load: of a number, or the address of a variable.
func (f *folder) load(ins *asm.Instruction) word {
	switch {
	case btf.CORERelocationMetadata(ins) != nil:
	case ins.Src == 0 && ins.Reference() == "":
		return number(uint64(ins.Constant))
	case ins.Src == asm.PseudoMapValue && f.sections[ins.Reference()] != nil:
		return word{known: true, in: ins.Reference(), n: uint64(ins.Constant) >> 32}
	}
	return word{}
}

// read is a load from memory.
func (f *folder) read(ins *asm.Instruction, from word) word {
	size := uint64(ins.OpCode.Size().Sizeof())
	at := from.n + uint64(int64(ins.Offset))
	data := f.sections[from.in]
	if !from.known || ins.OpCode.Mode() != asm.MemMode || at > uint64(len(data)) || size > uint64(len(data))-at {
		return word{}
	}
	var wide [8]byte
	copy(wide[:], data[at:at+size])
	return number(binary.LittleEndian.Uint64(wide[:]))
}

// operand is the second operand of an instruction.
func operand(ins *asm.Instruction, r *registers) word {
	if ins.OpCode.Source() == asm.RegSource {
		return r[ins.Src]
	}
	return number(uint64(ins.Constant))
}

// compute is what an arithmetic instruction gives.
func compute(ins *asm.Instruction, r *registers) word {
	a, b, op := r[ins.Dst], operand(ins, r), ins.OpCode.ALUOp()
	if ins.Offset != 0 || !b.known || btf.CORERelocationMetadata(ins) != nil {
		return word{}
	}
	narrow := ins.OpCode.Class() == asm.ALUClass
	if op == asm.Mov && !narrow {
		return b
	}
	if a.known && a.in != "" && b.in == "" && op == asm.Add && !narrow {
		a.n += b.n
		return a
	}
	if b.in != "" || op != asm.Mov && (!a.known || a.in != "") {
		return word{}
	}
	if narrow {
		a.n, b.n = uint64(uint32(a.n)), uint64(uint32(b.n))
	}
	n, ok := arithmetic(op, a.n, b.n, narrow)
	if !ok {
		return word{}
	}
	if narrow {
		n = uint64(uint32(n))
	}
	return number(n)
}

// arithmetic knows the operations that the datapath applies to its variables.
func arithmetic(op asm.ALUOp, a, b uint64, narrow bool) (n uint64, ok bool) {
	count := b & 63
	if narrow {
		count = b & 31
	}
	switch op {
	case asm.Mov:
		return b, true
	case asm.Add:
		return a + b, true
	case asm.Sub:
		return a - b, true
	case asm.And:
		return a & b, true
	case asm.Or:
		return a | b, true
	case asm.Xor:
		return a ^ b, true
	case asm.LSh:
		return a << count, true
	case asm.RSh:
		return a >> count, true
	}
	return 0, false
}

// decide says whether a jump is taken, if that is known.
func decide(ins *asm.Instruction, r *registers) (answer, known bool) {
	op := ins.OpCode.JumpOp()
	if op == asm.Ja {
		return true, true
	}
	a, b := r[ins.Dst], operand(ins, r)
	if !a.known || a.in != "" || !b.known || b.in != "" {
		return false, false
	}
	x, y := int64(a.n), int64(b.n)
	if ins.OpCode.Class() == asm.Jump32Class {
		x, y = int64(int32(x)), int64(int32(y)) // the order of unsigned numbers stays
	}
	switch op {
	case asm.JEq:
		return x == y, true
	case asm.JNE:
		return x != y, true
	case asm.JSet:
		return x&y != 0, true
	case asm.JGT:
		return uint64(x) > uint64(y), true
	case asm.JGE:
		return uint64(x) >= uint64(y), true
	case asm.JLT:
		return uint64(x) < uint64(y), true
	case asm.JLE:
		return uint64(x) <= uint64(y), true
	case asm.JSGT:
		return x > y, true
	case asm.JSGE:
		return x >= y, true
	case asm.JSLT:
		return x < y, true
	case asm.JSLE:
		return x <= y, true
	}
	return false, false
}
