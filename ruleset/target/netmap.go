package target

import (
	"net/netip"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

var netmapKind = &ruleset.TargetKind{
	Name:     "NETMAP",
	Families: ruleset.Both,
	Doc:      "map a network to another one, host by host",
	Options:  []ruleset.Option{{Name: "to", NArgs: 1, Help: "ADDRESS[/PREFIX]: the network to map to"}},
	New:      func() ruleset.TargetBuilder { return &Netmap{} },
}

// Netmap is -j NETMAP.
type Netmap struct {
	used
	To netip.Prefix
}

// Set takes --to. A mask with holes counts as a full one (xtopt_parse_plenmask(),
// libxtables).
func (n *Netmap) Set(env *ruleset.Env, option string, negate bool, args []string) error {
	if err := n.once(option, negate); err != nil {
		return err
	}
	a, bits, err := hostPrefix(env, args[0])
	if err != nil {
		return err
	}
	n.To = netip.PrefixFrom(a, min(bits, env.Family.Bits())).Masked()
	return nil
}

// Done asks for --to.
func (n *Netmap) Done(*ruleset.Env) error { return n.need("to") }

// Target gives the target that was built.
func (n *Netmap) Target() ruleset.Target { return n }

// Word is the name after -j.
func (n *Netmap) Word() string { return "NETMAP" }

// Args is the text after -j.
func (n *Netmap) Args() []string { return []string{"NETMAP", "--to", n.prefix()} }

func (n *Netmap) prefix() string {
	return addrText(n.To.Addr()) + "/" + decimal(uint8(n.To.Bits()))
}

// List is the text of iptables -L.
func (n *Netmap) List(ruleset.Names) string { return "to:" + n.prefix() }

// Check refuses other tables and hooks (net/netfilter/xt_NETMAP.c).
func (n *Netmap) Check(in *ruleset.Place) error {
	if err := in.OnlyOf(ruleset.NAT); err != nil {
		return err
	}
	return onlyHooks(in, packet.Prerouting, packet.Postrouting, packet.Output, packet.Input)
}

// NeedsConntrack says yes (netmap_tg4_check(), net/netfilter/xt_NETMAP.c).
func (n *Netmap) NeedsConntrack() bool { return true }

// Lower gives the translation.
func (n *Netmap) Lower(*ruleset.Place) pred.Action {
	return pred.Doing(pred.NAT{Kind: pred.NATNetmap, Net: n.To})
}
