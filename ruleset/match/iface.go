package match

import (
	"fmt"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// ifNameMax is IFNAMSIZ - 1.
const ifNameMax = 15

// ifaceMatch is -i or -o.
type ifaceMatch struct {
	of     pred.NameField
	name   string // may end in '+'
	negate bool
}

// NewIn makes -i; a name that ends in '+' stands for all that begin so.
func NewIn(name string, negate bool) (ruleset.Match, error) {
	return newIface(pred.NameIn, name, negate)
}

// NewOut makes -o; a name that ends in '+' stands for all that begin so.
func NewOut(name string, negate bool) (ruleset.Match, error) {
	return newIface(pred.NameOut, name, negate)
}

func newIface(of pred.NameField, name string, negate bool) (ruleset.Match, error) {
	if err := checkIfName(name); err != nil {
		return nil, err
	}
	return &ifaceMatch{of, name, negate}, nil
}

// checkIfName is the length check of xtables_parse_interface().
func checkIfName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("the interface name is empty; give a name, or + for any")
	case len(name) > ifNameMax:
		return fmt.Errorf("interface name %q has %d characters, at most %d allowed", name, len(name), ifNameMax)
	}
	return nil
}

// ifName gives the predicate of an interface name as xtables_parse_interface()
// reads it: '+' at the end leaves out the rest, else the terminating zero counts.
func ifName(of pred.NameField, name string) pred.Name {
	p := pred.Name{Of: of}
	n := len(name) + 1
	if prefix, wild := strings.CutSuffix(name, "+"); wild {
		name, n = prefix, len(prefix)
	}
	copy(p.Value[:], name)
	for i := range n {
		p.Mask[i] = 0xff
	}
	return p
}

// Word is "-i" or "-o".
func (m *ifaceMatch) Word() string {
	if m.of == pred.NameOut {
		return "-o"
	}
	return "-i"
}

// Args is empty for "+", negated or not, as save_iface() has it.
func (m *ifaceMatch) Args() []string {
	if m.name == "+" {
		return nil
	}
	return append(bang(m.negate), m.Word(), m.name)
}

// AppendText appends what iptables-save prints.
func (m *ifaceMatch) AppendText(b []byte) []byte {
	if m.name == "+" {
		return b
	}
	return append(append(append(appendBang(b, m.negate), m.Word()...), ' '), m.name...)
}

// ExactArgs has "+", too: with "!" it matches nothing (ipt_parse_interface() keeps
// the inversion, save_iface() does not print it).
func (m *ifaceMatch) ExactArgs() []string {
	if m.name != "+" {
		return nil
	}
	return append(bang(m.negate), m.Word(), m.name)
}

// Interface is the name, as it was given, and whether the rule wants any other.
func (m *ifaceMatch) Interface() (name string, negate bool) { return m.name, m.negate }

// Check refuses nothing: netfilter asks -i and -o at every hook, of an absent
// interface the name is empty. The tool refuses -o in INPUT by the chain's name.
func (m *ifaceMatch) Check(*ruleset.Place) error { return nil }

// Eval compares as ifname_compare_aligned() does.
func (m *ifaceMatch) Eval(f *packet.Facts) pred.Answer {
	have := f.In.Name
	if m.of == pred.NameOut {
		have = f.Out.Name
	}
	prefix, wild := strings.CutSuffix(m.name, "+")
	if wild {
		return answer(strings.HasPrefix(have, prefix), m.negate)
	}
	return answer(have == m.name, m.negate)
}

// Lower gives one Name.
func (m *ifaceMatch) Lower(*ruleset.Place) pred.Pred {
	return pred.Negated(ifName(m.of, m.name), m.negate)
}
