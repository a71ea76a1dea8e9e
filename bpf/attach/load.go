package attach

import (
	"fmt"
	stdmaps "maps"
	"path/filepath"
	"slices"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/bpf/maps"
	"github.com/bpftables/bpftables/bpf/object"
	"github.com/bpftables/bpftables/bpf/prelink"
	"github.com/bpftables/bpftables/bpf/probe"
	"github.com/bpftables/bpftables/bpf/rewrite"
	"github.com/bpftables/bpftables/codegen"
	"github.com/bpftables/bpftables/codegen/rows"
	"github.com/bpftables/bpftables/codegen/rows/layout"
)

// compiled is a C object, of which each part is read once.
type compiled struct {
	parts  func() (*ebpf.CollectionSpec, error) // its maps and variables
	linked func() (*ebpf.CollectionSpec, error) // with its programs, in which the kernel's answers are
}

// newCompiled says where an object is: packed, and as a file for where the kernel has no
// answer to one of its questions, which the loader is to tell.
func newCompiled(name string, packed func() (*object.Object, error), file func() (*ebpf.CollectionSpec, error)) *compiled {
	open, c := sync.OnceValues(packed), &compiled{}
	c.parts = sync.OnceValues(func() (*ebpf.CollectionSpec, error) {
		o, err := open()
		if err != nil {
			return nil, err
		}
		return o.Spec(), innerMaps(o.Spec())
	})
	c.linked = sync.OnceValues(func() (*ebpf.CollectionSpec, error) {
		o, err := open()
		if err != nil {
			return nil, err
		}
		answers := prelink.Answers(filepath.Join(Root, name+".linked"), o.Sum, file, kernelTypes)
		if answers == nil {
			spec, err := file()
			if err != nil {
				return nil, err
			}
			return spec, innerMaps(spec)
		}
		spec, err := c.parts()
		if err != nil {
			return nil, err
		}
		whole := *spec
		whole.Programs, err = o.Programs(answers)
		return &whole, err
	})
	return c
}

// netfilterObject has the programs of the hooks.
var netfilterObject = newCompiled("netfilter", abi.Netfilter, abi.LoadNetfilter)

// datapath is the maps and variables of the programs of the hooks.
func datapath() (*ebpf.CollectionSpec, error) { return netfilterObject.parts() }

// innerMaps says what the maps of maps hold, as the compiler leaves it out.
func innerMaps(spec *ebpf.CollectionSpec) error {
	for outer, inner := range map[string]string{
		abi.NetfilterMapRecentLists: abi.NetfilterMapRecentList,
		abi.NetfilterMapMeterTables: abi.NetfilterMapMeterTable,
		abi.NetfilterMapShortSets:   abi.NetfilterMapShortSet,
		abi.NetfilterMapLongSets:    abi.NetfilterMapLongSet,
	} {
		switch m := spec.Maps[outer]; {
		case m == nil:
		case spec.Maps[inner] == nil:
			return fmt.Errorf("map %s: %s, which it holds, is missing", outer, inner)
		default:
			m.InnerMap = spec.Maps[inner].Copy()
		}
	}
	return nil
}

// Prepare begins to read the C object, for a caller that will load programs and has
// something else to do first.
func Prepare() {
	go func() {
		defer func() { _ = recover() }() // a panic comes again, too, where a command waits for it
		_, _ = netfilterObject.linked()  // what fails here fails again when it is needed
	}()
}

// kernelTypes is the kernel's BTF, which takes longer to read than most programs to
// load.
var kernelTypes = btf.NewCache()

// subset is the part of the C object that one program needs.
func subset(program string) (*ebpf.CollectionSpec, *ebpf.ProgramSpec, error) {
	all, err := netfilterObject.linked()
	if err != nil {
		return nil, nil, fmt.Errorf("datapath: %w", err)
	}
	spec, prog := part(all, program)
	return spec, prog, nil
}

