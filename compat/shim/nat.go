package shim

import (
	"github.com/bpftables/bpftables/bpf/anchor"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// translation gives the expressions of nf_tables that translate the addresses of a
// connection, for packets that come from a hook.
func translation(family packet.Family, hook packet.Hook, e pred.NAT) anchor.Rule {
	n := anchor.NAT{
		Min: e.Min, Max: e.Max, Ports: e.Ports, Lo: e.Lo, Hi: e.Hi,
		Random: e.Random, FullyRandom: e.Fully, Persistent: e.Persistent,
	}
	switch e.Kind {
	case pred.NATMasquerade:
		return anchor.Masquerade(n)
	case pred.NATRedirect:
		return anchor.Redirect(n)
	case pred.NATNetmap:
		n.Net = e.Net
	}
	if translatesSource(hook) {
		return anchor.Source(family, n)
	}
	return anchor.Destination(family, n)
}

// translatesSource says which of the addresses is settled at a hook (HOOK2MANIP(),
// include/net/netfilter/nf_nat.h).
func translatesSource(h packet.Hook) bool { return h == packet.Input || h == packet.Postrouting }

// untranslatable says why nf_tables cannot translate as a rule asks; "": it can.
func untranslatable(e pred.NAT) string {
	if e.Base != 0 {
		return "it moves ports by a distance (NF_NAT_RANGE_PROTO_OFFSET, net/netfilter/nf_nat_core.c) from a port that nf_tables does not take"
	}
	return ""
}

// translatesAt is standsAt for translations.
func translatesAt(n pred.NAT, h packet.Hook) bool {
	switch n.Kind {
	case pred.NATMasquerade:
		return h == packet.Postrouting
	case pred.NATSource:
		return translatesSource(h)
	case pred.NATDestination, pred.NATRedirect:
		return !translatesSource(h)
	}
	return true
}
