package attach

import (
	"fmt"

	"github.com/bpftables/bpftables/codegen"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// place is a hook of a table that runs in BPF. Its index in places is its slot in the
// program array.
type place struct {
	table    string
	hook     packet.Hook
	note     uint32 // slot of the table's notes
	priority int32  // of the link: one before the table (enum nf_ip_hook_priorities)
}

// slotsHalf is the size of one half of the program array: generations of even
// and odd numbers take turns.
const slotsHalf = 8

var places = [slotsHalf]place{
	{"raw", packet.Prerouting, 0, -301},
	{"raw", packet.Output, 0, -301},
	{"filter", packet.Input, 1, -1},
	{"filter", packet.Forward, 1, -1},
	{"filter", packet.Output, 1, -1},
	{"security", packet.Input, 2, 49},
	{"security", packet.Forward, 2, 49},
	{"security", packet.Output, 2, 49},
}

// String is the name of the place's link among the pins.
func (p place) String() string { return p.table + "-" + p.hook.String() }

// passKind is the same for places that can share a program that accepts: it resets the
// table's notes at receive hooks and does nothing at OUTPUT.
func (p place) passKind() place {
	if p.hook == packet.Output {
		return place{hook: packet.Output}
	}
	return place{note: p.note}
}

// slotOf finds the slot of a program.
func slotOf(p *codegen.Program) (int, error) {
	for i, pl := range places {
		if pl.table == p.Table && pl.hook == p.Hook {
			return i, nil
		}
	}
	return 0, fmt.Errorf("table %s has no BPF hook at %s", p.Table, p.Hook)
}

// half is where the slots of a generation begin.
func half(gen uint32) uint32 { return gen % 2 * slotsHalf }
