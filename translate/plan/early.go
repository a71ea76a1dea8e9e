package plan

import (
	"fmt"
	"strings"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// Early is the way of a received packet, rewritten for a stage where less is known:
// before routing, conntrack and netfilter. Its rules have the action Up where the packet
// must be judged by the hooks; all conditions can be asked there.
type Early struct {
	Chains []*EarlyChain
	// Classes are the classified chains on the way: their numbers follow those of the
	// plan's own.
	Classes []*Class
	Exact   bool // the packet goes up wherever a counter could come out differently
}

// EarlyChain is a base chain on the way, with the other chains that it calls.
type EarlyChain struct {
	Table  string
	Hook   packet.Hook
	Symbol string  // the hole of the datapath that it fills (bpf/early/stage.h)
	Funcs  []*Func // Funcs[0] is the base chain; the symbols begin with Symbol
}

func (e *Early) write(b *strings.Builder) {
	fmt.Fprintf(b, "early exact=%t\n", e.Exact)
	for _, c := range e.Classes {
		c.write(b)
	}
	for _, c := range e.Chains {
		fmt.Fprintf(b, "  chain %s %s\n", c.Table, c.Hook)
		for _, f := range c.Funcs {
			f.write(b)
		}
	}
}
