package match

import (
	"fmt"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// physdevKind is -m physdev (net/netfilter/xt_physdev.c).
var physdevKind = &ruleset.MatchKind{
	Name:     "physdev",
	Families: ruleset.Both,
	Doc:      "the bridge ports of a packet that passes a bridge",
	Options: []ruleset.Option{
		{Name: "physdev-in", NArgs: 1, Negate: true, Help: "name of the port it came in on; + at the end for any continuation"},
		{Name: "physdev-out", NArgs: 1, Negate: true, Help: "name of the port it leaves by"},
		{Name: "physdev-is-in", Negate: true, Help: "it came in on a bridge port"},
		{Name: "physdev-is-out", Negate: true, Help: "it leaves by a bridge port"},
		{Name: "physdev-is-bridged", Negate: true, Help: "it is bridged, not routed"},
	},
	New: func() ruleset.MatchBuilder { return &physdev{} },
}

// physdevPrinted are the options in the order in which they are printed.
var physdevPrinted = []string{"physdev-is-in", "physdev-in", "physdev-is-out", "physdev-out", "physdev-is-bridged"}

// physdev is -m physdev; negate and port are keyed by option.
type physdev struct {
	given
	negate map[string]bool
	port   map[string]string
}

// Set takes one option.
func (m *physdev) Set(_ *ruleset.Env, option string, negate bool, args []string) error {
	if err := m.once(option); err != nil {
		return err
	}
	if m.negate == nil {
		m.negate, m.port = map[string]bool{}, map[string]string{}
	}
	m.negate[option] = negate
	if len(args) > 0 {
		if len(args[0]) > ifNameMax {
			return ruleset.InWords(fmt.Errorf("--%s: interface name %q has %d characters, at most %d allowed", option, args[0], len(args[0]), ifNameMax), "interface name `%s' must be shorter than IFNAMSIZ (15)", args[0])
		}
		m.port[option] = args[0]
	}
	return nil
}

// Done is called after the last option.
func (m *physdev) Done(*ruleset.Env) error {
	return ruleset.InWords(m.needOneOf(physdevPrinted...), "PHYSDEV: no physdev option specified")
}

// Match gives the match itself.
func (m *physdev) Match() ruleset.Match { return m }

// Word is "physdev".
func (m *physdev) Word() string { return "physdev" }

// Args prints as physdev_save() of libxt_physdev.c.
func (m *physdev) Args() []string {
	args := []string{"-m", "physdev"}
	for _, option := range physdevPrinted {
		if m.given[option] {
			args = append(append(args, bang(m.negate[option])...), "--"+option)
		}
		if port, ok := m.port[option]; ok {
			args = append(args, port)
		}
	}
	return args
}

// wants says that an option is given and not negated.
func (m *physdev) wants(option string) bool { return m.given[option] && !m.negate[option] }

// Check is physdev_mt_check().
func (m *physdev) Check(in *ruleset.Place) error {
	if (m.given["physdev-out"] || m.given["physdev-is-out"]) && !m.wants("physdev-is-bridged") && in.At(packet.Output) {
		return fmt.Errorf("--physdev-out and --physdev-is-out are for bridged packets in FORWARD and POSTROUTING, the chain is reached from OUTPUT; add --physdev-is-bridged")
	}
	return nil
}

// Eval is physdev_mt().
func (m *physdev) Eval(f *packet.Facts) pred.Answer {
	in, out := f.PhysIn.Name, f.PhysOut.Name
	if in == "" && out == "" { // no bridge was involved: yes if all is negated
		for option := range m.given {
			if !m.negate[option] {
				return pred.No
			}
		}
		return pred.Yes
	}
	agrees := func(option string, yes bool) bool { return !m.given[option] || yes != m.negate[option] }
	ok := agrees("physdev-is-bridged", out != "") && agrees("physdev-is-in", in != "") && agrees("physdev-is-out", out != "")
	if in != "" { // --physdev-in is not asked when the port is gone
		ok = ok && agrees("physdev-in", physName(m.port["physdev-in"], in))
	}
	if m.given["physdev-out"] {
		ok = ok && out != "" && agrees("physdev-out", physName(m.port["physdev-out"], out))
	}
	return pred.Bool(ok)
}

// physName is ifname_compare_aligned() with the mask of xtables_parse_interface();
// the empty name stands for any.
func physName(want, have string) bool {
	if want == "" {
		return true
	}
	if n := len(want) - 1; want[n] == '+' {
		return len(have) >= n && have[:n] == want[:n]
	}
	return have == want
}

// Bits of FieldBridged.
const (
	bridgeInfo = 1
	bridgeIn   = 2
	bridgeOut  = 4
)

// Lower gives the same in predicates.
func (m *physdev) Lower(*ruleset.Place) pred.Pred {
	has := func(bit uint32) pred.Pred { return pred.Masked(pred.FieldBridged, bit, bit) }
	bridged := pred.And{has(bridgeInfo)}
	add := func(option string, p pred.Pred) {
		if m.given[option] {
			bridged = append(bridged, pred.Negated(p, m.negate[option]))
		}
	}
	add("physdev-is-bridged", has(bridgeOut))
	add("physdev-is-in", has(bridgeIn))
	add("physdev-is-out", has(bridgeOut))
	if m.given["physdev-in"] {
		name := pred.Negated(physPred(pred.NamePhysIn, m.port["physdev-in"]), m.negate["physdev-in"])
		bridged = append(bridged, pred.Or{pred.Masked(pred.FieldBridged, bridgeIn, 0), name})
	}
	if m.given["physdev-out"] {
		bridged = append(bridged, has(bridgeOut))
		add("physdev-out", physPred(pred.NamePhysOut, m.port["physdev-out"]))
	}
	for option := range m.given {
		if !m.negate[option] {
			return bridged
		}
	}
	return pred.Or{pred.Masked(pred.FieldBridged, bridgeInfo, 0), bridged}
}

func physPred(of pred.NameField, name string) pred.Pred {
	if name == "" {
		return pred.Const(pred.Yes)
	}
	return ifName(of, name)
}
