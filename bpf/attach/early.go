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

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/bpf/rewrite"
	"github.com/bpftables/bpftables/codegen"
	"github.com/bpftables/bpftables/codegen/rows"
	"github.com/bpftables/bpftables/codegen/rows/layout"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// earlyKind is a point of an interface where the early stage can run.
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
	progs map[*earlyKind]*ebpf.Program
}

// earlyMaps are those of one family that outlive generations; both kinds use the same.
var earlyMaps = []string{abi.EarlyXdpMapEarlyConfigs, abi.EarlyXdpMapEarlyPackets, abi.EarlyXdpMapEarlyAddrs}

func (s *Space) earlyDir() string { return filepath.Join(s.Pins(), "early") }

// sharedEarlyDir is what both families of the namespace have together.
func (s *Space) sharedEarlyDir() string { return filepath.Join(pinRoot, s.netns, "early") }

// LoadEarly loads the early stage of a generation. Nothing is attached yet.
func (g *Generation) LoadEarly(p *codegen.EarlyProgram) (*Early, error) {
	e := &Early{space: g.space, progs: map[*earlyKind]*ebpf.Program{}}
	own, err := g.space.openEarlyMaps()
	if err != nil {
		return nil, err
	}
	defer closeMaps(own)
	given, err := g.withMaps(own)
	if err != nil {
		return nil, err
	}
	for _, kind := range earlyKinds {
		prog, err := g.loadEarly(kind, p, given)
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

// withMaps adds the maps that the early stage shares with the hooks.
func (g *Generation) withMaps(own map[string]*ebpf.Map) (map[string]*ebpf.Map, error) {
	out := maps.Clone(own)
	for _, name := range []string{abi.NetfilterMapCounters, abi.NetfilterMapClassRows, abi.NetfilterMapClassIndex} {
		if m := g.maps[name]; m != nil {
			out[name] = m
		}
	}
	active, err := g.space.shared(abi.NetfilterMapActive)
	out[abi.EarlyXdpMapActive] = active
	return out, err
}

// openEarlyMaps opens the pinned maps of the family and makes those that are missing.
func (s *Space) openEarlyMaps() (map[string]*ebpf.Map, error) {
	if err := os.MkdirAll(s.earlyDir(), 0o700); err != nil {
		return nil, err
	}
	spec, err := earlyXDP.object()
	if err != nil {
		return nil, fmt.Errorf("early stage: %w", err)
	}
	out := map[string]*ebpf.Map{}
	for _, name := range earlyMaps {
		m, err := pinnedMap(filepath.Join(s.earlyDir(), name), spec.Maps[name])
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
	spec, prog := part(all, program)
	return spec, prog, nil
}

func (g *Generation) loadEarly(kind *earlyKind, p *codegen.EarlyProgram, given map[string]*ebpf.Map) (*ebpf.Program, error) {
	spec, prog, err := earlySubset(kind, abi.EarlyXdpProgEarly)
	if err != nil {
		return nil, err
	}
	if err := g.setEarly(spec, p); err != nil {
		return nil, err
	}
	if err := setEarlyClasses(spec, p.Image); err != nil {
		return nil, err
	}
	known := rewrite.ConstantsOf(spec)
	if len(p.Insns) == 0 {
		prog.Instructions, err = rewrite.Shorten(prog.Instructions, known)
	} else {
		prog.Instructions, err = rewrite.FillInline(prog.Instructions, p.Insns, known, holes(p)...)
	}
	if err != nil {
		return nil, err
	}
	loaded, err := load(spec, prog, given)
	if err != nil {
		return nil, refused(&p.Program, prog.Instructions, err)
	}
	return loaded, nil
}

// setEarly sets the variables that tell about the chains.
func (g *Generation) setEarly(spec *ebpf.CollectionSpec, p *codegen.EarlyProgram) error {
	values := map[string]uint32{
		abi.EarlyXdpVarFamily: uint32(p.Family), abi.EarlyXdpVarNeeds: p.Needs, abi.EarlyXdpVarExact: boolean(p.Exact),
		abi.EarlyXdpVarGeneration: g.number, abi.EarlyXdpVarTellsInvalid: boolean(p.TellsInvalid),
	}
	var classes, states, labels, rows [len(earlyChains)]uint32
	for _, c := range p.Chains {
		i := slices.Index(earlyChains[:], c.Symbol)
		if i < 0 {
			return fmt.Errorf("the early stage has no hole for %s", c.Symbol)
		}
		values[abi.EarlyXdpVarChains] |= 1 << i
		values[abi.EarlyXdpVarStateFirst] |= boolean(c.AsksFirst) << i
		classes[i], labels[i], rows[i] = c.Class, c.Label, c.Row
		if states[i] = c.States; c.AsksState {
			states[i] |= abi.EarlyAsksState
		}
	}
	if err := set(spec, values); err != nil {
		return err
	}
	return errors.Join(
		spec.Variables[abi.EarlyXdpVarBaseClasses].Set(classes), spec.Variables[abi.EarlyXdpVarBaseStates].Set(states),
		spec.Variables[abi.EarlyXdpVarLeadLabels].Set(labels), spec.Variables[abi.EarlyXdpVarLeadRows].Set(rows),
	)
}

// setEarlyClasses sets the variables that tell about classified chains, with the
// instructions that their programs have in the early stage.
func setEarlyClasses(spec *ebpf.CollectionSpec, image *rows.Image) error {
	if image == nil {
		return nil
	}
	if err := setClasses(spec, image, image.EarlyOps); err != nil {
		return err
	}
	return set(spec, map[string]uint32{
		abi.EarlyXdpVarFirstVersion: layout.FirstVersion,
	})
}

// earlyChains are the holes in the order of enum early_chain.
var earlyChains = [...]string{
	"untracked_prerouting", "tracked_prerouting", "nat_prerouting", "first_input", "second_input", "third_input",
	"first_forward", "second_forward", "third_forward",
}

// holes are the functions that the generated chains replace. The others stay: they accept.
func holes(p *codegen.EarlyProgram) (out []string) {
	for _, c := range p.Chains {
		out = append(out, c.Symbol)
	}
	return out
}

// familyIndex is the family's index in early_families.
func (s *Space) familyIndex() uint32 {
	if s.family == packet.IPv6 {
		return 1
	}
	return 0
}
