package attach

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/bpf/failpoint"
	"github.com/bpftables/bpftables/codegen"
	"github.com/bpftables/bpftables/codegen/rows"
	"github.com/bpftables/bpftables/codegen/rows/edit"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/parallel"
)

// Added is what a base chain of a table that was added has: the number of its class, and the counter slot
// of its policy.
type Added struct {
	Class int
	Slot  uint32
}

// AddTable puts programs of rows alone before the base chains of a table that an installed generation does
// not have, as progs describe them. The chains have no rules and accept. used says which classes chains have: what a
// process left that was killed here, no chain has.
func (g *Generation) AddTable(progs []codegen.Program, used func(class int) bool) ([]Added, error) {
	c, err := g.Classes()
	if err != nil || c == nil {
		return nil, errors.Join(err, errNoRows)
	}
	defer c.Close()
	if err := g.space.makeShared(); err != nil {
		return nil, err
	}
	if g.guests, err = g.space.seats(progs, true); err != nil {
		return nil, err
	}
	added, err := g.addBases(c.Chains, progs, used)
	if err != nil {
		return nil, err
	}
	failpoint.At("base chains")
	loaded, err := g.addPrograms(c.Chains)
	if err != nil {
		return nil, explain(err)
	}
	defer closePrograms(loaded)
	failpoint.At("programs of base chains")
	if err := g.link(); err != nil {
		return nil, err // somebody may stand there: as nothing is pinned, nothing is missing
	}
	failpoint.At("base chains linked")
	for _, s := range g.guests {
		if p := loaded[s.at.level]; p != nil {
			if err := g.repinProgram(s.at.pin(), p); err != nil {
				return nil, err
			}
			failpoint.At("program of a base chain")
		}
	}
	return added, nil
}

// addBases gives the guests' seats base chains; where a killed process has done so already, they keep
// them.
func (g *Generation) addBases(m *edit.Chains, progs []codegen.Program, used func(int) bool) ([]Added, error) {
	var hooks []packet.Hook
	var added []Added
	for _, s := range g.guests {
		hooks = append(hooks, s.hook)
		base := int(m.Seat(s.at.level, uint32(s.hook))[abi.SeatBase]) - 1
		if base >= 0 && used(base) {
			return nil, fmt.Errorf("another base chain stands at %s", s.at)
		}
		if base >= 0 {
			added = append(added, Added{base, m.PolicySlot(base)})
		}
	}
	if len(added) == len(hooks) {
		return added, nil
	}
	bases, slots, err := m.NewTable(hooks, rows.FirstOps(m.Memory))
	if err != nil {
		return nil, err
	}
	added = nil
	for i, s := range g.guests {
		flags := m.Seat(s.at.level, uint32(s.hook))[abi.SeatFlags] & abi.SeatNoted // others at the level may leave notes
		if progs[s.program].NAT {
			flags |= abi.SeatNAT
		}
		m.SetSeat(s.at.level, uint32(s.hook), uint32(bases[i])+1, flags)
		added = append(added, Added{bases[i], slots[i]})
	}
	return added, nil
}

// addPrograms loads a program for each level of the guests, unless it is there, and puts it where packets will get to it.
// It gives those that were loaded.
func (g *Generation) addPrograms(m *edit.Chains) (map[uint32]*ebpf.Program, error) {
	var levels []uint32
	for _, s := range g.guests {
		_, err := os.Stat(filepath.Join(g.space.genDir(g.number), s.at.pin()))
		if errors.Is(err, fs.ErrNotExist) && !slices.Contains(levels, s.at.level) {
			levels = append(levels, s.at.level)
		}
	}
	given, err := g.installedMaps()
	if err != nil {
		return nil, err
	}
	defer closeMaps(given)
	loaded, errs := make([]*ebpf.Program, len(levels)), make([]error, len(levels))
	parallel.Each(len(levels), func(i int) {
		loaded[i], errs[i] = g.loadRowsAlone(levels[i], m.Memory, m.LevelInstructions(levels[i]), given)
	})
	out := map[uint32]*ebpf.Program{}
	for i, level := range levels {
		if loaded[i] != nil {
			out[level] = loaded[i]
		}
	}
	err = errors.Join(errs...)
	for _, s := range g.guests {
		if p := out[s.at.level]; p != nil && err == nil {
			err = g.fillSlot(s.at.slot(), p)
			failpoint.At("slot of a base chain")
		}
	}
	if err != nil {
		closePrograms(out)
		return nil, err
	}
	return out, nil
}

func closePrograms(all map[uint32]*ebpf.Program) {
	for _, p := range all {
		p.Close()
	}
}
