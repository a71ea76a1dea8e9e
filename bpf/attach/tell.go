package attach

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/bpf/failpoint"
	"github.com/bpftables/bpftables/codegen/rows/layout"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// Base is a base chain of an installed generation; Class is the number of its class.
type Base struct {
	Class    int
	Hook     packet.Hook
	Priority int32
}

// Seated finds the seats of the base chains of a table of an installed generation; alone says that each has notes of its own.
func (g *Generation) Seated(table string, bases []Base, alone bool) error {
	c, err := g.Classes()
	if err != nil || c == nil {
		return errors.Join(err, errNoRows)
	}
	defer c.Close()
	g.guests, err = g.telling(c.Memory, table, bases, alone)
	return err
}

// Tell makes the programs at the seats that Seated has found, of a table which has told netfilter nothing so far, able to leave notes, and puts
// up guards behind the rules of netfilter that are to take them. From
// then on every packet says at the seats of the table that nothing is noted for it. Rules come next: packets that are
// in a hook already go on over what stood there when they came (nf_hook_slow(), net/netfilter/core.c).
func (g *Generation) Tell() error {
	c, err := g.Classes()
	if err != nil || c == nil {
		return errors.Join(err, errNoRows)
	}
	defer c.Close()
	if err := errors.Join(g.space.makeShared(), g.setNoted(c.Memory)); err != nil {
		return err
	}
	failpoint.At("noted")
	if err := g.link(); err != nil {
		return err // somebody may stand there: as nothing is pinned, nothing is missing
	}
	failpoint.At("guards linked")
	for _, s := range g.guests {
		if err := g.pinGuard(g.space.genDir(g.number), s); err != nil {
			return err
		}
	}
	return nil
}

var errNoRows = errors.New("there are no rows")

// telling are the guests of a table at the seats that they have, with guards behind them.
func (g *Generation) telling(m *layout.Memory, table string, bases []Base, alone bool) ([]*guest, error) {
	linked, guards, err := g.space.linked()
	if err != nil {
		return nil, err
	}
	var out []*guest
	for _, b := range bases {
		i := slices.IndexFunc(linked, func(at seat) bool {
			return at.hook == b.Hook && m.Seat(at.level, uint32(at.hook))[abi.SeatBase] == uint32(b.Class)+1
		})
		if i < 0 || linked[i].priority >= b.Priority {
			return nil, fmt.Errorf("the base chain at %s, priority %d, has no program right before it", b.Hook, b.Priority)
		}
		s := &guest{hook: b.Hook, priority: b.Priority, guard: true, table: table, alone: alone, at: linked[i]}
		s.behind = int32(s.guardPriority())
		if slices.ContainsFunc(linked, func(at seat) bool { return at.bare() == s.guardAt().bare() }) {
			return nil, &NoSeatError{Hook: b.Hook, Priority: b.Priority}
		}
		out = append(out, s)
	}
	return out, level(out, guards)
}

// setNoted has the programs at all seats of the guests' levels say whose packets come by, and those of the guests leave
// notes, unless they do. Code that does neither gives its packets to rows, which say the same.
func (g *Generation) setNoted(m *layout.Memory) error {
	for _, s := range g.guests {
		for hook := range abi.SeatHooks {
			want := abi.SeatNoted
			if hook == uint32(s.hook) {
				want |= abi.SeatShim
			}
			if err := setFlags(m, m.Seat(s.at.level, hook), want); err != nil {
				return fmt.Errorf("%s: %w", s.at, err)
			}
		}
	}
	return nil
}

// setFlags adds flags to a seat; what code does cannot be changed.
func setFlags(m *layout.Memory, seat []uint32, flags uint32) error {
	if seat[abi.SeatFlags]&flags == flags {
		return nil
	}
	if seat[abi.SeatFlags]&abi.SeatCoded != 0 {
		if seat[abi.SeatFlags]&abi.SeatRuns == 0 {
			return errors.New("what stands at the level is code alone")
		}
		layout.Store(&seat[abi.SeatCodeDead], min(seat[abi.SeatCodeDead], m.Version()))
	}
	layout.Store(&seat[abi.SeatFlags], seat[abi.SeatFlags]|flags)
	return nil
}

// pinGuard pins the program of a guest's seat under the name of its guard, too; see pinProgram.
func (g *Generation) pinGuard(dir string, s *guest) error {
	p, err := ebpf.LoadPinnedProgram(filepath.Join(dir, s.at.pin()), nil)
	if err != nil {
		return err
	}
	defer p.Close()
	return g.repinProgram(guardPrefix+s.guardAt().pin(), p)
}
