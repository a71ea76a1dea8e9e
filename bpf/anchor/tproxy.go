package anchor

import (
	"encoding/binary"
	"net/netip"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// Proxy hands the packet to a socket of this host that has its addresses, or to one that
// listens at an address and a port; 0 for those of the interface and of the packet. The
// rule ends where there is none (nft_tproxy_eval_v4(), net/netfilter/nft_tproxy.c; it looks for
// sockets as tproxy_tg4() does, net/netfilter/xt_TPROXY.c). In PREROUTING only.
func Proxy(family packet.Family, to netip.Addr, port uint16) Rule {
	e := &expr.TProxy{Family: unix.NFPROTO_IPV4, TableFamily: unix.NFPROTO_IPV4, RegPort: regPortMin}
	if family == packet.IPv6 {
		e.Family, e.TableFamily = unix.NFPROTO_IPV6, unix.NFPROTO_IPV6
	}
	r := Rule{immediate(regPortMin, binary.BigEndian.AppendUint16(nil, port))}
	if to.IsValid() && !to.IsUnspecified() {
		e.RegAddr = regAddrMin
		r = append(r, immediate(regAddrMin, to.AsSlice()))
	}
	return append(r, e)
}
