package rewrite

import (
	"fmt"
	"slices"

	"github.com/cilium/ebpf/asm"
)

// The datapath asks many things of read-only variables that are set before it is loaded:
// what no rule needs is never run. The verifier finds that out, too, and takes it out; but
// most of the C object is of that kind for most rulesets, and checking it costs more than
// everything else that a small ruleset is loaded for. So it is taken out before:
//
//	r1 = needs ll          known: the address of a variable
//	r1 = *(u32 *)(r1 + 0)  known: its value
//	r1 &= 4                known
//	if r1 == 0 goto ...    always or never
//
// Registers are followed along the branches that can be taken, from what is known at the
// beginning of a function: nothing. Values that are kept on the stack are not known.
//
// What is left of such variables is read once for every packet: such loads become numbers,
// and what computed their addresses goes (live.go).

// folder follows the registers of one function.
type folder struct {
	*Constants
	insns   asm.Instructions
	landing []bool           // instructions that jumps lead to
	loads   map[int]word     // what loads give
	targets map[int]int      // of jumps, by their index
	states  []*registers     // before the instructions that jumps lead to
	reached []bool           // instructions
	taken   map[int]branches // of jumps
	work    []int            // instructions with states that are to be followed
}

// branches says which ways of a jump can be gone.
type branches struct{ yes, not bool }

// Fold gives the part of a function of the C object that can run.
func (c *Constants) Fold(insns asm.Instructions) asm.Instructions {
	f := &folder{
		Constants: c, insns: insns, taken: map[int]branches{}, landing: make([]bool, len(insns)), loads: map[int]word{},
		states: make([]*registers, len(insns)), reached: make([]bool, len(insns)),
	}
	if f.targets = jumpIndexes(insns); f.targets == nil {
		return insns
	}
	for _, to := range f.targets {
		f.landing[to] = true
	}
	f.flow(0, new(registers))
	for len(f.work) > 0 {
		i := f.work[len(f.work)-1]
		f.work = f.work[:len(f.work)-1]
		r := *f.states[i]
		f.follow(i, &r)
	}
	return f.rest()
}

// jumpIndexes are the indexes that jumps lead to; nil where a jump is not understood.
func jumpIndexes(insns asm.Instructions) map[int]int {
	starts := offsets(insns)
	at := make(map[int]int, len(insns))
	for i, p := range starts[:len(insns)] {
		at[p] = i
	}
	out := map[int]int{}
	for i := range insns {
		if !jumps(insns[i]) {
			continue
		}
		to, ok := at[starts[i+1]+int(insns[i].Offset)]
		long := insns[i].OpCode.Class() == asm.Jump32Class && insns[i].OpCode.JumpOp() == asm.Ja
		if !ok || long || insns[i].Reference() != "" {
			return nil
		}
		out[i] = to
	}
	return out
}

// flow brings registers to an instruction.
func (f *folder) flow(to int, r *registers) {
	if f.states[to] == nil {
		state := *r
		f.states[to] = &state
	} else if !f.states[to].meet(r) {
		return
	}
	f.work = append(f.work, to)
}

// follow walks on from an instruction to the next landing.
func (f *folder) follow(i int, r *registers) {
	for begin := i; i < len(f.insns); i++ {
		if f.landing[i] && i != begin {
			f.flow(i, r)
			return
		}
		f.reached[i] = true
		ins := &f.insns[i]
		if ins.OpCode.JumpOp() == asm.Exit {
			return
		}
		if to, ok := f.targets[i]; ok {
			answer, known := decide(ins, r)
			t := f.taken[i]
			f.taken[i] = branches{yes: t.yes || !known || answer, not: t.not || !known || !answer}
			if !known || answer {
				f.flow(to, r)
			}
			if known && answer {
				return
			}
			continue
		}
		f.step(ins, r)
		if ins.OpCode.Class() == asm.LdXClass {
			f.loads[i] = r[ins.Dst] // in the end, with the least that is known before it
		}
	}
}

// embedAll puts numbers where constants are loaded.
func (f *folder) embedAll() {
	if !f.Embed {
		return
	}
	f.insns = slices.Clone(f.insns)
	for i := range f.insns {
		with, ok := f.embedded(i)
		if !ok {
			continue
		}
		f.insns[i] = with
	}
	f.dropUnread()
}

// embedded is the instruction that loads what a load of a constant gives.
func (f *folder) embedded(i int) (asm.Instruction, bool) {
	w := f.loads[i]
	if !w.known || w.in != "" {
		return asm.Instruction{}, false
	}
	ins := f.insns[i]
	with := asm.Mov.Imm32(ins.Dst, int32(w.n)) // the upper half becomes 0
	if w.n>>32 != 0 {
		with = asm.LoadImm(ins.Dst, int64(w.n), asm.DWord)
	}
	with.Metadata = ins.Metadata
	return with, true
}

// rest is what was reached. The source of a line that was taken out goes to what follows
// it.
func (f *folder) rest() asm.Instructions {
	starts := make([]int, len(f.insns)+1) // in what is kept
	n := 0
	f.embedAll()
	for i := range f.insns {
		starts[i+1] = starts[i]
		if f.needed(i) {
			starts[i+1] += int(f.insns[i].Size() / asm.InstructionSize)
			n++
		}
	}
	out := make(asm.Instructions, 0, n)
	var source fmt.Stringer
	for i, ins := range f.insns {
		if s := ins.Source(); s != nil {
			source = s
		}
		if !f.needed(i) {
			continue
		}
		if ins.Source() == nil && source != nil {
			ins = ins.WithSource(source)
		}
		source = nil
		if to, ok := f.targets[i]; ok {
			if !f.taken[i].not {
				ins.OpCode, ins.Dst, ins.Src, ins.Constant = always, 0, 0, 0
			}
			ins.Offset = int16(starts[to] - starts[i+1])
		}
		out = append(out, ins)
	}
	return out
}

// always is a jump without a condition.
var always = asm.Ja.Label("").OpCode

// needed says whether an instruction is kept: it was reached, and is no jump that is never
// taken, or always to what follows.
func (f *folder) needed(i int) bool {
	to, jump := f.targets[i]
	if !jump || i == 0 || !f.reached[i] {
		return f.reached[i]
	}
	if t := f.taken[i]; !t.yes || t.not {
		return t.yes
	}
	return to <= i || slices.Contains(f.reached[i+1:to], true)
}
