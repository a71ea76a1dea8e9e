package pred

import (
	"net/netip"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// Address types, RTN_* of include/uapi/linux/rtnetlink.h.
const (
	rtnUnspec      = 0
	rtnUnicast     = 1
	rtnLocal       = 2
	rtnBroadcast   = 3
	rtnAnycast     = 4
	rtnMulticast   = 5
	rtnUnreachable = 7
)

// eval is addrtype_mt_v1() of net/netfilter/xt_addrtype.c for one address.
func (p AddrType) eval(f *packet.Facts, a [16]byte) Answer {
	dev := ""
	if p.In {
		dev = f.In.Name
	} else if p.Out {
		dev = f.Out.Name
	}
	if f.Family == packet.IPv6 {
		return Bool(p.matches6(f.World, netip.AddrFrom16(a), dev))
	}
	return Bool(p.Mask>>addrType4(f.World, netip.AddrFrom4([4]byte(a[:4])), dev)&1 != 0)
}

// addrType4 is inet_dev_addr_type() (net/ipv4/fib_frontend.c).
func addrType4(w *packet.World, a netip.Addr, dev string) uint32 {
	b := a.As4()
	switch {
	case a.IsUnspecified() || b == [4]byte{255, 255, 255, 255}:
		return rtnBroadcast
	case a.IsMulticast():
		return rtnMulticast
	case w.AddrType != nil:
		return w.AddrType(a, dev) & 15
	case a.IsLoopback():
		return rtnLocal
	}
	return rtnUnicast
}

// matches6 is match_type6(): the kinds that lie in the address must all hold, then
// one of those that a route decides.
func (p AddrType) matches6(w *packet.World, a netip.Addr, dev string) bool {
	b := a.As16()
	mapped := a.Is4In6() // ipv6_addr_type() does not call ::ffff:0:0/96 unicast
	unspec := b == [16]byte{}
	has := func(rtn uint) bool { return p.Mask>>rtn&1 != 0 }
	switch {
	case has(rtnMulticast) && b[0] != 0xff,
		has(rtnUnicast) && (b[0] == 0xff || unspec || mapped),
		has(rtnUnspec) && !unspec:
		return false
	case !has(rtnLocal) && !has(rtnAnycast) && !has(rtnUnreachable):
		return true
	}
	rtn := uint32(rtnUnicast)
	if w.AddrType != nil {
		rtn = w.AddrType(a, dev)
	} else if a.IsLoopback() {
		rtn = rtnLocal
	}
	return p.Mask>>(rtn&15)&1 != 0 && rtn != rtnUnicast
}
