package match

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// dscpKind is -m dscp.
var dscpKind = &ruleset.MatchKind{
	Name:     "dscp",
	Families: ruleset.Both,
	Doc:      "the DSCP field of the IP header",
	Options: []ruleset.Option{
		{Name: "dscp", NArgs: 1, Negate: true, Help: "number from 0 to 63"},
		{Name: "dscp-class", NArgs: 1, Negate: true, Help: "class: BE, EF, AFxx or CSx"},
	},
	New: func() ruleset.MatchBuilder { return &dscp{} },
}

// dscp is -m dscp.
type dscp struct {
	given
	value  uint8
	negate bool
}

var dscpClasses = []struct {
	name  string
	value uint8
}{
	{"CS0", 0x00}, {"CS1", 0x08}, {"CS2", 0x10}, {"CS3", 0x18}, {"CS4", 0x20}, {"CS5", 0x28}, {"CS6", 0x30}, {"CS7", 0x38},
	{"BE", 0x00}, {"AF11", 0x0a}, {"AF12", 0x0c}, {"AF13", 0x0e}, {"AF21", 0x12}, {"AF22", 0x14}, {"AF23", 0x16},
	{"AF31", 0x1a}, {"AF32", 0x1c}, {"AF33", 0x1e}, {"AF41", 0x22}, {"AF42", 0x24}, {"AF43", 0x26}, {"EF", 0x2e},
}

// Set takes one option.
func (m *dscp) Set(_ *ruleset.Env, option string, negate bool, args []string) (err error) {
	if err = m.once(option); err != nil {
		return err
	}
	m.negate = m.negate || negate
	if option == "dscp" {
		v, err := number(option, args[0], 0, 63)
		m.value = uint8(v)
		return err
	}
	m.value, err = parseDSCPClass(option, args[0])
	return err
}

// parseDSCPClass reads a class as class_to_dscp() of dscp_helper.c does: what
// follows a class name is not looked at.
func parseDSCPClass(option, arg string) (uint8, error) {
	for _, c := range dscpClasses {
		if len(arg) >= len(c.name) && strings.EqualFold(arg[:len(c.name)], c.name) {
			return c.value, nil
		}
	}
	return 0, ruleset.InWords(fmt.Errorf("--%s: unknown class %q; give BE, EF, CS0 to CS7 or AF11 to AF43", option, arg), "Invalid DSCP value `%s'", arg)
}

// Done wants one option.
func (m *dscp) Done(*ruleset.Env) error {
	return cmp.Or(ruleset.InWords(m.needOneOf("dscp", "dscp-class"), "DSCP match: Parameter --dscp is required"), m.notBoth("dscp", "dscp-class"))
}

// Match gives the match itself.
func (m *dscp) Match() ruleset.Match { return m }

// Word is "dscp".
func (m *dscp) Word() string { return "dscp" }

// Args prints as dscp_save() of libxt_dscp.c.
func (m *dscp) Args() []string {
	return append(append([]string{"-m", "dscp"}, bang(m.negate)...), "--dscp", fmt.Sprintf("0x%02x", m.value))
}

// Check refuses nothing.
func (m *dscp) Check(*ruleset.Place) error { return nil }

// Eval is dscp_mt() and dscp_mt6() of net/netfilter/xt_dscp.c.
func (m *dscp) Eval(f *packet.Facts) pred.Answer { return answer(dsField(f)>>2 == m.value, m.negate) }

// Lower gives one comparison.
func (m *dscp) Lower(in *ruleset.Place) pred.Pred {
	return pred.Negated(lowerDSField(in.Family, 0xfc, m.value<<2), m.negate)
}
