package rewrite_test

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"

	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/bpftables/bpftables/bpf/rewrite"
)

// machine runs instructions without a kernel. What it cannot know (packets, maps, helpers) is
// drawn: the nth question gets the nth number of a seed, whoever asks. Two programs that do the
// same thus store the same, call the same and return the same.
type machine struct {
	known  *rewrite.Constants
	insns  asm.Instructions
	starts map[string]int // of functions
	labels map[string]int
	at     map[int]int // instructions by their place in units of the kernel
	places []int

	regs   [11]uint64
	frames []frame
	drawn  uint64
	seed   uint64
	events []string
}

type frame struct {
	back int
	kept [5]uint64 // R6 to R10; all stacks lie at the same place, as one frame may be missing
}

func newMachine(insns asm.Instructions, known *rewrite.Constants, seed uint64) *machine {
	m := &machine{known: known, insns: insns, seed: seed, starts: map[string]int{}, labels: map[string]int{}, at: map[int]int{}}
	place := 0
	for i := range insns {
		if name := insns[i].Symbol(); name != "" {
			m.labels[name] = i
			if btf.FuncMetadata(&insns[i]) != nil {
				m.starts[name] = i
			}
		}
		m.at[place] = i
		m.places = append(m.places, place)
		place += int(insns[i].Size() / asm.InstructionSize)
	}
	m.places = append(m.places, place)
	m.regs[asm.R1], m.regs[asm.RFP] = 1<<40, 1<<41
	return m
}

func digest(parts ...any) uint64 {
	h := fnv.New64a()
	fmt.Fprint(h, parts...)
	return h.Sum64()
}

// draw gives a number that is often small: programs ask for zero, bits and protocols.
func (m *machine) draw() uint64 {
	m.drawn++
	n := digest(m.seed, " ", m.drawn)
	switch n >> 60 {
	case 0, 1, 2, 3:
		return n & 1
	case 4, 5, 6, 7, 8, 9:
		return n & 15
	}
	return n >> 8
}

// run runs up to some steps and says whether the program has ended.
func (m *machine) run(steps int) (ended bool, err error) {
	for i := 0; steps > 0; steps-- {
		if i >= len(m.insns) {
			return false, fmt.Errorf("runs out of the program")
		}
		ins := &m.insns[i]
		op := ins.OpCode.JumpOp()
		switch {
		case !ins.OpCode.Class().IsJump():
			m.step(ins)
			i++
		case op == asm.Exit:
			if len(m.frames) == 0 {
				m.event("exit", uint32(m.regs[0]))
				return true, nil
			}
			f := m.frames[len(m.frames)-1]
			m.frames = m.frames[:len(m.frames)-1]
			copy(m.regs[asm.R6:], f.kept[:])
			i = f.back
		case op == asm.Call:
			i = m.call(i, ins)
		case m.jumps(ins):
			var ok bool
			if i, ok = m.target(i, ins); !ok {
				return false, fmt.Errorf("%v leads nowhere", ins)
			}
		default:
			i++
		}
	}
	return false, nil
}

func (m *machine) event(parts ...any) { m.events = append(m.events, fmt.Sprintln(parts...)) }

func (m *machine) target(i int, ins *asm.Instruction) (int, bool) {
	if name := ins.Reference(); name != "" {
		to, ok := m.labels[name]
		return to, ok
	}
	to, ok := m.at[m.places[i+1]+int(ins.Offset)]
	return to, ok
}

func (m *machine) call(i int, ins *asm.Instruction) int {
	to, ours := m.starts[ins.Reference()]
	if !ins.IsFunctionReference() || !ours {
		m.event("call", ins.Constant, ins.Reference())
		m.regs[0] = m.draw()
		return i + 1
	}
	f := frame{back: i + 1}
	copy(f.kept[:], m.regs[asm.R6:])
	m.frames = append(m.frames, f)
	return to
}

func (m *machine) operand(ins *asm.Instruction) uint64 {
	if ins.OpCode.Source() == asm.RegSource {
		return m.regs[ins.Src]
	}
	return uint64(ins.Constant)
}

