package match

import (
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// udpKind is -m udp. iptables 1.8.9 has no -m udplite; ports of UDP-Lite are asked
// with multiport.
var udpKind = &ruleset.MatchKind{
	Name:     "udp",
	Protos:   []uint8{protoUDP},
	Families: ruleset.Both,
	Doc:      "ports of UDP; needs -p udp",
	Options:  portOptions,
	New:      func() ruleset.MatchBuilder { return &udp{ports: portPair{anyPort, anyPort}} },
}

// udp is -m udp.
type udp struct {
	given
	ports portPair
}

// Set takes one option.
func (m *udp) Set(env *ruleset.Env, option string, negate bool, args []string) error {
	_, err := m.ports.set(&m.given, option, negate, func() (lo, hi uint16, err error) {
		return parsePortRange(env, option, args[0])
	})
	return err
}

// Done is called after the last option.
func (m *udp) Done(*ruleset.Env) error { return nil }

// Match gives the match itself.
func (m *udp) Match() ruleset.Match { return m }

// Word is "udp".
func (m *udp) Word() string { return "udp" }

// Args prints as udp_save() of libxt_udp.c.
func (m *udp) Args() []string { return ruleset.WordsOf(m.AppendText(nil)) }

// AppendText appends what iptables-save prints.
func (m *udp) AppendText(b []byte) []byte {
	b = append(b, "-m udp"...)
	if !m.ports.src.full() {
		b = m.ports.src.appendText(b, "--sport")
	}
	if !m.ports.dst.full() {
		b = m.ports.dst.appendText(b, "--dport")
	}
	return b
}

// ExactArgs has a negated range of all ports, too: it matches nothing.
func (m *udp) ExactArgs() []string { return m.ports.exact(m.Args) }

// Check wants -p udp.
func (m *udp) Check(in *ruleset.Place) error { return needProtocol(in, protoUDP) }

// Eval is udp_mt() of net/netfilter/xt_tcpudp.c.
func (m *udp) Eval(f *packet.Facts) pred.Answer {
	uh, a := l4Header(f, 8)
	if a != pred.Yes {
		return a
	}
	return pred.Bool(m.ports.has(uh))
}

// Lower gives the same in predicates.
func (m *udp) Lower(*ruleset.Place) pred.Pred {
	return simplify(append(lowerL4Header(8), m.ports.src.lower(0), m.ports.dst.lower(2)))
}
