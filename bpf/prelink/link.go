package prelink

import (
	"errors"
	"fmt"
	"io/fs"
	"sort"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
)

// Object resolves the programs of spec in place. file is where the answers are kept,
// object the bytes that spec was read from, types the kernel's types, which are read
// only when the file does not have the answers.
func Object(spec *ebpf.CollectionSpec, file string, object []byte, types *btf.Cache) {
	key, ok := keyOf(object)
	if ok && link(spec, read(file, key)) == nil {
		return
	}
	answers, err := resolve(spec, types)
	if err != nil || link(spec, answers) != nil || !ok {
		return
	}
	write(file, key, answers) // a file that is missing is made again by the next one
}

// programs are the programs of an object, always in the same order.
func programs(spec *ebpf.CollectionSpec) []*ebpf.ProgramSpec {
	out := make([]*ebpf.ProgramSpec, 0, len(spec.Programs))
	for _, p := range spec.Programs {
		out = append(out, p)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}

// open says whether an instruction waits for an answer of the kernel.
func open(ins *asm.Instruction) bool {
	return btf.CORERelocationMetadata(ins) != nil || kernelCall(ins)
}

// kernelCall says whether an instruction calls a kernel function that is not resolved
// yet.
func kernelCall(ins *asm.Instruction) bool { return ins.IsKfuncCall() && ins.Constant == -1 }

var errOther = errors.New("these are the answers for another object")

// link puts answers into the instructions that wait for them, all or none.
func link(spec *ebpf.CollectionSpec, answers []answer) error {
	var sites []*asm.Instruction
	for _, p := range programs(spec) {
		for i := range p.Instructions {
			if open(&p.Instructions[i]) {
				sites = append(sites, &p.Instructions[i])
			}
		}
	}
	if len(sites) != len(answers) {
		return errOther
	}
	for i, ins := range sites {
		*ins = answers[i].instruction(ins)
	}
	return nil
}

// instruction is the instruction that stands in the place of another one, under its
// name and with its source, and asks nothing any more.
func (a answer) instruction(was *asm.Instruction) asm.Instruction {
	out := asm.Instruction{
		OpCode: asm.OpCode(a.OpCode), Dst: asm.Register(a.Dst), Src: asm.Register(a.Src),
		Offset: a.Offset, Constant: a.Constant,
	}
	if s := was.Symbol(); s != "" {
		out = out.WithSymbol(s)
	}
	if src := was.Source(); src != nil {
		out = out.WithSource(src)
	}
	if fn := btf.FuncMetadata(was); fn != nil {
		out = btf.WithFuncMetadata(out, fn)
	}
	return out
}

// resolve asks the kernel's types for all answers.
func resolve(spec *ebpf.CollectionSpec, types *btf.Cache) ([]answer, error) {
	kernel, err := types.Kernel()
	if err != nil {
		return nil, err
	}
	targets, err := modules(kernel, types)
	if err != nil {
		return nil, err
	}
	var out []answer
	for _, p := range programs(spec) {
		r := resolver{local: spec.Types, kernel: kernel, targets: targets}
		answers, err := r.program(p)
		if err != nil {
			return nil, fmt.Errorf("program %s: %w", p.Name, err)
		}
		out = append(out, answers...)
	}
	return out, nil
}

// modules adds the types of all modules to those of the kernel.
func modules(kernel *btf.Spec, types *btf.Cache) ([]*btf.Spec, error) {
	out := []*btf.Spec{kernel}
	names, err := types.Modules()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, name := range names {
		module, err := types.Module(name)
		if err != nil {
			return nil, err
		}
		out = append(out, module)
	}
	return out, nil
}

// resolver answers for one program.
type resolver struct {
	local   *btf.Spec   // types of the object
	kernel  *btf.Spec   // of the kernel alone
	targets []*btf.Spec // of the kernel and its modules
}

func (r *resolver) program(p *ebpf.ProgramSpec) ([]answer, error) {
	var relocations []*btf.CORERelocation
	for i := range p.Instructions {
		if c := btf.CORERelocationMetadata(&p.Instructions[i]); c != nil {
			relocations = append(relocations, c)
		}
	}
	fixups, err := btf.CORERelocate(relocations, r.targets, p.ByteOrder, noLocalTypes)
	if err != nil {
		return nil, err
	}
	var out []answer
	for i := range p.Instructions {
		ins := p.Instructions[i] // a copy
		switch {
		case btf.CORERelocationMetadata(&ins) != nil:
			err = fixups[0].Apply(&ins)
			fixups = fixups[1:]
		case kernelCall(&ins):
			err = r.call(&ins)
		default:
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, answer{uint32(ins.OpCode), uint8(ins.Dst), uint8(ins.Src), ins.Offset, ins.Constant})
	}
	return out, nil
}

// noLocalTypes refuses relocations to the types of the program itself: their numbers are
// known only when the program is loaded.
func noLocalTypes(t btf.Type) (btf.TypeID, error) {
	return 0, fmt.Errorf("%s: the number of a type of the program is not known yet", t.TypeName())
}

// call finds a kernel function. One in a module is left to the loader: its module must
// be held open.
func (r *resolver) call(ins *asm.Instruction) error {
	var declared, fn *btf.Func
	err := errors.Join(r.local.TypeByName(ins.Reference(), &declared), r.kernel.TypeByName(ins.Reference(), &fn))
	if err == nil {
		err = btf.CheckTypeCompatibility(declared.Type, fn.Type)
	}
	var id btf.TypeID
	if err == nil {
		id, err = r.kernel.TypeID(fn)
	}
	if err != nil {
		return fmt.Errorf("kernel function %s: %w", ins.Reference(), err)
	}
	ins.Constant = int64(id)
	return nil
}
