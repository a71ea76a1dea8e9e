package object

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
)

// Answer is an instruction that needs nothing of the kernel any more. It has no padding.
type Answer struct {
	OpCode   uint32
	Dst, Src uint8
	Offset   int16
	Constant int64
}

// Object is an encoded object, of which the programs have not been read.
type Object struct {
	Sum       [sha256.Size]byte // of the file that it was read from
	maps      map[string]*ebpf.MapSpec
	variables map[string]*ebpf.VariableSpec
	types     *btf.Spec
	names     []string
	programs  reader
}

// Sum gives the checksum alone.
func Sum(data []byte) (sum [sha256.Size]byte) {
	copy(sum[:], (&reader{data: data}).bytes())
	return sum
}

// Decode reads what Encode wrote. The data must stay as it is.
func Decode(data []byte) (*Object, error) {
	r := &reader{data: data}
	o := &Object{maps: map[string]*ebpf.MapSpec{}, variables: map[string]*ebpf.VariableSpec{}}
	copy(o.Sum[:], r.bytes())
	var err error
	if o.types, err = btf.LoadSpecFromReader(bytes.NewReader(r.bytes())); err != nil {
		return nil, err
	}
	o.names = make([]string, r.length())
	for i := range o.names {
		o.names[i] = r.text()
	}
	for range r.length() {
		o.addMap(r)
	}
	for range r.length() {
		o.addVariable(r)
	}
	o.programs = *r
	return o, r.err()
}

// name reads a name by its number.
func (o *Object) name(r *reader) string {
	n := r.number()
	if n >= uint64(len(o.names)) {
		r.damaged = true
		return ""
	}
	return o.names[n]
}

func (o *Object) addMap(r *reader) {
	name := o.name(r)
	m := &ebpf.MapSpec{Name: r.text()}
	m.Type, m.KeySize, m.ValueSize = ebpf.MapType(r.number()), uint32(r.number()), uint32(r.number())
	m.MaxEntries, m.Flags = uint32(r.number()), uint32(r.number())
	if content := r.bytes(); len(content) > 0 {
		m.Contents = []ebpf.MapKV{{Key: uint32(0), Value: content}}
	}
	m.Key, m.Value = o.typ(r), o.typ(r)
	o.maps[name] = m
}

// typ reads a type by its number; nil: none.
func (o *Object) typ(r *reader) btf.Type {
	id := btf.TypeID(r.number())
	if id == 0 {
		return nil
	}
	t, err := o.types.TypeByID(id)
	r.damaged = r.damaged || err != nil
	return t
}

func (o *Object) addVariable(r *reader) {
	v := &ebpf.VariableSpec{Name: o.name(r), SectionName: o.name(r), Offset: uint32(r.number())}
	v.Value = bytes.Clone(r.bytes())
	o.variables[v.Name] = v
}

// Spec gives the object's maps and variables, without programs.
func (o *Object) Spec() *ebpf.CollectionSpec {
	return &ebpf.CollectionSpec{Maps: o.maps, Variables: o.variables, ByteOrder: binary.LittleEndian}
}

// errOther tells of answers for another object.
var errOther = errors.New("these are the answers for another object")

// Programs gives the programs, with the answers of the kernel in their order.
func (o *Object) Programs(answers []Answer) (map[string]*ebpf.ProgramSpec, error) {
	r, out := o.programs, map[string]*ebpf.ProgramSpec{}
	d := &decoder{reader: &r, object: o, answers: answers}
	for range r.length() {
		p, err := d.program()
		if err != nil {
			return nil, err
		}
		out[p.Name] = p
	}
	if len(d.answers) > 0 {
		return nil, errOther
	}
	return out, r.err()
}

// decoder reads programs.
type decoder struct {
	*reader
	object  *Object
	answers []Answer // those that were not used yet
}

func (d *decoder) program() (*ebpf.ProgramSpec, error) {
	p := &ebpf.ProgramSpec{Name: d.object.name(d.reader), SectionName: d.text(), License: d.text(), ByteOrder: binary.LittleEndian}
	p.Type, p.AttachType = ebpf.ProgramType(d.number()), ebpf.AttachType(d.number())
	p.Instructions = make(asm.Instructions, d.length())
	body := reader{data: d.bytes()}
	for i := range p.Instructions {
		instruction(&body, &p.Instructions[i])
	}
	count := d.length()
	marks := reader{data: d.bytes()}
	for range count {
		if err := d.mark(&marks, p.Instructions); err != nil {
			return nil, err
		}
	}
	d.damaged = d.damaged || body.damaged || marks.damaged
	return p, d.err()
}

func instruction(r *reader, ins *asm.Instruction) {
	ins.OpCode = asm.OpCode(r.number())
	if len(r.data) == 0 {
		r.damaged = true
		return
	}
	ins.Dst, ins.Src = asm.Register(r.data[0]>>4), asm.Register(r.data[0]&15)
	r.data = r.data[1:]
	ins.Offset = int16(unzigzag(r.number()))
	ins.Constant = unzigzag(r.number())
}

// mark reads what else there is to know about an instruction.
func (d *decoder) mark(r *reader, insns asm.Instructions) error {
	i, kinds := r.number(), r.number()
	if i >= uint64(len(insns)) {
		return errDamaged
	}
	ins := &insns[i]
	if kinds&marksQuestion != 0 {
		if len(d.answers) == 0 {
			return errOther
		}
		a := d.answers[0]
		d.answers = d.answers[1:]
		*ins = asm.Instruction{
			OpCode: asm.OpCode(a.OpCode), Dst: asm.Register(a.Dst), Src: asm.Register(a.Src),
			Offset: a.Offset, Constant: a.Constant,
		}
	}
	if kinds&marksSymbol != 0 {
		*ins = ins.WithSymbol(d.object.name(r))
	}
	if kinds&marksReference != 0 {
		*ins = ins.WithReference(d.object.name(r))
	}
	if kinds&marksFunction == 0 {
		return nil
	}
	fn, ok := d.object.typ(r).(*btf.Func)
	if !ok {
		return errDamaged
	}
	// The kernel wants a line for each function.
	*ins = btf.WithFuncMetadata(ins.WithSource(Function(fn.Name)), fn)
	return nil
}

// Function stands for the lines of a function of the object.
type Function string

// String is the line that stands for the function, see asm.Instruction.WithSource.
func (f Function) String() string { return string(f) }
