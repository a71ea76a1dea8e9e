package match

import (
	"fmt"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// dccpKind is -m dccp.
var dccpKind = &ruleset.MatchKind{
	Name:     "dccp",
	Protos:   []uint8{protoDCCP},
	Families: ruleset.Both,
	Doc:      "ports, packet types and options of DCCP; needs -p dccp",
	Options: append([]ruleset.Option{
		{Name: "dccp-types", NArgs: 1, Negate: true, Help: "packet types such as REQUEST,RESPONSE"},
		{Name: "dccp-option", NArgs: 1, Negate: true, Help: "the option of this number is present"},
	}, portOptions...),
	New: func() ruleset.MatchBuilder { return &dccp{ports: portPair{anyPort, anyPort}} },
}

// dccp is -m dccp.
type dccp struct {
	given
	ports       portPair
	types       uint16 // 1 << packet type
	negateTypes bool
	option      uint8
	negateOpt   bool
}

var dccpTypes = []string{"REQUEST", "RESPONSE", "DATA", "ACK", "DATAACK", "CLOSEREQ", "CLOSE", "RESET", "SYNC", "SYNCACK", "INVALID"}

// dccpInvalid is INVALID together with the types that have no name.
const dccpInvalid = 0xfc00

// Set takes one option.
func (m *dccp) Set(env *ruleset.Env, option string, negate bool, args []string) error {
	mine, err := m.ports.set(&m.given, option, negate, func() (lo, hi uint16, err error) {
		return parsePortRange(env, option, args[0])
	})
	if mine {
		return err
	}
	if err := m.once(option); err != nil {
		return err
	}
	if option == "dccp-types" {
		m.negateTypes = negate
		m.types, err = parseDCCPTypes(args[0])
		return err
	}
	v, err := number(option, args[0], 1, 255)
	m.option, m.negateOpt = uint8(v), negate
	return err
}

func parseDCCPTypes(list string) (types uint16, err error) {
next:
	for _, name := range splitList(list) {
		for i, t := range dccpTypes {
			if strings.EqualFold(t, name) {
				types |= 1 << i
				continue next
			}
		}
		return 0, ruleset.InWords(fmt.Errorf("--dccp-types: unknown DCCP type %q; give %s", name, strings.Join(dccpTypes, ", ")), "Unknown DCCP type `%s'", name)
	}
	if types&dccpInvalid != 0 {
		types |= dccpInvalid
	}
	return types, nil
}

// Done is called after the last option.
func (m *dccp) Done(*ruleset.Env) error { return nil }

// Match gives the match itself.
func (m *dccp) Match() ruleset.Match { return m }

// Word is "dccp".
func (m *dccp) Word() string { return "dccp" }

// Args prints as dccp_save() of libxt_dccp.c.
func (m *dccp) Args() []string {
	args := []string{"-m", "dccp"}
	if m.given["sport"] {
		args = append(args, m.ports.src.args("--sport")...)
	}
	if m.given["dport"] {
		args = append(args, m.ports.dst.args("--dport")...)
	}
	if m.given["dccp-types"] {
		var names []string
		for i, name := range dccpTypes {
			if m.types>>i&1 != 0 {
				names = append(names, name)
			}
		}
		args = append(append(args, bang(m.negateTypes)...), "--dccp-types", strings.Join(names, ","))
	}
	if m.given["dccp-option"] {
		args = append(append(args, bang(m.negateOpt)...), "--dccp-option", fmt.Sprint(m.option))
	}
	return args
}

// Check wants -p dccp.
func (m *dccp) Check(in *ruleset.Place) error { return needProtocol(in, protoDCCP) }

// Eval is dccp_mt() of net/netfilter/xt_dccp.c. A negated --dccp-option of a cut
// packet counts the rule, runs its target and then drops the packet; here it is
// hotdrop.
func (m *dccp) Eval(f *packet.Facts) pred.Answer {
	dh, a := l4Header(f, 12)
	if a != pred.Yes {
		return a
	}
	kind := dh[8] >> 1 & 15
	switch {
	case !m.ports.has(dh):
		return pred.No
	case m.given["dccp-types"] && (m.types>>kind&1 != 0) == m.negateTypes:
		return pred.No
	case !m.given["dccp-option"]:
		return pred.Yes
	}
	return pred.Eval(pred.Negated(pred.DCCPOption{Kind: m.option}, m.negateOpt), f)
}

// Lower gives the same in predicates, but for a negated --dccp-option.
func (m *dccp) Lower(*ruleset.Place) pred.Pred {
	if m.negateOpt {
		return pred.Unsupported{Reason: "! --dccp-option on a cut packet counts the rule and then drops the packet (dccp_mt(), net/netfilter/xt_dccp.c)"}
	}
	p := append(lowerL4Header(12), m.ports.src.lower(0), m.ports.dst.lower(2))
	if m.given["dccp-types"] {
		var any pred.Or
		for i := range 16 {
			if m.types>>i&1 != 0 {
				any = append(any, pred.Masked(l4Byte(8), 0x1e, uint32(i)<<1))
			}
		}
		p = append(p, pred.Negated(any, m.negateTypes))
	}
	if m.given["dccp-option"] {
		p = append(p, pred.DCCPOption{Kind: m.option})
	}
	return simplify(p)
}
