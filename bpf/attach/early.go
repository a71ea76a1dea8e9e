package attach

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/codegen"
	"github.com/bpftables/bpftables/codegen/rows"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// earlyKind is a place at an interface where the early stage can run.
type earlyKind struct {
	name   string // in pins
	object func() (*ebpf.CollectionSpec, error)
}

// The kinds, by preference. The maps and programs of both objects have the same names.
var (
	earlyXDP = &earlyKind{"xdp", sync.OnceValues(abi.LoadEarlyXdp)}
	earlyTCX = &earlyKind{"tcx", sync.OnceValues(abi.LoadEarlyTcx)}

	earlyKinds = []*earlyKind{earlyXDP, earlyTCX}
)

// Early is the loaded early stage of a generation.
type Early struct {
	space *Space
	gen   uint32
	progs map[*earlyKind]*ebpf.Program
}

// earlyMaps are those of one family that outlive generations, by the kind that has
// them; nil: both use the same.
var earlyMaps = map[string]bool{
	abi.EarlyXdpMapEarlyConfigs: true, abi.EarlyXdpMapEarlyPackets: true, abi.EarlyXdpMapEarlyPlaces: true,
}

func (s *Space) earlyDir() string { return filepath.Join(s.Pins(), "early") }

// sharedEarlyDir is what both families of the namespace have together.
func (s *Space) sharedEarlyDir() string { return filepath.Join(pinRoot, s.netns, "early") }

// LoadEarly loads the early stage of a generation. Nothing is attached yet.
func (g *Generation) LoadEarly(p *codegen.EarlyProgram) (*Early, error) {
	e := &Early{space: g.space, gen: g.number, progs: map[*earlyKind]*ebpf.Program{}}
	for _, kind := range earlyKinds {
		given, err := g.space.openEarlyMaps(kind)
		if err != nil {
			return nil, errors.Join(err, e.Close())
		}
		prog, err := loadEarly(kind, p, g.withMaps(given))
		closeMaps(given)
		if err != nil {
			return nil, errors.Join(explain(err), e.Close())
		}
		e.progs[kind] = prog
	}
	return e, nil
}

// Close closes what is held open; an installed early stage goes on.
func (e *Early) Close() error {
	if e == nil {
		return nil
	}
	var errs []error
	for _, p := range e.progs {
		errs = append(errs, p.Close())
	}
	return errors.Join(errs...)
}

func closeMaps(maps map[string]*ebpf.Map) {
	for _, m := range maps {
		m.Close()
	}
}

// withMaps adds those of the generation that the early stage shares with the hooks.
func (g *Generation) withMaps(given map[string]*ebpf.Map) map[string]*ebpf.Map {
	out := maps.Clone(given)
	for _, name := range []string{abi.NetfilterMapCounters, abi.NetfilterMapClassRows, abi.NetfilterMapClassIndex} {
		if m := g.maps[name]; m != nil {
			out[name] = m
		}
	}
	return out
}

// openEarlyMaps opens the pinned maps of the family and makes those that are missing.
func (s *Space) openEarlyMaps(kind *earlyKind) (map[string]*ebpf.Map, error) {
	if err := os.MkdirAll(s.earlyDir(), 0o700); err != nil {
		return nil, err
	}
	spec, err := kind.object()
	if err != nil {
		return nil, fmt.Errorf("early stage: %w", err)
	}
	out := map[string]*ebpf.Map{}
	for _, name := range []string{
		abi.EarlyXdpMapEarlyConfigs, abi.EarlyXdpMapEarlyPackets, abi.EarlyXdpMapEarlyPlaces, abi.EarlyXdpMapEarlyProgs,
	} {
		file := name
		if !earlyMaps[name] {
			file += "-" + kind.name
		}
		m, err := pinnedMap(filepath.Join(s.earlyDir(), file), spec.Maps[name])
		if err != nil {
			closeMaps(out)
			return nil, err
		}
		out[name] = m
	}
	return out, nil
}