// part is what one program of an object needs. Nobody changes its instructions, types and
// maps, which are shared.
func part(all *ebpf.CollectionSpec, program string) (*ebpf.CollectionSpec, *ebpf.ProgramSpec) {
	prog := *all.Programs[program]
	spec := &ebpf.CollectionSpec{
		Programs: map[string]*ebpf.ProgramSpec{program: &prog},
		Maps:     stdmaps.Clone(all.Maps), Variables: map[string]*ebpf.VariableSpec{},
		ByteOrder: all.ByteOrder, Types: all.Types,
	}
	for name, v := range all.Variables {
		own := *v
		own.Value = slices.Clone(v.Value)
		spec.Variables[name] = &own
	}
	return spec, &prog
}

// set gives values to the read-only variables of the C object. Names that the
// program does not use are harmless.
func set(spec *ebpf.CollectionSpec, values map[string]uint32) error {
	for name, v := range values {
		if err := spec.Variables[name].Set(v); err != nil {
			return fmt.Errorf("datapath variable %s: %w", name, err)
		}
	}
	return nil
}

// valueMaps are the maps whose only value programs reach by its address (value_of() of
// bpf/facts/kernel.h).
var valueMaps = map[string]bool{
	abi.NetfilterMapClassRows: true, abi.NetfilterMapClassIndex: true, abi.NetfilterMapActive: true, abi.EarlyXdpMapEarlyConfigs: true,
}

// load loads the one program of a spec with the given maps; other maps that it uses
// are made.
func load(spec *ebpf.CollectionSpec, prog *ebpf.ProgramSpec, given map[string]*ebpf.Map) (*ebpf.Program, error) {
	used := map[string]bool{}
	prog.Instructions = slices.Clone(prog.Instructions)
	for i := range prog.Instructions {
		if ins := &prog.Instructions[i]; ins.IsLoadFromMap() {
			used[ins.Reference()] = true
			if valueMaps[ins.Reference()] {
				ins.Src = asm.PseudoMapValue
			}
		}
	}
	replace := map[string]*ebpf.Map{}
	values := rewrite.ConstantsOf(spec)
	for name, shared := range spec.Maps {
		if !used[name] {
			delete(spec.Maps, name)
			continue
		}
		m := *shared
		spec.Maps[name] = &m
		if name == abi.NetfilterMapRoute6Slots {
			m.MaxEntries *= uint32(ebpf.MustPossibleCPU())
		}
		if have := given[name]; have != nil {
			replace[name] = have
			// What a map of the namespace holds was said when it was made.
			m.MaxEntries, m.ValueSize, m.Contents = have.MaxEntries(), have.ValueSize(), nil
			m.Key, m.Value = nil, nil
		} else if data := values.Section(name); data != nil {
			m.Contents = []ebpf.MapKV{{Key: uint32(0), Value: data}}
			m.Key, m.Value = nil, nil // its types would be loaded with each program
		}
	}
	for name, v := range spec.Variables {
		if !used[v.SectionName] || values.Section(v.SectionName) != nil {
			delete(spec.Variables, name)
		}
	}
	coll, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: replace, Cache: kernelTypes})
	if err != nil {
		return nil, err
	}
	defer coll.Close()
	return coll.DetachProgram(prog.Name), nil
}

// loadConstant loads the program of a spec, in which nothing is generated.
func loadConstant(spec *ebpf.CollectionSpec, prog *ebpf.ProgramSpec, given map[string]*ebpf.Map) (*ebpf.Program, error) {
	var err error
	if prog.Instructions, err = rewrite.Shorten(prog.Instructions, rewrite.ConstantsOf(spec)); err != nil {
		return nil, err
	}
	rewrite.Untype(prog.Instructions)
	return load(spec, prog, given)
}

// loadEntry loads the program that is linked for a seat.
func loadEntry(at seat, given map[string]*ebpf.Map) (*ebpf.Program, error) {
	spec, prog, err := subset(abi.NetfilterProgEntry)
	if err != nil {
		return nil, err
	}
	if err := set(spec, map[string]uint32{abi.NetfilterVarEntrySlot: at.slot()}); err != nil {
		return nil, err
	}
	return loadConstant(spec, prog, given)
}

