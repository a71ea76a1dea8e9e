package translate

import (
	"github.com/bpftables/bpftables/ruleset/pred"
)

// How is who runs an effect.
type How uint8

// The ways, from the best to the last.
const (
	Own   How = iota // the programs themselves
	Told             // somebody whom the programs tell, packet by packet
	Never            // nobody: the table is left to somebody else as a whole
)

// Can is a datapath's answer to whether it runs an effect of rules that packets meet at
// some hooks (1 << packet.Hook). Reason says why not, with the kernel source.
type Can func(e pred.Effect, hooks uint8) (how How, reason string)

// can asks the datapath.
func (t *table) can(e pred.Effect, hooks uint8) (How, string) {
	if t.o.Can == nil {
		return Never, "this datapath runs no effects"
	}
	return t.o.Can(e, hooks)
}
