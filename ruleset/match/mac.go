package match

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// macKind is -m mac (net/netfilter/xt_mac.c).
var macKind = &ruleset.MatchKind{
	Name:     "mac",
	Families: ruleset.Both,
	Doc:      "the Ethernet source address of a received packet",
	Options:  []ruleset.Option{{Name: "mac-source", NArgs: 1, Negate: true, Help: "the address, XX:XX:XX:XX:XX:XX"}},
	New:      func() ruleset.MatchBuilder { return &mac{} },
}

// mac is -m mac.
type mac struct {
	given
	addr   [6]byte
	negate bool
}

// Set takes one option.
func (m *mac) Set(_ *ruleset.Env, option string, negate bool, args []string) error {
	if err := m.once(option); err != nil {
		return err
	}
	m.negate = negate
	parts := strings.Split(args[0], ":")
	if len(parts) != len(m.addr) {
		return ruleset.InWords(fmt.Errorf("--%s: %q is not a MAC address; write XX:XX:XX:XX:XX:XX", option, args[0]), "Invalid MAC address specified.")
	}
	for i, part := range parts {
		v, ok := macByte(part)
		if !ok {
			return ruleset.InWords(fmt.Errorf("--%s: %q in %q is not a number of two hex digits", option, part, args[0]), "Invalid MAC address specified.")
		}
		m.addr[i] = v
	}
	return nil
}

// macByte reads what strtoul(part, NULL, 16) accepts in at most two characters:
// nothing is 0, and a sign or a space may stand before the digit.
func macByte(part string) (byte, bool) {
	if part == "" {
		return 0, true
	}
	if len(part) > 2 {
		return 0, false
	}
	p := strings.TrimLeft(part, " \t\n\v\f\r")
	negative := strings.HasPrefix(p, "-")
	if negative || strings.HasPrefix(p, "+") {
		p = p[1:]
	}
	v, rest, ok := digits(p, p, 16)
	if negative {
		v = -v
	}
	return byte(v), ok && rest == ""
}

// Done is called after the last option.
func (m *mac) Done(*ruleset.Env) error { return m.need("mac-source") }

// Match gives the match itself.
func (m *mac) Match() ruleset.Match { return m }

// Word is "mac".
func (m *mac) Word() string { return "mac" }

// Args prints as mac_save() of libxt_mac.c.
func (m *mac) Args() []string {
	text := fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m.addr[0], m.addr[1], m.addr[2], m.addr[3], m.addr[4], m.addr[5])
	return append(append([]string{"-m", "mac"}, bang(m.negate)...), "--mac-source", text)
}

// Check refuses the hooks that locally made packets pass (mac_mt_reg).
func (m *mac) Check(in *ruleset.Place) error {
	return onlyAt(in, packet.Prerouting, packet.Input, packet.Forward)
}

// Eval is mac_mt(): without an Ethernet header the answer is no, negated or not.
func (m *mac) Eval(f *packet.Facts) pred.Answer {
	if len(f.Link) < 14 {
		return pred.No
	}
	return answer([6]byte(f.Link[6:12]) == m.addr, m.negate)
}

// Lower gives the same in predicates.
func (m *mac) Lower(*ruleset.Place) pred.Pred {
	same := pred.And{
		pred.Eq(pred.FieldMACHi, binary.BigEndian.Uint32(m.addr[:4])),
		pred.Eq(pred.FieldMACLo, uint32(binary.BigEndian.Uint16(m.addr[4:]))),
	}
	if m.negate {
		return pred.And{pred.Eq(pred.FieldEther, 1), pred.Not{P: same}}
	}
	return append(pred.And{pred.Eq(pred.FieldEther, 1)}, same...)
}
