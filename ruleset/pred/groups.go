package pred

import (
	"fmt"
	"slices"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// Groups asks whether the owner of the packet's socket has a supplementary group in the range, if
// FieldSocket is 2 (owner_mt(), net/netfilter/xt_owner.c).
type Groups struct {
	Lo, Hi uint32
	Slot   int
}

func (Groups) isPred() {}

func (p Groups) String() string { return fmt.Sprintf("groups in %d..%d", p.Lo, p.Hi) }

func (p Groups) eval(f *packet.Facts) Answer {
	return Bool(hasOwner(f) && slices.ContainsFunc(f.Sock.Groups, func(g uint32) bool { return p.Lo <= g && g <= p.Hi }))
}
