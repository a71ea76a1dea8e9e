package match

import (
	"fmt"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// pkttypeKind is -m pkttype (net/netfilter/xt_pkttype.c).
var pkttypeKind = &ruleset.MatchKind{
	Name:     "pkttype",
	Families: ruleset.Both,
	Doc:      "to whom the link layer addressed the packet",
	Options:  []ruleset.Option{{Name: "pkt-type", NArgs: 1, Negate: true, Help: "unicast (to us), broadcast, multicast or otherhost"}},
	New:      func() ruleset.MatchBuilder { return &pkttype{} },
}

// pkttype is -m pkttype.
type pkttype struct {
	given
	want   uint8 // PACKET_*
	negate bool
}

// PACKET_* of include/uapi/linux/if_packet.h.
const (
	packetBroadcast = 1
	packetMulticast = 2
	packetLoopback  = 5
)

var pkttypes = []string{"unicast", "broadcast", "multicast", "otherhost"}

var pkttypeAliases = map[string]uint8{"bcast": packetBroadcast, "mcast": packetMulticast, "host": 0}

// Set takes one option.
func (m *pkttype) Set(_ *ruleset.Env, option string, negate bool, args []string) error {
	if err := m.once(option); err != nil {
		return err
	}
	m.negate = negate
	name := strings.ToLower(args[0])
	for i, known := range pkttypes {
		if name == known {
			m.want = uint8(i)
			return nil
		}
	}
	want, ok := pkttypeAliases[name]
	if !ok {
		return ruleset.InWords(fmt.Errorf("--%s: %q is not one of %s", option, args[0], strings.Join(pkttypes, ", ")), "Bad packet type '%s'", args[0])
	}
	m.want = want
	return nil
}

// Done is called after the last option.
func (m *pkttype) Done(*ruleset.Env) error { return m.need("pkt-type") }

// Match gives the match itself.
func (m *pkttype) Match() ruleset.Match { return m }

// Word is "pkttype".
func (m *pkttype) Word() string { return "pkttype" }

// Args prints as pkttype_save() of libxt_pkttype.c.
func (m *pkttype) Args() []string {
	return append(append([]string{"-m", "pkttype"}, bang(m.negate)...), "--pkt-type", pkttypes[m.want])
}

// Check refuses nothing.
func (m *pkttype) Check(*ruleset.Place) error { return nil }

// Eval is pkttype_mt(): what the loopback interface brought back is told by its
// address.
func (m *pkttype) Eval(f *packet.Facts) pred.Answer {
	t := f.PktType
	if t == packetLoopback {
		t = packetBroadcast
		if f.Family == packet.IPv6 || f.Dst().IsMulticast() {
			t = packetMulticast
		}
	}
	return answer(t == m.want, m.negate)
}

// Lower gives the same in predicates.
func (m *pkttype) Lower(*ruleset.Place) pred.Pred {
	return pred.Negated(pred.Eq(pred.FieldPktType, uint32(m.want)), m.negate)
}