// loadGuard loads the program that is linked behind netfilter's table.
func loadGuard(at seat, given map[string]*ebpf.Map) (*ebpf.Program, error) {
	spec, prog, err := subset(abi.NetfilterProgGuard)
	if err != nil {
		return nil, err
	}
	values := seatVariables(at, 0)
	values[abi.NetfilterVarLateGuard] = boolean(at.priority == lateGuards)
	if err := set(spec, values); err != nil {
		return nil, err
	}
	return loadConstant(spec, prog, given)
}

// loadPass loads the program of a seat without rules.
func loadPass(at seat, gen uint32, given map[string]*ebpf.Map) (*ebpf.Program, error) {
	spec, prog, err := subset(abi.NetfilterProgPass)
	if err != nil {
		return nil, err
	}
	if err := set(spec, seatVariables(at, gen)); err != nil {
		return nil, err
	}
	return loadConstant(spec, prog, given)
}

// loadWhole loads the program that stands before a base chain that is left to netfilter.
func loadWhole(p *codegen.Program, at seat, gen uint32, given map[string]*ebpf.Map) (*ebpf.Program, error) {
	spec, prog, err := subset(abi.NetfilterProgWhole)
	if err != nil {
		return nil, err
	}
	values := seatVariables(at, gen)
	values[abi.NetfilterVarTranslates] = boolean(p.NAT)
	values[abi.NetfilterVarFamily] = uint32(p.Family)
	values[abi.NetfilterVarNeeds] = p.Needs
	if err := set(spec, values); err != nil {
		return nil, err
	}
	return loadConstant(spec, prog, given)
}

func seatVariables(at seat, gen uint32) map[string]uint32 {
	return map[string]uint32{
		abi.NetfilterVarGen:        gen,
		abi.NetfilterVarNoteSlot:   at.note(),
		abi.NetfilterVarHookNumber: uint32(at.hook),
	}
}

// loadRules loads a generated program; noted says that notes are left at its level.
func loadRules(p *codegen.Program, at seat, gen uint32, noted bool, given map[string]*ebpf.Map) (*ebpf.Program, error) {
	if p.Whole {
		return loadWhole(p, at, gen, given)
	}
	spec, prog, err := specOf(p, at, gen)
	if err == nil && p.Rows {
		err = setRowsAlone(spec)
		noted = false // the seats say
	}
	if err == nil {
		err = set(spec, map[string]uint32{abi.NetfilterVarNoted: boolean(noted)})
	}
	if err != nil {
		return nil, err
	}
	return loadGenerated(p, spec, prog, given)
}

// loadGenerated puts what was generated into the datapath, whose variables are set, and loads it.
func loadGenerated(p *codegen.Program, spec *ebpf.CollectionSpec, prog *ebpf.ProgramSpec, given map[string]*ebpf.Map) (_ *ebpf.Program, err error) {
	if prog.Instructions, err = rewrite.FillInline(prog.Instructions, generated(p), rewrite.ConstantsOf(spec), abi.FuncChain, abi.FuncLead); err != nil {
		return nil, err
	}
	loaded, err := load(spec, prog, given)
	if err != nil {
		return nil, refused(p, prog.Instructions, err)
	}
	return loaded, nil
}

