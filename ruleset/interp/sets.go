package interp

import (
	"time"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// LoadSets puts the elements of named sets into a world.
func LoadSets(w *packet.World, sets []*ruleset.Set) {
	for _, s := range sets {
		state := pred.StateOf(w, s.Name)
		state.Size = s.Room()
		for _, e := range s.Elements {
			expires := uint64(0)
			if e.Timeout > 0 {
				expires = w.Nanoseconds() + uint64(e.Timeout/time.Nanosecond)
			}
			state.Elements[string(e.Key)] = expires
		}
	}
}
