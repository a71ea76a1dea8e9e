package pred

import (
	"net/netip"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// NumberOf is the value of a field of a packet; 0 where it is not valid.
func NumberOf(f *packet.Facts, of Field) uint32 {
	e := evaluator{f: f}
	return e.field(of)
}

// AddressOf is an address of a packet in 16 bytes; IPv4 uses the first 4.
func AddressOf(f *packet.Facts, of AddrField) [16]byte {
	e := evaluator{f: f}
	return e.addr(of)
}

// TypesOf are the types (1 << RTN_*) that routing makes of an address, limited to a device
// unless that is "".
func TypesOf(w *packet.World, a netip.Addr, dev string) uint32 {
	if a.Is4() {
		return 1 << addrType4(w, a, dev)
	}
	return addrTypes6(w, a, dev)
}

// ForwardedBy says whether the packet leaves without coming from a socket of this
// namespace: -m recent then adds to the TTL what forwarding took.
func ForwardedBy(f *packet.Facts) bool { return f.Out.Name != "" && f.Sock == nil }