// specOf is the datapath for a generated program, with all variables set.
func specOf(p *codegen.Program, at seat, gen uint32) (*ebpf.CollectionSpec, *ebpf.ProgramSpec, error) {
	spec, prog, err := subset(abi.NetfilterProgHook)
	if err != nil {
		return nil, nil, err
	}
	values := seatVariables(at, gen)
	values[abi.NetfilterVarFamily] = uint32(p.Family)
	values[abi.NetfilterVarNeeds] = p.Needs
	values[abi.NetfilterVarAtomic] = boolean(p.Atomic || p.Hook.Local())
	values[abi.NetfilterVarShim] = boolean(p.Shim)
	values[abi.NetfilterVarTranslates] = boolean(p.NAT)
	values[abi.NetfilterVarBaseClass] = uint32(p.Base)
	setLead(values, p)
	values[abi.NetfilterVarLoops] = boolean(p.Looks || p.Rows || probe.Loops()) // code alone does without them
	if p.Seat != 0 && !p.Rows {
		values[abi.NetfilterVarHasRows], values[abi.NetfilterVarRowsSlot] = 1, half(gen)+rowsSlot(at.level)
	}
	if err := set(spec, values); err != nil {
		return nil, nil, err
	}
	if err := clock(spec); err != nil {
		return nil, nil, err
	}
	return spec, prog, setClasses(spec, p.Image, p.Ops)
}

// setLead tells the datapath of the lead of a base chain.
func setLead(values map[string]uint32, p *codegen.Program) {
	values[abi.NetfilterVarLeads] = boolean(p.Lead.Insns != nil)
	values[abi.NetfilterVarLeadLabel], values[abi.NetfilterVarLeadRow] = p.Lead.Label, p.Lead.Row
}

// generated is what fills the holes: the base chain, and its lead.
func generated(p *codegen.Program) asm.Instructions {
	if p.Base != 0 {
		return slices.Concat(never, p.Lead.Insns)
	}
	return slices.Concat(p.Insns, p.Lead.Insns)
}

// never is in the place of a chain that is not asked: its class is, directly.
var never = asm.Instructions{
	asm.Mov.Imm(asm.R0, abi.Hotdrop).WithSymbol(abi.FuncChain).WithSource(asm.Comment("not here")),
	asm.Return(),
}

// clock sets the variables that depend on the kernel's HZ.
func clock(spec *ebpf.CollectionSpec) error {
	hz, err := probe.HZ()
	if err != nil {
		return err
	}
	return set(spec, map[string]uint32{
		abi.NetfilterVarHz:              hz,
		abi.NetfilterVarCreditsPerJiffy: maps.CreditsPerJiffy(hz),
	})
}

// setClasses sets the variables that tell how the classified chains are laid out, and which
// instructions programs of rows may have.
func setClasses(spec *ebpf.CollectionSpec, image *rows.Image, ops uint64) error {
	if image == nil {
		return nil
	}
	return setLayout(spec, image.Keys, map[string]uint32{
		abi.NetfilterVarRowsMask: image.RowsMask(), abi.NetfilterVarIndexMask: image.IndexMask(),
		abi.NetfilterVarProgramOps: uint32(ops), abi.NetfilterVarProgramMoreOps: uint32(ops >> 32), abi.NetfilterVarClassTrees: boolean(image.Trees),
	})
}

// setMemory sets the same for chains that are there.
func setMemory(spec *ebpf.CollectionSpec, m *layout.Memory, ops uint64) error {
	return setLayout(spec, m.Keys, map[string]uint32{
		abi.NetfilterVarRowsMask: m.RowsMask(), abi.NetfilterVarIndexMask: m.IndexMask(),
		abi.NetfilterVarProgramOps: uint32(ops), abi.NetfilterVarProgramMoreOps: uint32(ops >> 32), abi.NetfilterVarClassTrees: boolean(m.HasTrees()),
	})
}

func setLayout(spec *ebpf.CollectionSpec, keys layout.HashKeys, values map[string]uint32) error {
	for name, key := range map[string]uint64{
		abi.NetfilterVarHashKey0: keys[0], abi.NetfilterVarHashKey1: keys[1],
		abi.NetfilterVarHashKey2: keys[2], abi.NetfilterVarHashKey3: keys[3],
	} {
		if err := spec.Variables[name].Set(key); err != nil {
			return fmt.Errorf("datapath variable %s: %w", name, err)
		}
	}
	return set(spec, values)
}

func boolean(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}
