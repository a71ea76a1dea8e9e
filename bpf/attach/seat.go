package attach

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/bpftables/bpftables/codegen"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// seat is where a link of ours stands, or is to stand: at a hook, at a priority that no
// other link may have. The seats of one priority have a level in common, a small number
// that nothing else in the space has.
type seat struct {
	hook     packet.Hook
	priority int32
	level    uint32
}

// hooksPerLevel is how many slots a level takes: one for each hook.
const hooksPerLevel = uint32(packet.Postrouting) + 1

// maxLevels is NOTE_SLOTS, and slotsHalf is SLOTS_HALF of bpf/netfilter/maps.h: the size of one half
// of the program array. Generations of even and odd numbers take turns. Behind the slots of all seats,
// each level has one for a program of rows alone, to which code gives its packets that is not what the
// rules say any more.
const (
	maxLevels = 16
	seatSlots = maxLevels * hooksPerLevel
	slotsHalf = seatSlots + maxLevels
)

// rowsSlot is where a level has its program of rows alone in a half of the program array.
func rowsSlot(level uint32) uint32 { return seatSlots + level }

// rowsPin is the name of its pin.
func rowsPin(level uint32) string { return fmt.Sprintf("rows-%d", level) }

// slot is the seat's number in a half of the program array.
func (p seat) slot() uint32 { return p.level*hooksPerLevel + uint32(p.hook) }

// note is where the notes are of the packets that a program here sends to netfilter.
func (p seat) note() uint32 { return p.level }

// bare is the seat without its level.
func (p seat) bare() seat { return seat{hook: p.hook, priority: p.priority} }

// String is the seat as people read it.
func (p seat) String() string { return fmt.Sprintf("%s:%d", p.hook, p.priority) }

// pin is the name of the seat's program and link among the pins. It has all that the
// seat is, so that what is pinned can be understood without a list beside it.
func (p seat) pin() string { return fmt.Sprintf("%d-%s", p.level, p) }

// parseSeat reads the name of a pin; false when it is that of something else.
func parseSeat(name string) (p seat, ok bool) {
	level, rest, _ := strings.Cut(name, "-")
	hook, priority, _ := strings.Cut(rest, ":")
	n, err := strconv.ParseUint(level, 10, 32)
	if err != nil || n >= maxLevels {
		return p, false
	}
	at, err := strconv.ParseInt(priority, 10, 32)
	if err != nil {
		return p, false
	}
	for h := packet.Prerouting; h <= packet.Postrouting; h++ {
		if h.String() == hook {
			p = seat{h, int32(at), uint32(n)}
			return p, p.pin() == name
		}
	}
	return p, false
}

// half is where the slots of a generation begin.
func half(gen uint32) uint32 { return gen % 2 * slotsHalf }

// guest is a base chain on its way to a seat.
type guest struct {
	hook     packet.Hook
	priority int32 // of the chain
	guard    bool  // netfilter runs actions at the chain's priority: a guard stands behind it
	late     bool  // or behind the chain where they are ended, which stands behind conntrack
	program  int   // its number among those to be loaded
	table    string
	alone    bool // the chain has matches of its own
	at       seat
	behind   int32 // priority of the guard
}

// guardAt is the seat of the guard's link; its level is where it looks for notes.
func (s *guest) guardAt() seat { return seat{s.hook, s.behind, s.at.level} }

// lateGuards is the priority of guards behind the chains that end actions right behind conntrack
// (NF_IP_PRI_CONNTRACK, include/uapi/linux/netfilter_ipv4.h).
const lateGuards = -200 + 2

// guardPriority is where the guard belongs.
func (s *guest) guardPriority() int64 {
	if s.late {
		return lateGuards
	}
	return int64(s.priority) + 1
}

// guestsOf are the base chains of programs, in the order in which packets meet them: by
// hook, by priority, and among equals as they come.
func guestsOf(progs []codegen.Program) []*guest {
	var out []*guest
	for i := range progs {
		p := &progs[i]
		out = append(out, &guest{hook: p.Hook, priority: p.Priority, guard: p.Shim, late: p.Late, program: i, table: p.Table, alone: p.Whole || p.Alone})
	}
	return out
}
