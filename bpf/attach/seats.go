package attach

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/codegen"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// NoSeatError says that a base chain of ours has no seat among those of others.
type NoSeatError struct {
	Hook     packet.Hook
	Priority int32
}

// Error names the seat and what would do.
func (e *NoSeatError) Error() string {
	return fmt.Sprintf("no program can be linked for the chain at %s, priority %d: others stand right before it and at it; move one of them by one", e.Hook, e.Priority)
}

// takeSeats gives every base chain a seat: one before its own priority, where netfilter
// may have a table that runs actions for it, or further down where other chains of ours
// stand; else at its priority. Never does it pass something of others. A chain's guard
// stands one behind where netfilter has done all of its actions. look tells where something is: a BPF link shares its priority
// with nothing (nf_hook_entries_grow(), net/netfilter/core.c). Links of ours that are about to
// go, as their pins are gone, are passed.
func takeSeats(guests []*guest, look func(packet.Hook, int32) found) error {
	for h := packet.Prerouting; h <= packet.Postrouting; h++ {
		var here []*guest
		for _, s := range guests {
			if s.hook == h {
				here = append(here, s)
			}
		}
		slices.SortStableFunc(here, func(a, b *guest) int { return cmp.Compare(a.priority, b.priority) })
		if failed := sit(here, noLimit, look); failed != nil {
			return &NoSeatError{Hook: h, Priority: failed.priority}
		}
	}
	return nil
}

// found is what stands at a priority.
type found int

const (
	nothing found = iota
	ofOthers
	leaving // a link of ours whose pin is gone
)

// pass goes from a priority on, in steps, to the first at which no link of ours is leaving.
func pass(h packet.Hook, from, step int64, look func(packet.Hook, int32) found) int64 {
	for from >= -1<<31 && from < 1<<31 && look(h, int32(from)) == leaving {
		from += step
	}
	return from
}

// noLimit is above every priority, one behind it included.
const noLimit = int64(1) << 32

// sit seats the last of some chains below a limit, then those before it; it gives a chain
// that has no seat.
func sit(guests []*guest, limit int64, look func(packet.Hook, int32) found) *guest {
	if len(guests) == 0 {
		return nil
	}
	s := guests[len(guests)-1]
	before := int64(s.priority) - 1
	if s.guard {
		behind := pass(s.hook, s.guardPriority(), 1, look)
		if behind >= limit || behind >= 1<<31 || look(s.hook, int32(behind)) != nothing {
			return s
		}
		s.behind = int32(behind)
		limit = int64(s.priority)
	}
	failed := s
	for _, try := range []int64{pass(s.hook, min(before, limit-1), -1, look), int64(s.priority)} {
		if try >= limit || try < -1<<31 || look(s.hook, int32(try)) != nothing {
			continue
		}
		s.at = seat{hook: s.hook, priority: int32(try)}
		if failed = sit(guests[:len(guests)-1], try, look); failed == nil {
			return nil
		}
	}
	return failed
}

// number gives the seats their levels: those that the priorities have already, else free
// ones.
func number(guests []*guest, linked []seat) error {
	levels, taken := map[int32]uint32{}, map[uint32]bool{}
	for _, p := range linked {
		levels[p.priority], taken[p.level] = p.level, true
	}
	for _, s := range guests {
		level, ok := levels[s.at.priority]
		for ; !ok && taken[level]; level++ {
		}
		if level >= maxLevels {
			return fmt.Errorf("base chains stand at more than %d different priorities; give some of them the same", maxLevels)
		}
		levels[s.at.priority], taken[level] = level, true
		s.at.level = level
	}
	return nil
}

// seats finds seats for programs beside the links that are there. Without probing,
// nothing of others is looked for.
func (s *Space) seats(progs []codegen.Program, probing bool) ([]*guest, error) {
	entries, guards, err := s.linked()
	if err != nil {
		return nil, err
	}
	p := prober{space: s, ours: map[seat]bool{}, known: map[seat]found{}}
	defer p.close()
	for _, at := range slices.Concat(entries, guards) {
		p.ours[at.bare()] = true
	}
	look := p.look
	if !probing {
		look = func(h packet.Hook, priority int32) found { return p.known[seat{hook: h, priority: priority}] }
	}
	out, err := settle(progs, entries, guards, look, p.leaves)
	return out, errors.Join(err, p.err)
}