// pinnedMap opens a pinned map, or makes and pins it.
func pinnedMap(path string, spec *ebpf.MapSpec) (*ebpf.Map, error) {
	m, err := ebpf.LoadPinnedMap(path, nil)
	if err == nil {
		if err := spec.Compatible(m); err != nil {
			m.Close()
			return nil, fmt.Errorf("map %s was made by another version of bpftables: %w; 'bpftables flush --all' removes it", path, err)
		}
		return m, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("map %s: %w", path, err)
	}
	if m, err = ebpf.NewMap(spec.Copy()); err != nil {
		return nil, fmt.Errorf("map %s: %w", path, err)
	}
	if err := m.Pin(path); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// earlySubset is the part of an object that one program needs.
func earlySubset(kind *earlyKind, program string) (*ebpf.CollectionSpec, *ebpf.ProgramSpec, error) {
	all, err := kind.object()
	if err != nil {
		return nil, nil, fmt.Errorf("early stage: %w", err)
	}
	spec := all.Copy()
	prog := spec.Programs[program]
	spec.Programs = map[string]*ebpf.ProgramSpec{program: prog}
	return spec, prog, nil
}

func loadEarly(kind *earlyKind, p *codegen.EarlyProgram, given map[string]*ebpf.Map) (*ebpf.Program, error) {
	spec, prog, err := earlySubset(kind, abi.EarlyXdpProgEarly)
	if err != nil {
		return nil, err
	}
	if prog.Instructions, err = fillHoles(prog.Instructions, p); err != nil {
		return nil, err
	}
	err = set(spec, map[string]uint32{
		abi.EarlyXdpVarFamily: uint32(p.Family), abi.EarlyXdpVarNeeds: p.Needs, abi.EarlyXdpVarChains: chainBits(p),
		abi.EarlyXdpVarExact: boolean(p.Exact),
	})
	if err != nil {
		return nil, err
	}
	if err := setEarlyClasses(spec, p.Image); err != nil {
		return nil, err
	}
	loaded, err := load(spec, prog, given)
	if err != nil {
		return nil, refused(&p.Program, prog.Instructions, err)
	}
	return loaded, nil
}

// setEarlyClasses sets the variables that tell about classified chains, with the
// instructions that their programs have in the early stage.
func setEarlyClasses(spec *ebpf.CollectionSpec, image *rows.Image) error {
	if image == nil {
		return nil
	}
	if err := setClasses(spec, image); err != nil {
		return err
	}
	return set(spec, map[string]uint32{
		abi.EarlyXdpVarFirstVersion: rows.FirstVersion, abi.NetfilterVarProgramOps: image.EarlyOps,
	})
}

// earlyChains are the holes in the order of enum early_chain.
var earlyChains = []string{
	"raw_prerouting", "mangle_prerouting", "nat_prerouting", "mangle_input", "filter_input", "security_input",
	"mangle_forward", "filter_forward", "security_forward",
}

func chainBits(p *codegen.EarlyProgram) uint32 {
	bits := uint32(0)
	for i, name := range earlyChains {
		if slices.Contains(p.Chains, name) {
			bits |= 1 << i
		}
	}
	return bits
}

// fillHoles puts the generated chains into the places of their stubs. The other stubs
// stay: they accept.
func fillHoles(program asm.Instructions, p *codegen.EarlyProgram) (asm.Instructions, error) {
	hole := map[string]bool{}
	for _, name := range p.Chains {
		hole[name] = true
	}
	var fixed []function
	var stub *btf.Func
	for _, f := range split(program) {
		if hole[f.name] {
			stub = btf.FuncMetadata(&f.insns[0])
			continue
		}
		fixed = append(fixed, f)
	}
	if stub == nil {
		return nil, fmt.Errorf("the early stage has no place for any of %v", p.Chains)
	}
	return reachable(append(fixed, split(typeFunctions(p.Insns, stub))...))
}

// familyIndex is the family's place in early_families.
func (s *Space) familyIndex() uint32 {
	if s.family == packet.IPv6 {
		return 1
	}
	return 0
}
