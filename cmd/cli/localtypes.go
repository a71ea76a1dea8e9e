package cli

import (
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// localTypes answers what type (1 << RTN_*) an address has in this network namespace, from the
// addresses of its interfaces: those are what the kernel's local routing table
// holds (fib_add_ifaddr(), net/ipv4/fib_frontend.c). Of IPv6 the kernel is asked for a route.
func localTypes() func(a netip.Addr, dev string) uint32 {
	local, broadcast := map[netip.Addr]string{}, map[netip.Addr]string{}
	var prefixes []netip.Prefix
	interfaces, err := net.Interfaces()
	if err != nil {
		interfaces = nil // then every address is a stranger's
	}
	for _, ifc := range interfaces {
		addrs, _ := ifc.Addrs()
		for _, a := range addrs {
			p, err := netip.ParsePrefix(a.String())
			if err != nil {
				continue
			}
			local[p.Addr()] = ifc.Name
			if p.Addr().IsLoopback() {
				prefixes = append(prefixes, p.Masked())
			}
			if p.Addr().Is4() && p.Bits() < 31 {
				broadcast[last(p)] = ifc.Name
			}
		}
	}
	return func(a netip.Addr, dev string) uint32 {
		switch {
		case a.Is6():
			return routedTypes6(local, a, dev)
		case a.IsMulticast():
			return 1 << unix.RTN_MULTICAST
		case a == netip.AddrFrom4([4]byte{255, 255, 255, 255}), a.Is4() && a.As4()[0] == 0:
			return 1 << unix.RTN_BROADCAST
		case here(local, a, dev):
			return 1 << unix.RTN_LOCAL
		case here(broadcast, a, dev):
			return 1 << unix.RTN_BROADCAST
		}
		for _, p := range prefixes {
			if p.Contains(a) && (dev == "" || dev == "lo") {
				return 1 << unix.RTN_LOCAL
			}
		}
		return 1 << unix.RTN_UNICAST
	}
}

// addressOf is the address of an interface of this network namespace that it gives to packets,
// where it has but one.
func addressOf(dev string, family packet.Family) (one netip.Addr) {
	ifc, err := net.InterfaceByName(dev)
	if err != nil {
		return one
	}
	addrs, _ := ifc.Addrs()
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		if err != nil || p.Addr().Is4() != (family == packet.IPv4) || p.Addr().IsLinkLocalUnicast() {
			continue
		}
		if one.IsValid() {
			return netip.Addr{}
		}
		one = p.Addr()
	}
	return one
}

// routedTypes6 is match_lookup_rt6() (net/netfilter/xt_addrtype.c).
func routedTypes6(local map[netip.Addr]string, a netip.Addr, dev string) uint32 {
	routes, err := netlink.RouteGetWithOptions(a.AsSlice(), &netlink.RouteGetOptions{Oif: dev, FIBMatch: true})
	if err != nil || len(routes) == 0 {
		return 1 << unix.RTN_UNREACHABLE
	}
	types, r := uint32(0), routes[0]
	if here(local, a, dev) && dev != "" || r.Type == unix.RTN_LOCAL && dev == "" {
		types |= 1 << unix.RTN_LOCAL
	}
	// ipv6_anycast_destination(): also the first address of a network on the link.
	base := false
	if r.Dst != nil && r.Gw == nil && len(r.MultiPath) == 0 {
		ones, _ := r.Dst.Mask.Size()
		base = ones < 127 && r.Dst.IP.Equal(a.AsSlice())
	}
	if base || r.Type == unix.RTN_ANYCAST {
		types |= 1 << unix.RTN_ANYCAST
	}
	return types
}

func here(set map[netip.Addr]string, a netip.Addr, dev string) bool {
	on, ok := set[a]
	return ok && (dev == "" || dev == on)
}

// last is the last address of an IPv4 prefix.
func last(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	return netip.AddrFrom4(b)
}
