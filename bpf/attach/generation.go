package attach

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/bpf/failpoint"
	"github.com/bpftables/bpftables/bpf/maps"
	"github.com/bpftables/bpftables/bpf/probe"
	"github.com/bpftables/bpftables/codegen"
	"github.com/bpftables/bpftables/codegen/rows"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/parallel"
)

// Generation is the programs and maps of one applied ruleset.
type Generation struct {
	space  *Space
	number uint32
	maps   maps.Set
	guests []*guest        // of the programs
	progs  []*ebpf.Program // by seat
	links  []linked        // what is to be linked where nothing of ours is
	sets   namedSets
}

// Number is the number of the generation.
func (g *Generation) Number() uint32 { return g.number }

// Close closes what is held open. A generation that was not installed is gone then.
func (g *Generation) Close() error {
	errs := []error{g.maps.Close(), g.sets.Close()}
	for _, p := range g.progs {
		errs = append(errs, p.Close())
	}
	for _, l := range g.links {
		errs = append(errs, l.prog.Close())
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
// attached.
func (s *Space) Load(number uint32, progs []codegen.Program) (*Generation, error) {
	return s.LoadWith(number, progs, nil, func() {})
}

// LoadWith is Load for a generation that also gets an early stage, or nil: it counts
// rules, and looks rows up, of tables that have no programs. LoadEarly loads it. What the
// maps hold then is forgotten: chains that are looked up are loaded once. While programs are
// verified, meanwhile is called.
func (s *Space) LoadWith(number uint32, progs []codegen.Program, early *codegen.EarlyProgram, meanwhile func()) (*Generation, error) {
	live, err := s.live()
	if err != nil {
		return nil, err
	}
	if live != 0 && half(number) == half(live) {
		return nil, fmt.Errorf("generation %d cannot follow %d; use Next", number, live)
	}
	if err := s.makeShared(); err != nil {
		return nil, err
	}
	return s.load(number, progs, early, s.maps, meanwhile)
}

// Check loads and verifies programs and throws them away.
func (s *Space) Check(progs []codegen.Program) error {
	g, err := s.load(1, progs, nil, nil, func() {})
	if err != nil {
		return err
	}
	return g.Close()
}

func (s *Space) load(number uint32, progs []codegen.Program, early *codegen.EarlyProgram, shared map[string]*ebpf.Map, meanwhile func()) (*Generation, error) {
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
	if g.guests, err = s.seats(progs, shared != nil); err != nil {
		return nil, noSeat(progs, err)
	}
	g.setSeats(progs, st.Image)
	if g.sets, err = openSets(spec.Maps, st, s.findSet); err != nil {
		return nil, err
	}
	if g.maps, err = maps.New(spec.Maps, st); err != nil {
		return nil, errors.Join(err, g.sets.Close())
	}
	if shared != nil {
		release(st.Image)
	}
	given := map[string]*ebpf.Map{}
	for _, set := range []map[string]*ebpf.Map{g.maps, shared} {
		for name, m := range set {
			given[name] = m
		}
	}
	if shared != nil {
		g.links = g.unlinked()
	}
	if err := g.verify(progs, given, meanwhile); err != nil {
		return nil, errors.Join(explain(err), g.Close())
	}
	return g, nil
}

// verify loads the programs of all seats, and those to be linked there. The kernel's verifier
// works in the thread of who calls it: it does several at a time, and something else beside
// the first one, which often takes longest.
func (g *Generation) verify(progs []codegen.Program, given map[string]*ebpf.Map, meanwhile func()) error {
	g.progs = make([]*ebpf.Program, len(g.guests))
	errs := make([]error, len(g.guests)+len(g.links))
	first, ops := g.sharing(progs)
	parallel.Each(len(errs)+1, func(i int) {
		switch {
		case i == 1 || len(errs) == 0:
			meanwhile()
			return
		case i > 1:
			i--
		}
		if i >= len(g.guests) {
			l := &g.links[i-len(g.guests)]
			l.prog, errs[i] = l.load(l.seat, given)
			return
		}
		if first[i] != i {
			return
		}
		s := g.guests[i]
		p := progs[s.program]
		p.Ops |= ops[s.at.level]
		g.progs[i], errs[i] = loadRules(&p, s.at, g.number, g.noted(s.at.level, progs), given)
	})
	for i, of := range first {
		if of != i && errs[of] == nil {
			g.progs[i], errs[i] = g.progs[of].Clone()
		}
	}
	for _, err := range errs {
		if err != nil {
			return err // that of the first one, on any machine
		}
	}
	return nil
}

// sharing gives for each guest the first one that has the same program, those of rows alone being for
// all seats of a level, and for each level what the rows may ask.
func (g *Generation) sharing(progs []codegen.Program) (first []int, ops map[uint32]uint64) {
	first, ops = make([]int, len(g.guests)), map[uint32]uint64{}
	of := map[uint32]int{}
	for i, s := range g.guests {
		first[i] = i
		if !progs[s.program].Rows {
			continue
		}
		ops[s.at.level] |= progs[s.program].Ops
		if same, is := of[s.at.level]; is {
			first[i] = same
		} else {
			of[s.at.level] = i
		}
	}
	return first, ops
}

// noted says whether a program at a level leaves notes: then all there say whose packet comes
// by, and otherwise nobody looks.
func (g *Generation) noted(level uint32, progs []codegen.Program) bool {
	return slices.ContainsFunc(g.guests, func(s *guest) bool {
		p := &progs[s.program]
		return s.at.level == level && (s.guard || p.Shim || p.Whole)
	})
}

// release forgets what the maps hold by now. While the kernel verifies the programs, another
// processor takes back the memory of a long ruleset.
func release(image *rows.Image) {
	const long = 1 << 20 // words
	collect := image != nil && len(image.Rows)+len(image.Index) > long
	image.Release()
	if collect {
		go runtime.GC()
	}
}

// explain names what the kernel lacks, if that may be why it does not load a program.
func explain(err error) error {
	if missing := probe.MissingRights(); missing != nil {
		return missing
	}
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
		if p.Whole {
			continue
		}
		st.Family = p.Family
		st.Rules = max(st.Rules, p.Rules)
		st.Image = p.Image
		if p.Looks {
			st.Needs &= reads(p)
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
		st.Args = p.Args                     // those of all programs are the plan's
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
	failpoint.At("generation pinned")
	if err := g.space.fillHalf(live, g.seats(), nil); err != nil {
		return err
	}
	rules := map[uint32]*ebpf.Program{}
	for i, s := range g.guests {
		rules[s.at.slot()] = g.progs[i]
	}
	if err := g.space.fillHalf(g.number, g.seats(), rules); err != nil {
		return err
	}
	failpoint.At("programs beside")
	return g.link()
}

// pin puts maps and programs under the directory of the generation.
func (g *Generation) pin(shims []ShimProgram) error {
	if err := g.space.setAside(); err != nil {
		return err
	}
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
	failpoint.At("maps pinned")
	if err := g.sets.pin(dir); err != nil {
		return err
	}
	for i, s := range g.guests {
		if err := g.pinProgram(dir, s, g.progs[i]); err != nil {
			return err
		}
	}
	return g.space.pinShims(g.number, shims)
}

// pinProgram pins the program of a seat; once more under the name of its guard, which is
// how Retire knows that it is needed.
func (g *Generation) pinProgram(dir string, s *guest, p *ebpf.Program) error {
	if err := p.Pin(filepath.Join(dir, s.at.pin())); err != nil || !s.guard {
		return err
	}
	again, err := p.Clone()
	if err != nil {
		return err
	}
	defer again.Close()
	return again.Pin(filepath.Join(dir, guardPrefix+s.guardAt().pin()))
}

// seats are those of the generation's programs.
func (g *Generation) seats() []seat {
	out := make([]seat, len(g.guests))
	for i, s := range g.guests {
		out[i] = s.at
	}
	return out
}

// fillHalf puts programs by slot into the half of the program array that belongs to a
// generation. At all other seats that are linked, or about to be, comes one that accepts:
// for the live generation (rules is nil), only where it has nothing yet.
func (s *Space) fillHalf(gen uint32, coming []seat, rules map[uint32]*ebpf.Program) error {
	linked, _, err := s.linked()
	if err != nil {
		return err
	}
	array := s.maps[abi.NetfilterMapProgs]
	accepting := map[seat]*ebpf.Program{}
	defer func() {
		for _, p := range accepting {
			p.Close()
		}
	}()
	for _, at := range slices.Concat(linked, coming) {
		p := rules[at.slot()]
		if p == nil && rules == nil && filled(array, half(gen)+at.slot()) {
			continue
		}
		if p == nil {
			if p, err = s.accepting(accepting, at, gen); err != nil {
				return err
			}
		}
		if err := array.Put(half(gen)+at.slot(), p); err != nil {
			return fmt.Errorf("program for %s: %w", at, err)
		}
	}
	return nil
}

// filled says whether a slot has a program.
func filled(array *ebpf.Map, slot uint32) bool {
	var id uint32
	return array.Lookup(slot, &id) == nil
}

// accepting gives a program that accepts. Places share one: it resets the notes of their
// level at receive hooks and does nothing at OUTPUT.
func (s *Space) accepting(made map[seat]*ebpf.Program, at seat, gen uint32) (*ebpf.Program, error) {
	kind := seat{level: at.level}
	if at.hook == packet.Output {
		kind = seat{hook: packet.Output}
	}
	if made[kind] != nil {
		return made[kind], nil
	}
	pass, err := loadPass(at, gen, s.maps)
	if err == nil {
		made[kind] = pass
	}
	return pass, err
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
