package pred

import (
	"fmt"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// Header is how words for a protocol begin: yes when the first Len bytes (at most 20) of the
// transport header are there; no for a fragment that is not the first; hotdrop when bytes are
// missing. With HotFragment, a fragment that begins 8 bytes in is dropped, too, because it could
// write over what the first one says (tcp_mt(), net/netfilter/xt_tcpudp.c).
type Header struct {
	Len         uint16
	HotFragment bool
}

// Transport is the guard of -p for IPv6: hotdrop when the transport header cannot be found,
// else yes (ip6_packet_match(), net/ipv6/netfilter/ip6_tables.c).
type Transport struct{}

func (Header) isPred()    {}
func (Transport) isPred() {}

func (p Header) String() string {
	if p.HotFragment {
		return fmt.Sprintf("header(%d, hot fragment)", p.Len)
	}
	return fmt.Sprintf("header(%d)", p.Len)
}

func (Transport) String() string { return "transport" }

// hotFragment is the fragment offset, in units of 8 bytes, that HotFragment is about.
const hotFragment = 1

func (p Header) eval(f *packet.Facts) Answer {
	switch {
	case p.HotFragment && f.FragOff == hotFragment:
		return Hotdrop
	case f.FragOff != 0:
		return No
	}
	if _, ok := f.L4Bytes(0, int(p.Len)); !ok {
		return Hotdrop
	}
	return Yes
}

func (Transport) eval(f *packet.Facts) Answer {
	if f.L4 != packet.L4Found {
		return Hotdrop
	}
	return Yes
}
