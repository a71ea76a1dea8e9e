package match

import (
	"fmt"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// ecnKind is -m ecn.
var ecnKind = &ruleset.MatchKind{
	Name:     "ecn",
	Families: ruleset.Both,
	Doc:      "the ECN bits of the IP and TCP headers; the TCP bits need -p tcp",
	Options: []ruleset.Option{
		{Name: "ecn-tcp-cwr", Negate: true, Help: "the CWR bit of TCP is set"},
		{Name: "ecn-tcp-ece", Negate: true, Help: "the ECE bit of TCP is set"},
		{Name: "ecn-ip-ect", NArgs: 1, Negate: true, Help: "the ECN field of the IP header, 0 to 3"},
	},
	New: func() ruleset.MatchBuilder { return &ecn{negate: given{}} },
}

// ecn is -m ecn.
type ecn struct {
	given
	negate given // options that are negated
	ect    uint8
}

// Bits of byte 13 of the TCP header.
const (
	tcpECE = 0x40
	tcpCWR = 0x80
)

// Set takes one option.
func (m *ecn) Set(_ *ruleset.Env, option string, negate bool, args []string) error {
	if err := m.once(option); err != nil {
		return err
	}
	m.negate[option] = negate
	if option != "ecn-ip-ect" {
		return nil
	}
	v, err := number(option, args[0], 0, 3)
	m.ect = uint8(v)
	return err
}

// Done wants one option.
func (m *ecn) Done(*ruleset.Env) error {
	return ruleset.InWords(m.needOneOf("ecn-tcp-cwr", "ecn-tcp-ece", "ecn-ip-ect"), "ECN match: some option required")
}

// Match gives the match itself.
func (m *ecn) Match() ruleset.Match { return m }

// Word is "ecn".
func (m *ecn) Word() string { return "ecn" }

// Args prints as ecn_save() of libxt_ecn.c.
func (m *ecn) Args() []string {
	args := []string{"-m", "ecn"}
	for _, option := range []string{"ecn-tcp-ece", "ecn-tcp-cwr", "ecn-ip-ect"} {
		if m.given[option] {
			args = append(append(args, bang(m.negate[option])...), "--"+option)
		}
	}
	if m.given["ecn-ip-ect"] {
		args = append(args, fmt.Sprint(m.ect))
	}
	return args
}

func (m *ecn) asksTCP() bool { return m.given["ecn-tcp-ece"] || m.given["ecn-tcp-cwr"] }

// Check wants -p tcp for the TCP bits.
func (m *ecn) Check(in *ruleset.Place) error {
	if !m.asksTCP() {
		return nil
	}
	return needProtocol(in, protoTCP)
}

// Eval is ecn_mt4() and ecn_mt6() of net/netfilter/xt_ecn.c: a cut TCP header does
// not match, and nobody asks whether the packet is a fragment.
func (m *ecn) Eval(f *packet.Facts) pred.Answer {
	if m.given["ecn-ip-ect"] && (dsField(f)&3 == m.ect) == m.negate["ecn-ip-ect"] {
		return pred.No
	}
	if !m.asksTCP() {
		return pred.Yes
	}
	th, ok := f.L4Bytes(0, 20)
	if !ok {
		return pred.No
	}
	for option, bit := range map[string]uint8{"ecn-tcp-ece": tcpECE, "ecn-tcp-cwr": tcpCWR} {
		if m.given[option] && (th[13]&bit != 0) == m.negate[option] {
			return pred.No
		}
	}
	return pred.Yes
}

// Lower gives the same in predicates.
func (m *ecn) Lower(in *ruleset.Place) pred.Pred {
	var p pred.And
	if m.given["ecn-ip-ect"] {
		p = append(p, pred.Negated(lowerDSField(in.Family, 3, m.ect), m.negate["ecn-ip-ect"]))
	}
	if m.asksTCP() {
		p = append(p, pred.Have{Base: pred.BaseL4, Len: 20})
	}
	if m.given["ecn-tcp-ece"] {
		p = append(p, pred.Negated(pred.Masked(l4Byte(13), tcpECE, tcpECE), m.negate["ecn-tcp-ece"]))
	}
	if m.given["ecn-tcp-cwr"] {
		p = append(p, pred.Negated(pred.Masked(l4Byte(13), tcpCWR, tcpCWR), m.negate["ecn-tcp-cwr"]))
	}
	return simplify(p)
}
