package match

import (
	"fmt"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// ipvsKind is -m ipvs (net/netfilter/xt_ipvs.c).
var ipvsKind = &ruleset.MatchKind{
	Name:     "ipvs",
	Families: ruleset.Both,
	Doc:      "the IPVS connection of the packet",
	Options: []ruleset.Option{
		{Name: "ipvs", Negate: true, Help: "it has one"},
		{Name: "vproto", NArgs: 1, Negate: true, Help: "protocol of the virtual service"},
		{Name: "vaddr", NArgs: 1, Negate: true, Help: "address of the virtual service, with or without mask"},
		{Name: "vport", NArgs: 1, Negate: true, Help: "port of the virtual service"},
		{Name: "vdir", NArgs: 1, Help: "direction of the packet: ORIGINAL or REPLY"},
		{Name: "vmethod", NArgs: 1, Negate: true, Help: "how packets reach the server: GATE, IPIP or MASQ"},
		{Name: "vportctl", NArgs: 1, Negate: true, Help: "port of the controlling connection, as 21 for FTP"},
	},
	New: func() ruleset.MatchBuilder { return &ipvs{} },
}

// ipvs is -m ipvs; value and negate are keyed by option.
type ipvs struct {
	given
	negate map[string]bool
	value  map[string]string
}

// Set takes one option.
func (m *ipvs) Set(env *ruleset.Env, option string, negate bool, args []string) (err error) {
	if err = m.once(option); err != nil {
		return err
	}
	if m.negate == nil {
		m.negate, m.value = map[string]bool{}, map[string]string{}
	}
	m.negate[option] = negate
	if option != "ipvs" {
		m.value[option], err = ipvsValue(env, option, args[0])
	}
	return err
}

// ipvsValue reads an argument and gives it as it is printed.
func ipvsValue(env *ruleset.Env, option, arg string) (string, error) {
	switch option {
	case "vproto":
		p, err := parseProtocol(env, option, arg)
		return fmt.Sprint(p), err
	case "vaddr":
		h, err := parseHostMask(env, option, arg)
		return h.text(env.Family), err
	case "vport", "vportctl":
		p, err := parsePort(env, option, arg)
		return fmt.Sprint(p), err
	case "vdir":
		arg = strings.ToUpper(arg)
		return arg, oneOf(option, arg, "ORIGINAL", "REPLY")
	}
	arg = strings.ToUpper(arg)
	return arg, oneOf(option, arg, "GATE", "IPIP", "MASQ")
}

// Done is ipvs_mt_check() of libxt_ipvs.c.
func (m *ipvs) Done(*ruleset.Env) error {
	if len(m.given) == 0 {
		return ruleset.InWords(fmt.Errorf("at least one option is needed, as --ipvs"), "IPVS: At least one option is required")
	}
	if m.negate["ipvs"] && len(m.given) > 1 {
		return ruleset.InWords(fmt.Errorf("! --ipvs cannot be used together with other options"), "! --ipvs cannot be together with other options")
	}
	return nil
}

// Match gives the match itself.
func (m *ipvs) Match() ruleset.Match { return m }

// Word is "ipvs".
func (m *ipvs) Word() string { return "ipvs" }

// Args prints as ipvs_mt_dump() of libxt_ipvs.c: --ipvs only when it stands alone.
func (m *ipvs) Args() []string {
	args := []string{"-m", "ipvs"}
	if len(m.given) == 1 && m.given["ipvs"] {
		return append(append(args, bang(m.negate["ipvs"])...), "--ipvs")
	}
	for _, option := range []string{"vproto", "vaddr", "vport", "vdir", "vmethod", "vportctl"} {
		if m.given[option] {
			args = append(append(args, bang(m.negate[option])...), "--"+option, m.value[option])
		}
	}
	return args
}

// Check refuses nothing; a kernel without IPVS refuses the rule when it is loaded.
func (m *ipvs) Check(*ruleset.Place) error { return nil }

// Eval is no for everything but "! --ipvs": packets of IPVS are not in the facts.
func (m *ipvs) Eval(*packet.Facts) pred.Answer { return pred.Bool(m.negate["ipvs"]) }

// Lower says why BPF cannot do it.
func (m *ipvs) Lower(*ruleset.Place) pred.Pred {
	return pred.Unsupported{Reason: "ipvs looks the connection up in the tables of IPVS (ipvs_mt(), net/netfilter/xt_ipvs.c), which BPF cannot reach"}
}