// settle finds seats beside entries and guards that are linked; leaves has look say that a linked
// guard is about to go.
func settle(progs []codegen.Program, entries, guards []seat, look func(packet.Hook, int32) found, leaves func(seat)) ([]*guest, error) {
	for {
		out := guestsOf(progs)
		if err := takeSeats(out, look); err != nil {
			return nil, err
		}
		if err := number(out, entries); err != nil {
			return nil, err
		}
		stale := staleGuards(out, guards)
		if len(stale) == 0 {
			return out, level(out, guards)
		}
		for _, at := range stale {
			leaves(at)
		}
	}
}

// staleGuards are linked guards where chains are to have guards of another level: what was linked
// with them has other seats than the chains have now, as somebody removes pins while we link.
func staleGuards(guests []*guest, guards []seat) (out []seat) {
	for _, s := range guests {
		if g, ok := s.guardOf(guards); ok && g.level != s.at.level {
			out = append(out, g)
		}
	}
	return out
}

// guardOf is the guard, among those that are linked, at the seat of the chain's own.
func (s *guest) guardOf(guards []seat) (seat, bool) {
	for _, g := range guards {
		if s.guard && g.hook == s.hook && g.priority == s.behind {
			return g, true
		}
	}
	return seat{}, false
}

// level refuses tables whose notes would lie at several levels: the matches that
// netfilter asks are for a whole table, and a guard that is linked has its level.
func level(guests []*guest, guards []seat) error {
	of := map[string]uint32{}
	for _, s := range guests {
		if !s.guard {
			continue
		}
		notes := s.table
		if s.alone {
			notes += fmt.Sprintf(" %s %d", s.hook, s.priority)
		}
		have, ok := of[notes]
		if g, linked := s.guardOf(guards); linked {
			have, ok = g.level, true
		}
		if ok && have != s.at.level {
			return &NoSeatError{Hook: s.hook, Priority: s.priority}
		}
		of[notes] = s.at.level
	}
	return nil
}

const guardPrefix = "guard-"

// linked are the seats whose links are pinned, and those of the guards' links.
func (s *Space) linked() (entries, guards []seat, err error) {
	if s.aside {
		return nil, nil, nil
	}
	files, err := os.ReadDir(s.linkDir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	for _, f := range files {
		name, guard := strings.CutPrefix(f.Name(), guardPrefix)
		p, ok := parseSeat(name)
		switch {
		case ok && guard:
			guards = append(guards, p)
		case ok:
			entries = append(entries, p)
		}
	}
	return entries, guards, err
}

// prober asks the kernel whether a priority is free, by linking a program there that
// accepts, for a moment.
type prober struct {
	space *Space
	ours  map[seat]bool // without levels
	known map[seat]found
	prog  *ebpf.Program
	err   error
}

func (p *prober) look(h packet.Hook, priority int32) found {
	at := seat{hook: h, priority: priority}
	if p.ours[at] {
		return nothing
	}
	if is, ok := p.known[at]; ok {
		return is
	}
	is, err := p.ask(at)
	p.err = cmp.Or(p.err, err)
	p.known[at] = is
	return is
}

// leaves has a link of ours be passed.
func (p *prober) leaves(at seat) {
	delete(p.ours, at.bare())
	p.known[at.bare()] = leaving
}

// ask waits for what is about to be gone.
func (p *prober) ask(at seat) (found, error) {
	for deadline := time.Now().Add(leavingFor); ; time.Sleep(time.Millisecond) {
		free, err := p.try(at)
		if err != nil || free {
			return nothing, err
		}
		if is, err := p.space.seated(at); err != nil || is != nothing || time.Now().After(deadline) {
			return cmp.Or(is, ofOthers), err
		}
	}
}

func (p *prober) try(at seat) (free bool, err error) {
	if p.prog == nil {
		p.prog, err = ebpf.NewProgram(&ebpf.ProgramSpec{
			Name: "free", Type: ebpf.Netfilter, AttachType: ebpf.AttachNetfilter, License: "GPL",
			Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 1), asm.Return()},
		})
		if err != nil {
			return false, fmt.Errorf("program for a hook of netfilter: %w", explain(err))
		}
	}
	l, err := link.AttachNetfilter(p.space.linkOptions(p.prog, at))
	if errors.Is(err, unix.EBUSY) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("link at %s: %w", at, err)
	}
	return true, l.Close()
}

func (p *prober) close() {
	if p.prog != nil {
		p.prog.Close()
	}
}

// noSeat says which table it is that has no seat.
func noSeat(progs []codegen.Program, err error) error {
	var none *NoSeatError
	if !errors.As(err, &none) {
		return err
	}
	for i := range progs {
		if p := &progs[i]; p.Hook == none.Hook && p.Priority == none.Priority {
			return &RefusedError{Table: p.Table, Hook: p.Hook, Reason: none.Error(), Err: err}
		}
	}
	return err
}
