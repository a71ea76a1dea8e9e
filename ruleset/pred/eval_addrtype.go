package pred

import (
	"math/bits"
	"net/netip"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// Address types, RTN_* of include/uapi/linux/rtnetlink.h.
const (
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
	if p.Six {
		return Bool(uint32(p.Mask)&addrTypes6(f.World, netip.AddrFrom16(a), dev) != 0)
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
	case w.AddrTypes != nil:
		return uint32(bits.TrailingZeros32(w.AddrTypes(a, dev)))
	case a.IsLoopback():
		return rtnLocal
	}
	return rtnUnicast
}

// addrTypes6 is match_lookup_rt6(): the types LOCAL, ANYCAST and UNREACHABLE. Without
// routes there are those of the loopback interface and one to everywhere.
func addrTypes6(w *packet.World, a netip.Addr, dev string) uint32 {
	switch {
	case w.AddrTypes != nil:
		return w.AddrTypes(a, dev) & (1<<rtnLocal | 1<<rtnAnycast | 1<<rtnUnreachable)
	case a.IsLoopback():
		return 1 << rtnLocal
	}
	return 0
}
