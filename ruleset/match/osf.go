package match

import (
	"fmt"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// osfKind is -m osf (net/netfilter/xt_osf.c).
var osfKind = &ruleset.MatchKind{
	Name:     "osf",
	Families: ruleset.OnlyIPv4,
	Doc:      "the operating system of the sender, by the fingerprint of its TCP SYN",
	Options: []ruleset.Option{
		{Name: "genre", NArgs: 1, Negate: true, Help: "name of the operating system, as Linux"},
		{Name: "ttl", NArgs: 1, Help: "0: compare the TTL, 1: it may be less, 2: ignore it"},
		{Name: "log", NArgs: 1, Help: "0: log all fingerprints, 1: the first, 2: known ones"},
	},
	New: func() ruleset.MatchBuilder { return &osf{} },
}

// osf is -m osf.
type osf struct {
	given
	unseen
	genre    string
	negate   bool
	ttl, log uint64
}

// Set takes one option.
func (m *osf) Set(_ *ruleset.Env, option string, negate bool, args []string) (err error) {
	if err = m.once(option); err != nil {
		return err
	}
	switch option {
	case "genre":
		m.genre, m.negate = cut(args[0], 31), negate
	case "ttl":
		m.ttl, err = number(option, args[0], 0, 2)
	case "log":
		m.log, err = number(option, args[0], 0, 2)
	}
	return err
}

// Done is called after the last option.
func (m *osf) Done(*ruleset.Env) error { return m.need("genre") }

// Match gives the match itself.
func (m *osf) Match() ruleset.Match { return m }

// Word is "osf".
func (m *osf) Word() string { return "osf" }

// Args prints as osf_save() of libxt_osf.c.
func (m *osf) Args() []string {
	args := append(append([]string{"-m", "osf"}, bang(m.negate)...), "--genre", m.genre)
	if m.given["ttl"] {
		args = append(args, "--ttl", fmt.Sprint(m.ttl))
	}
	if m.given["log"] {
		args = append(args, "--log", fmt.Sprint(m.log))
	}
	return args
}

// Check refuses what xt_osf_match leaves out: it is for -p tcp.
func (m *osf) Check(in *ruleset.Place) error {
	if proto, negate, named := in.Proto(); !named || negate || proto != protoTCP {
		return fmt.Errorf("it is for TCP only; add -p tcp to the rule")
	}
	return onlyAt(in, packet.Prerouting, packet.Input, packet.Forward)
}

// Lower says why BPF cannot do it.
func (m *osf) Lower(*ruleset.Place) pred.Pred {
	return pred.Unsupported{Reason: "osf compares with a list of fingerprints in the kernel (nf_osf_match(), net/netfilter/nfnetlink_osf.c), which BPF cannot read"}
}
