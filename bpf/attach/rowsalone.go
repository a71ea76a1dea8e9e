package attach

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cilium/ebpf"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/bpf/failpoint"
	"github.com/bpftables/bpftables/codegen"
	"github.com/bpftables/bpftables/codegen/rows"
	"github.com/bpftables/bpftables/codegen/rows/layout"
)

// reads is what a program reads of each packet.
func reads(p *codegen.Program) uint32 {
	if p.Rows {
		return abi.NeedRowsAlone | p.Needs
	}
	return p.Needs
}

// setRowsAlone makes a program one of rows alone, for all seats of its level: what is not the
// same at all of them the index says.
func setRowsAlone(spec *ebpf.CollectionSpec) error {
	return set(spec, map[string]uint32{
		abi.NetfilterVarRowsAlone: 1, abi.NetfilterVarNeeds: abi.NeedRowsAlone, abi.NetfilterVarAtomic: 1,
		abi.NetfilterVarShim: 0, abi.NetfilterVarTranslates: 0, abi.NetfilterVarBaseClass: 0, abi.NetfilterVarHookNumber: 0,
	})
}

// setSeats writes what the index says of seats, for programs of rows alone.
func (g *Generation) setSeats(progs []codegen.Program, image *rows.Image) {
	for _, s := range g.guests {
		p := &progs[s.program]
		if p.Seat == 0 {
			continue
		}
		flags := p.Needs & (abi.NeedMac | abi.NeedTracked)
		for _, f := range []struct {
			set  bool
			flag uint32
		}{{g.noted(s.at.level, progs), abi.SeatNoted}, {p.Shim, abi.SeatShim}, {p.NAT, abi.SeatNAT}, {!p.Rows, abi.SeatCoded}} {
			if f.set {
				flags |= f.flag
			}
		}
		image.SetSeat(s.at.level, uint32(p.Hook), uint32(p.Seat), flags)
	}
}

// Widen makes programs of rows alone able to run some instructions for some base chains. Where such a
// program stands, another comes in its place, one seat after the other; where code stands, it comes
// beside that. Rules that ask for these instructions may be put in place behind it.
func (g *Generation) Widen(bases []int, ops uint64) error {
	c, err := g.Classes()
	if err != nil || c == nil {
		return errors.Join(err, errNoRows)
	}
	defer c.Close()
	seats, err := g.rowsSeats(c.Memory, bases)
	if err != nil {
		return err
	}
	given, err := g.installedMaps()
	if err != nil {
		return err
	}
	defer closeMaps(given)
	for level, at := range seats {
		p, err := g.loadRowsAlone(level, c.Memory, ops|c.LevelInstructions(level), given)
		if err != nil {
			return explain(err)
		}
		if err := errors.Join(g.putRowsAlone(c.Memory, level, at, p), p.Close()); err != nil {
			return err
		}
	}
	return nil
}

// putRowsAlone puts a program where packets of some seats of a level get to it.
func (g *Generation) putRowsAlone(m *layout.Memory, level uint32, seats []seat, p *ebpf.Program) error {
	beside := false
	for _, at := range seats {
		if m.Seat(level, uint32(at.hook))[abi.SeatFlags]&abi.SeatCoded != 0 {
			beside = true
			continue
		}
		if err := g.replaceProgram(at.pin(), at.slot(), p); err != nil {
			return err
		}
	}
	if !beside {
		return nil
	}
	if err := g.replaceProgram(rowsPin(level), rowsSlot(level), p); err != nil {
		return err
	}
	for _, at := range seats {
		m.Seat(level, uint32(at.hook))[abi.SeatFlags] |= abi.SeatRuns
	}
	return nil
}

// rowsSeats are the seats of some base chains, by level.
func (g *Generation) rowsSeats(m *layout.Memory, bases []int) (map[uint32][]seat, error) {
	linked, _, err := g.space.linked()
	out, missing := map[uint32][]seat{}, len(bases)
	for _, at := range linked {
		if base := m.Seat(at.level, uint32(at.hook))[abi.SeatBase]; base != 0 && slices.Contains(bases, int(base)-1) {
			out[at.level] = append(out[at.level], at)
			missing--
		}
	}
	if err == nil && missing != 0 {
		err = errors.New("a base chain has no rows")
	}
	return out, err
}

// installedMaps opens the maps that programs of the generation use.
func (g *Generation) installedMaps() (map[string]*ebpf.Map, error) {
	spec, err := datapath()
	if err != nil {
		return nil, err
	}
	out := map[string]*ebpf.Map{}
	for name := range spec.Maps {
		if strings.HasPrefix(name, ".") {
			continue // a section: a program's own
		}
		m, err := ebpf.LoadPinnedMap(filepath.Join(g.space.genDir(g.number), name), nil)
		if errors.Is(err, fs.ErrNotExist) {
			m, err = g.space.sharedClone(name)
		}
		if err != nil {
			closeMaps(out)
			return nil, fmt.Errorf("map %s: %w", name, err)
		}
		if m != nil {
			out[name] = m
		}
	}
	return out, nil
}

// sharedClone is a map of the namespace, for the caller to close; nil: it has none of that name.
func (s *Space) sharedClone(name string) (*ebpf.Map, error) {
	if !slices.Contains(sharedMaps, name) {
		return nil, nil
	}
	m, err := s.shared(name)
	if err != nil || m == nil {
		return nil, err
	}
	return m.Clone()
}

// loadRowsAlone loads the program of a level.
func (g *Generation) loadRowsAlone(level uint32, m *layout.Memory, ops uint64, given map[string]*ebpf.Map) (*ebpf.Program, error) {
	p := &codegen.Program{Family: g.space.family, Rows: true, Ops: ops, Base: 1}
	spec, prog, err := specOf(p, seat{level: level}, g.number)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(setRowsAlone(spec), setMemory(spec, m, ops)); err != nil {
		return nil, err
	}
	return loadGenerated(p, spec, prog, given)
}

// replaceProgram puts a program under a pin and into a slot, in the place of what is there.
func (g *Generation) replaceProgram(pin string, slot uint32, p *ebpf.Program) error {
	if err := g.repinProgram(pin, p); err != nil {
		return err
	}
	failpoint.At("wider program pinned")
	if err := g.fillSlot(slot, p); err != nil {
		return err
	}
	failpoint.At("wider program")
	return nil
}

// repinProgram puts a program under a pin.
func (g *Generation) repinProgram(pin string, p *ebpf.Program) error {
	again, err := p.Clone() // it may be pinned elsewhere, too
	if err != nil {
		return err
	}
	defer again.Close()
	return repin(again.Pin, filepath.Join(g.space.genDir(g.number), pin))
}

// fillSlot puts a program into a slot of the generation.
func (g *Generation) fillSlot(slot uint32, p *ebpf.Program) error {
	array, err := g.space.shared(abi.NetfilterMapProgs)
	if err != nil {
		return err
	}
	if err := array.Put(half(g.number)+slot, p); err != nil {
		return fmt.Errorf("program for slot %d: %w", slot, err)
	}
	return nil
}
