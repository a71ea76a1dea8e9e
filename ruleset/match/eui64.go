package match

import (
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// eui64Kind is -m eui64.
var eui64Kind = &ruleset.MatchKind{
	Name:     "eui64",
	Families: ruleset.OnlyIPv6,
	Doc:      "the source address ends in the EUI-64 of the Ethernet source address",
	New:      func() ruleset.MatchBuilder { return &eui64{} },
}

// eui64 is -m eui64.
type eui64 struct{}

// Set takes no option.
func (m *eui64) Set(*ruleset.Env, string, bool, []string) error { return nil }

// Done is called after the last option.
func (m *eui64) Done(*ruleset.Env) error { return nil }

// Match gives the match itself.
func (m *eui64) Match() ruleset.Match { return m }

// Word is "eui64".
func (m *eui64) Word() string { return "eui64" }

// Args is the word alone.
func (m *eui64) Args() []string { return []string{"-m", "eui64"} }

// Check wants hooks at which the Ethernet header is still there.
func (m *eui64) Check(in *ruleset.Place) error {
	return onlyAt(in, packet.Prerouting, packet.Input, packet.Forward)
}

// Eval is eui64_mt6() of net/ipv6/netfilter/ip6t_eui64.c. A packet without an
// Ethernet header counts as one of another link type.
func (m *eui64) Eval(f *packet.Facts) pred.Answer {
	if len(f.Link) < 14 || be16(f.Link[12:]) != 0x86dd {
		return pred.No
	}
	mac := f.Link[6:12]
	want := [8]byte{mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]}
	src := f.Src().As16()
	return pred.Bool([8]byte(src[8:]) == want)
}

// Lower gives the same as a predicate.
func (m *eui64) Lower(*ruleset.Place) pred.Pred { return pred.EUI64{} }
