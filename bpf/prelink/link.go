package prelink

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"sort"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/bpftables/bpftables/bpf/object"
)

// Answers gives the answers of the kernel to all questions of an object, in their order; nil
// where there is one that it cannot be asked. They are kept in file; sum is that of the
// object, which load reads only when the file does not have them.
func Answers(file string, sum [sha256.Size]byte, load func() (*ebpf.CollectionSpec, error), types *btf.Cache) []object.Answer {
	key, ok := keyOf(sum)
	if ok {
		if answers := read(file, key); answers != nil {
			return answers
		}
	}
	spec, err := load()
	if err != nil {
		return nil
	}
	answers, err := resolve(spec, types)
	if err == nil && ok {
		write(file, key, answers) // a file that is missing is made again by the next one
	}
	return answers
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

// resolve asks the kernel's types for all answers.
func resolve(spec *ebpf.CollectionSpec, types *btf.Cache) ([]object.Answer, error) {
	kernel, err := types.Kernel()
	if err != nil {
		return nil, err
	}
	targets, err := modules(kernel, types)
	if err != nil {
		return nil, err
	}
	out := []object.Answer{}
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

func (r *resolver) program(p *ebpf.ProgramSpec) ([]object.Answer, error) {
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
	var out []object.Answer
	for i := range p.Instructions {
		ins := p.Instructions[i] // a copy
		switch {
		case btf.CORERelocationMetadata(&ins) != nil:
			err = fixups[0].Apply(&ins)
			fixups = fixups[1:]
		case object.Asks(&ins):
			err = r.call(&ins)
		default:
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, object.Answer{
			OpCode: uint32(ins.OpCode), Dst: uint8(ins.Dst), Src: uint8(ins.Src), Offset: ins.Offset, Constant: ins.Constant,
		})
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
