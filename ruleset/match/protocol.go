package match

import (
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// Protocol numbers that words ask for.
const (
	protoICMP    = 1
	protoTCP     = 6
	protoUDP     = 17
	protoDCCP    = 33
	protoESP     = 50
	protoAH      = 51
	protoICMPv6  = 58
	protoIPComp  = 108
	protoSCTP    = 132
	protoMH      = 135
	protoUDPLite = 136
)

// protoNames is xtables_chain_protos (libxtables/xtables.c): names that iptables
// knows without asking the system. The first name of a number is printed.
var protoNames = []struct {
	name   string
	number uint8
}{
	{"tcp", protoTCP}, {"sctp", protoSCTP}, {"udp", protoUDP}, {"udplite", protoUDPLite}, {"icmp", protoICMP},
	{"ipv6-icmp", protoICMPv6}, {"icmpv6", protoICMPv6}, {"esp", protoESP}, {"ah", protoAH},
	{"mobility-header", protoMH}, {"ipv6-mh", protoMH}, {"mh", protoMH}, {"all", 0},
}

// protocolMatch is -p.
type protocolMatch struct {
	number uint8
	name   string // as iptables-save prints it
	negate bool
}

// NewProtocol makes -p. The resolver gives the names of protocols that iptables
// does not know by itself; nil: they are printed as numbers.
func NewProtocol(number uint8, negate bool, r ruleset.Resolver) ruleset.Match {
	name, ok := protocolName(number, r)
	if !ok {
		name = fmt.Sprint(number)
	}
	return &protocolMatch{number, name, negate}
}

// ParseProtocol reads the argument of -p: a number, or a name in any case.
func ParseProtocol(text string, r ruleset.Resolver) (uint8, error) {
	text = strings.ToLower(text)
	if n, rest, ok := strtou(text); ok && rest == "" && n <= 255 {
		return uint8(n), nil
	}
	for _, p := range protoNames {
		if p.name == text {
			return p.number, nil
		}
	}
	if r != nil {
		if n, ok := r.Protocol(text); ok {
			return n, nil
		}
	}
	return 0, fmt.Errorf("unknown protocol %q; give a name of /etc/protocols or a number up to 255", text)
}

// ProtocolName is the name that iptables prints for a protocol; r may be nil.
func ProtocolName(number uint8, r ruleset.Resolver) (string, bool) { return protocolName(number, r) }

func protocolName(number uint8, r ruleset.Resolver) (string, bool) {
	for _, p := range protoNames {
		if p.number == number {
			return p.name, true
		}
	}
	if r == nil {
		return "", false
	}
	return r.ProtocolName(number)
}

// ForProtocolText gives the word that "-p text" loads when one of its options is
// met without -m, as find_proto() of iptables does: by the name that was given,
// or by that of the number; nil when there is none.
func ForProtocolText(text string, family packet.Family, r ruleset.Resolver) *ruleset.MatchKind {
	name := strings.ToLower(text)
	if n, rest, ok := strtou(name); ok && rest == "" && n <= 255 {
		if name, ok = protocolName(uint8(n), r); !ok {
			return nil
		}
	}
	return Find(name, family)
}

// Protocol is the number and whether the rule wants any other.
func (m *protocolMatch) Protocol() (number uint8, negate bool) { return m.number, m.negate }

// Word is "-p".
func (m *protocolMatch) Word() string { return "-p" }

// Args is empty for "all", although in IPv6 it asks for a whole transport header.
func (m *protocolMatch) Args() []string { return ruleset.WordsOf(m.AppendText(nil)) }

// AppendText appends what iptables-save prints.
func (m *protocolMatch) AppendText(b []byte) []byte {
	if m.number == 0 {
		return b
	}
	return append(append(appendBang(b, m.negate), "-p "...), m.name...)
}

// ExactArgs has "all", which asks something in IPv6, and the number of a protocol whose
// name is not one that iptables itself knows.
func (m *protocolMatch) ExactArgs() []string {
	if m.number == 0 {
		return []string{"-p", "all"}
	}
	if _, own := protocolName(m.number, nil); own || m.name == strconv.Itoa(int(m.number)) {
		return nil
	}
	return append(bang(m.negate), "-p", strconv.Itoa(int(m.number)))
}

// Check refuses "! -p all", as the tool does.
func (m *protocolMatch) Check(*ruleset.Place) error {
	if m.number == 0 && m.negate {
		return fmt.Errorf("! -p all would never match; name a protocol")
	}
	return nil
}

// Eval is the protocol part of ip_packet_match() and ip6_packet_match(). For IPv6
// the transport header is looked for first, even with "-p all" or negated, and a
// packet in which it cannot be found is dropped.
func (m *protocolMatch) Eval(f *packet.Facts) pred.Answer {
	switch {
	case f.L4 != packet.L4Found:
		return pred.Hotdrop
	case m.number == 0:
		return pred.Yes
	}
	return answer(f.Proto == m.number, m.negate)
}

// Lower asks the state of the transport header first for IPv6; an IPv4 packet
// always has one.
func (m *protocolMatch) Lower(in *ruleset.Place) pred.Pred {
	var is pred.Pred = pred.Const(pred.Yes)
	if m.number != 0 {
		is = pred.Negated(isProto()[m.number], m.negate)
	}
	if in.Family == packet.IPv4 {
		return is
	}
	return simplify(pred.And{pred.Transport{}, is})
}

// isProto asks for a protocol. All rules share the predicates.
var isProto = sync.OnceValue(func() *[256]pred.Pred {
	var is [256]pred.Pred
	for n := range is {
		is[n] = pred.Eq(pred.FieldProto, uint32(n))
	}
	return &is
})

// needProtocol refuses a word whose struct xt_match names a protocol in a rule
// without -p for it (xt_check_match(), net/netfilter/x_tables.c).
func needProtocol(in *ruleset.Place, want uint8) error {
	number, negate, named := in.Proto()
	if named && !negate && number == want {
		return nil
	}
	name, _ := protocolName(want, nil)
	switch want {
	case protoDCCP:
		name = "dccp"
	case protoIPComp:
		name = "ipcomp"
	}
	return fmt.Errorf("only valid for protocol %s; add -p %s before it", name, name)
}
