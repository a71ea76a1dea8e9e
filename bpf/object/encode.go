package object

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
)

// encoder writes one object.
type encoder struct {
	writer
	types *btf.Builder
	names map[string]uint64 // of everything, by their place in order
	order []string
}

// Encode writes an object, which was read from file.
func Encode(spec *ebpf.CollectionSpec, file []byte) ([]byte, error) {
	builder, err := btf.NewBuilder(nil, nil)
	if err != nil {
		return nil, err
	}
	e := &encoder{types: builder, names: map[string]uint64{}}
	if err := e.maps(spec); err != nil {
		return nil, err
	}
	e.variables(spec)
	e.number(uint64(len(spec.Programs)))
	for _, name := range slices.Sorted(maps.Keys(spec.Programs)) {
		if err := e.program(spec.Programs[name]); err != nil {
			return nil, fmt.Errorf("program %s: %w", name, err)
		}
	}
	types, err := e.types.Marshal(nil, nil)
	if err != nil {
		return nil, err
	}
	sum, head := sha256.Sum256(file), writer{}
	head.bytes(sum[:])
	head.bytes(types)
	head.number(uint64(len(e.order)))
	for _, name := range e.order {
		head.text(name)
	}
	return append(head.data, e.data...), nil
}

// id is the number of a name.
func (e *encoder) id(name string) uint64 {
	n, ok := e.names[name]
	if !ok {
		n = uint64(len(e.order))
		e.names[name], e.order = n, append(e.order, name)
	}
	return n
}

func (e *encoder) name(s string) { e.number(e.id(s)) }

// maps writes the maps. Types of keys and values are kept where the kernel looks for a lock in
// them; elsewhere only those who look at maps would see them.
func (e *encoder) maps(spec *ebpf.CollectionSpec) error {
	e.number(uint64(len(spec.Maps)))
	for _, name := range slices.Sorted(maps.Keys(spec.Maps)) {
		m := spec.Maps[name]
		e.name(name)
		e.text(m.Name)
		for _, n := range []uint32{uint32(m.Type), m.KeySize, m.ValueSize, m.MaxEntries, m.Flags} {
			e.number(uint64(n))
		}
		var content []byte
		if strings.HasPrefix(name, ".") && len(m.Contents) == 1 {
			content, _ = m.Contents[0].Value.([]byte)
		}
		e.bytes(content)
		for _, t := range []btf.Type{m.Key, m.Value} {
			id := btf.TypeID(0) // none
			if t != nil && locks(m.Value) {
				var err error
				if id, err = e.types.Add(t); err != nil {
					return fmt.Errorf("map %s: %w", name, err)
				}
			}
			e.number(uint64(id))
		}
	}
	return nil
}

// locks says whether values of a map have a lock.
func locks(value btf.Type) bool {
	s, ok := btf.UnderlyingType(value).(*btf.Struct)
	return ok && slices.ContainsFunc(s.Members, func(m btf.Member) bool { return m.Type.TypeName() == "bpf_spin_lock" })
}

func (e *encoder) variables(spec *ebpf.CollectionSpec) {
	e.number(uint64(len(spec.Variables)))
	for _, name := range slices.Sorted(maps.Keys(spec.Variables)) {
		v := spec.Variables[name]
		e.name(name)
		e.name(v.SectionName)
		e.number(uint64(v.Offset))
		e.bytes(v.Value)
	}
}

func (e *encoder) program(p *ebpf.ProgramSpec) error {
	e.name(p.Name)
	e.text(p.SectionName)
	e.text(p.License)
	e.number(uint64(p.Type))
	e.number(uint64(p.AttachType))
	var body, marks writer
	count := 0
	for i := range p.Instructions {
		ins := &p.Instructions[i]
		body.instruction(ins)
		marked, err := e.mark(&marks, i, ins)
		if err != nil {
			return err
		}
		if marked {
			count++
		}
	}
	e.number(uint64(len(p.Instructions)))
	e.bytes(body.data)
	e.number(uint64(count))
	e.bytes(marks.data)
	return nil
}

// instruction writes an instruction without what it refers to.
func (w *writer) instruction(ins *asm.Instruction) {
	w.number(uint64(ins.OpCode))
	w.data = append(w.data, byte(ins.Dst)<<4|byte(ins.Src))
	w.number(zigzag(int64(ins.Offset)))
	w.number(zigzag(ins.Constant))
}

// zigzag gives numbers near 0 few bytes.
func zigzag(n int64) uint64 { return uint64(n)<<1 ^ uint64(n>>63) }

func unzigzag(n uint64) int64 { return int64(n>>1) ^ -int64(n&1) }

// What is marked of an instruction.
const (
	marksSymbol = 1 << iota
	marksFunction
	marksReference
	marksQuestion // for the kernel
)

// mark writes what else there is to know about an instruction, if anything.
func (e *encoder) mark(w *writer, i int, ins *asm.Instruction) (bool, error) {
	fn, kinds := btf.FuncMetadata(ins), uint64(0)
	if ins.Symbol() != "" {
		kinds |= marksSymbol
	}
	if fn != nil {
		kinds |= marksFunction
	}
	if Asks(ins) {
		kinds |= marksQuestion
	} else if ins.Reference() != "" {
		kinds |= marksReference
	}
	if kinds == 0 {
		return false, nil
	}
	w.number(uint64(i))
	w.number(kinds)
	if kinds&marksSymbol != 0 {
		w.number(e.id(ins.Symbol()))
	}
	if kinds&marksReference != 0 {
		w.number(e.id(ins.Reference()))
	}
	if fn != nil {
		id, err := e.types.Add(fn)
		if err != nil {
			return false, err
		}
		w.number(uint64(id))
	}
	return true, nil
}

// Asks says whether an instruction waits for an answer of the kernel: the offset of a member,
// the number of a type or of a function.
func Asks(ins *asm.Instruction) bool {
	return btf.CORERelocationMetadata(ins) != nil || ins.IsKfuncCall() && ins.Constant == -1
}
