package attach

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/bpf/maps"
	"github.com/bpftables/bpftables/bpf/probe"
	"github.com/bpftables/bpftables/codegen"
)

// Generation is the programs and maps of one applied ruleset.
type Generation struct {
	space  *Space
	number uint32
	maps   maps.Set
	progs  [slotsHalf]*ebpf.Program // those with rules
	sets   namedSets
}

// Number is the number of the generation.
func (g *Generation) Number() uint32 { return g.number }

// Close closes what is held open. A generation that was not installed is gone then.
func (g *Generation) Close() error {
	errs := []error{g.maps.Close(), g.sets.Close()}
	for _, p := range g.progs {
		if p != nil {
			errs = append(errs, p.Close())
		}
	}
	return errors.Join(errs...)
}

// Counters reads the counters of all rules by rule id. There may be more than rules.
func (g *Generation) Counters() ([]abi.Counter, error) {
	return maps.Counters(g.maps[abi.NetfilterMapCounters])
}

// Generation opens an installed generation; nil when there is none of that number.
func (s *Space) Generation(number uint32) (*Generation, error) {
	m, err := ebpf.LoadPinnedMap(filepath.Join(s.genDir(number), abi.NetfilterMapCounters), nil)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("generation %d: %w", number, err)
	}
	return &Generation{space: s, number: number, maps: maps.Set{abi.NetfilterMapCounters: m}}, nil
}

// Load loads and verifies programs as generation number, which Next gave. Nothing is
// attached to this namespace; what other namespaces left behind is removed.
func (s *Space) Load(number uint32, progs []codegen.Program) (*Generation, error) {
	return s.LoadWith(number, progs, nil)
}

// LoadWith is Load for a generation that also gets an early stage, or nil: it counts
// rules, and looks rows up, of tables that have no programs. LoadEarly loads it.
func (s *Space) LoadWith(number uint32, progs []codegen.Program, early *codegen.EarlyProgram) (*Generation, error) {
	live, err := s.live()
	if err != nil {
		return nil, err
	}
	if half(number) == half(live) {
		return nil, fmt.Errorf("generation %d cannot follow %d; use Next", number, live)
	}
	if err := Reap(); err != nil {
		return nil, fmt.Errorf("remove what namespaces left behind: %w", err)
	}
	if err := s.makeShared(); err != nil {
		return nil, err
	}
	return s.load(number, progs, early, s.maps)
}

// Check loads and verifies programs and throws them away.
func (s *Space) Check(progs []codegen.Program) error {
	g, err := s.load(1, progs, nil, nil)
	if err != nil {
		return err
	}
	return g.Close()
}

func (s *Space) load(number uint32, progs []codegen.Program, early *codegen.EarlyProgram, shared map[string]*ebpf.Map) (*Generation, error) {
	spec, err := datapath()
	if err != nil {
		return nil, fmt.Errorf("datapath: %w", err)
	}
	st, err := states(progs)
	if err != nil {
		return nil, err
	}
	if early != nil {
		st.Rules, st.Image = max(st.Rules, early.Rules), early.Image
	}
	if err := refuseRecents(progs); err != nil {
		return nil, err
	}
	g := &Generation{space: s, number: number}
	if g.sets, err = openSets(spec.Maps, st, s.findSet); err != nil {
		return nil, err
	}
	if g.maps, err = maps.New(spec.Maps, st); err != nil {
		return nil, errors.Join(err, g.sets.Close())
	}
	given := map[string]*ebpf.Map{}
	for _, set := range []map[string]*ebpf.Map{g.maps, shared} {
		for name, m := range set {
			given[name] = m
		}
	}
	for i := range progs {
		slot, err := slotOf(&progs[i])
		if err == nil && g.progs[slot] != nil {
			err = fmt.Errorf("two programs for %s", places[slot])
		}
		if err == nil {
			g.progs[slot], err = loadRules(&progs[i], number, given)
		}
		if err != nil {
			return nil, errors.Join(explain(err), g.Close())
		}
	}
	return g, nil
}

