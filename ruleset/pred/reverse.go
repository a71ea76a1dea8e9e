package pred

import (
	"fmt"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// ReversePath asks whether a packet to the source of this one would leave by the interface it came
// in on (rpfilter_mt(), net/ipv4/netfilter/ipt_rpfilter.c).
type ReversePath struct{ packet.ReversePath }

func (ReversePath) isPred() {}

func (p ReversePath) String() string { return fmt.Sprintf("reverse-path(%+v)", p.ReversePath) }

func (p ReversePath) eval(f *packet.Facts) Answer { return Bool(ReversePathOf(f.World, p.ReversePath)) }

// ReversePathOf is what routing says in a world; one that does not know has the route.
func ReversePathOf(w *packet.World, how packet.ReversePath) bool {
	return w.ReversePath == nil || w.ReversePath(how)
}
