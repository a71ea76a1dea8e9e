package pred

import (
	"fmt"
	"net/netip"
)

// NAT gives the connection of the packet another source or destination
// (nf_nat_setup_info(), net/netfilter/nf_nat_core.c).
type NAT struct {
	Kind       NATKind
	Min, Max   netip.Addr   // the addresses to choose from; not valid: the address stays
	Net        netip.Prefix // NATNetmap: the network that is mapped to
	Ports      bool         // Lo and Hi are the ports to choose from
	Lo, Hi     uint16
	Base       uint16 // the port is moved from Base on, not chosen; 0: chosen
	Random     bool   // NF_NAT_RANGE_PROTO_RANDOM
	Fully      bool   // NF_NAT_RANGE_PROTO_RANDOM_FULLY
	Persistent bool   // NF_NAT_RANGE_PERSISTENT
}

// NATKind is what is changed, and to what.
type NATKind uint8

// The kinds.
const (
	NATSource NATKind = iota
	NATDestination
	NATMasquerade // the source becomes the address of the interface that the packet leaves by
	NATRedirect   // the destination becomes this host
	NATNetmap     // host by host: the source behind routing, else the destination
)

// NPT translates the prefix of an address without state (RFC 6296).
type NPT struct {
	Destination bool // of the destination; else of the source
	From, To    netip.Prefix
}

func (NAT) isEffect() {}
func (NPT) isEffect() {}

func (e NAT) String() string {
	s := e.Kind.String()
	if e.Min.IsValid() {
		s += fmt.Sprintf(" to=%s..%s", e.Min, e.Max)
	}
	if e.Net.IsValid() {
		s += " to=" + e.Net.String()
	}
	s += when(e.Ports, fmt.Sprintf(" ports=%d..%d", e.Lo, e.Hi)) + when(e.Base != 0, fmt.Sprintf(" base=%d", e.Base))
	return s + when(e.Random, " random") + when(e.Fully, " fully-random") + when(e.Persistent, " persistent")
}

// String names the kind.
func (k NATKind) String() string {
	return [...]string{"snat", "dnat", "masquerade", "redirect", "netmap"}[k]
}

func (e NPT) String() string {
	what := "source"
	if e.Destination {
		what = "destination"
	}
	return fmt.Sprintf("npt %s %s to %s", what, e.From, e.To)
}