// explain names what the kernel lacks, if that may be why it does not load a program.
func explain(err error) error {
	if missing := probe.Missing(); missing != nil {
		return fmt.Errorf("%w (%w)", missing, err)
	}
	return err
}

// states merges what the programs say about their slots.
func states(progs []codegen.Program) (*maps.States, error) {
	hz, err := probe.HZ()
	if err != nil {
		return nil, err
	}
	st := maps.NewStates(hz)
	for i := range progs {
		p := &progs[i]
		st.Rules = max(st.Rules, p.Rules)
		st.Image = p.Image
		if p.Looks {
			st.Needs &= p.Needs
		}
		for _, l := range p.Limits {
			st.Limits[l.Slot] = l
		}
		for _, n := range p.Nths {
			st.Nths[n.Slot] = n
		}
		for _, r := range p.Recents {
			st.Recents[r.Slot] = r
		}
		for slot, u := range p.SetUses {
			st.SetUses[slot] = u
		}
		st.Sets = append(st.Sets, p.Sets...) // each set may be there more than once
		for _, c := range p.SCTPs {
			st.SCTPs[c.Slot] = c
		}
	}
	return st, nil
}

// Install pins what the generation needs, puts its programs beside the live ones and
// makes sure that every hook it needs is linked. The live generation stays enforced.
func (g *Generation) Install(shims []ShimProgram) error {
	if err := g.pin(shims); err != nil {
		return err
	}
	if err := g.sets.grow(); err != nil {
		return err
	}
	live, err := g.space.live()
	if err != nil {
		return err
	}
	if live == 0 {
		if err := g.space.fillHalf(0, [slotsHalf]*ebpf.Program{}); err != nil {
			return err
		}
	}
	if err := g.space.fillHalf(g.number, g.progs); err != nil {
		return err
	}
	return g.link(shims)
}

// pin puts maps and programs under the directory of the generation.
func (g *Generation) pin(shims []ShimProgram) error {
	dir := g.space.genDir(g.number)
	if err := os.RemoveAll(dir); err != nil { // of a process that was killed
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := g.space.pinShared(); err != nil {
		return err
	}
	for name, m := range g.maps {
		if err := m.Pin(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	if err := g.sets.pin(dir); err != nil {
		return err
	}
	for slot, p := range g.progs {
		if p == nil {
			continue
		}
		if err := p.Pin(filepath.Join(dir, places[slot].String())); err != nil {
			return err
		}
	}
	return g.pinShims(dir, shims)
}

// fillHalf puts programs into the half of the program array that belongs to a
// generation; where it has no rules, one that accepts.
func (s *Space) fillHalf(gen uint32, progs [slotsHalf]*ebpf.Program) error {
	array := s.maps[abi.NetfilterMapProgs]
	accepting := map[place]*ebpf.Program{}
	defer func() {
		for _, p := range accepting {
			p.Close()
		}
	}()
	for slot, p := range progs {
		kind := places[slot].passKind()
		if p == nil && accepting[kind] == nil {
			pass, err := loadPass(slot, gen, s.maps)
			if err != nil {
				return err
			}
			accepting[kind] = pass
		}
		if p == nil {
			p = accepting[kind]
		}
		if err := array.Put(half(gen)+uint32(slot), p); err != nil {
			return fmt.Errorf("program for %s: %w", places[slot], err)
		}
	}
	return nil
}

// Activate makes the generation the one that is enforced: one write switches all
// hooks.
func (g *Generation) Activate() error {
	active, err := g.space.shared(abi.NetfilterMapActive)
	if err != nil {
		return err
	}
	if err := active.Put(uint32(0), g.number); err != nil {
		return fmt.Errorf("switch to generation %d: %w", g.number, err)
	}
	return nil
}