func (m *machine) jumps(ins *asm.Instruction) bool {
	a, b := m.regs[ins.Dst], m.operand(ins)
	x, y := int64(a), int64(b)
	if ins.OpCode.Class() == asm.Jump32Class {
		a, b, x, y = uint64(uint32(a)), uint64(uint32(b)), int64(int32(a)), int64(int32(b))
	}
	switch ins.OpCode.JumpOp() {
	case asm.Ja:
		return true
	case asm.JEq:
		return a == b
	case asm.JNE:
		return a != b
	case asm.JSet:
		return a&b != 0
	case asm.JGT:
		return a > b
	case asm.JGE:
		return a >= b
	case asm.JLT:
		return a < b
	case asm.JLE:
		return a <= b
	case asm.JSGT:
		return x > y
	case asm.JSGE:
		return x >= y
	case asm.JSLT:
		return x < y
	case asm.JSLE:
		return x <= y
	}
	return m.draw()&1 != 0 // the budget for loops
}

func (m *machine) step(ins *asm.Instruction) {
	switch class := ins.OpCode.Class(); {
	case class.IsALU():
		m.regs[ins.Dst] = m.compute(ins)
	case class == asm.LdXClass:
		m.regs[ins.Dst] = m.load(m.regs[ins.Src]+uint64(int64(ins.Offset)), ins.OpCode.Size().Sizeof())
	case class == asm.LdClass && ins.Src == asm.PseudoMapValue:
		m.regs[ins.Dst] = base(ins.Reference()) + uint64(ins.Constant)>>32
	case class == asm.LdClass && ins.Reference() != "":
		m.regs[ins.Dst] = digest(ins.Reference())
	case class == asm.LdClass:
		m.regs[ins.Dst] = uint64(ins.Constant)
	case class == asm.StClass:
		m.event("store", ins.OpCode, m.regs[ins.Dst]+uint64(int64(ins.Offset)), ins.Constant)
	default:
		m.event("store", ins.OpCode, m.regs[ins.Dst]+uint64(int64(ins.Offset)), m.regs[ins.Src])
		if ins.OpCode.Mode() != asm.MemMode { // atomic, which may give the old value
			m.regs[ins.Src] = m.draw()
		}
	}
}

// base is where a section lies; sections are far from each other and from all else.
func base(section string) uint64 { return digest(section)>>32<<24 | 1<<62 }

func (m *machine) load(from uint64, size int) uint64 {
	for _, name := range []string{".rodata", ".rodata.str1.1"} {
		data, begin := m.known.Section(name), base(name)
		if from >= begin && from+uint64(size) <= begin+uint64(len(data)) {
			var wide [8]byte
			copy(wide[:], data[from-begin:][:size])
			return binary.LittleEndian.Uint64(wide[:])
		}
	}
	return m.draw() & (1<<(8*size-1)<<1 - 1)
}

// compute does what passes know; of the rest it only matters that it depends on the operands.
func (m *machine) compute(ins *asm.Instruction) uint64 {
	a, b, narrow := m.regs[ins.Dst], m.operand(ins), ins.OpCode.Class() == asm.ALUClass
	count := b & 63
	if narrow {
		a, b, count = uint64(uint32(a)), uint64(uint32(b)), b&31
	}
	op := ins.OpCode.ALUOp()
	n := digest(ins.OpCode, " ", ins.Offset, " ", a, " ", b)
	switch {
	case op == asm.Swap:
		n = digest(ins.OpCode, " ", ins.Constant, " ", m.regs[ins.Dst])
	case ins.Offset != 0: // moves with a sign, divisions
	case op == asm.Mov:
		n = b
	case op == asm.Add:
		n = a + b
	case op == asm.Sub:
		n = a - b
	case op == asm.And:
		n = a & b
	case op == asm.Or:
		n = a | b
	case op == asm.Xor:
		n = a ^ b
	case op == asm.LSh:
		n = a << count
	case op == asm.RSh:
		n = a >> count
	}
	if narrow {
		n = uint64(uint32(n))
	}
	return n
}
