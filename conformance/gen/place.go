package gen

import (
	"net/netip"
	"slices"

	"github.com/bpftables/bpftables/conformance/lab"
	"github.com/bpftables/bpftables/ruleset/packet"
)

func (g *Drawer) six() bool { return g.family == packet.IPv6 }

// hostAddr is the host's own address on an interface.
func (g *Drawer) hostAddr(iface string) netip.Addr { return g.behind(iface, 1) }

// behind is an address of the network at an interface.
func (g *Drawer) behind(iface string, n byte) netip.Addr {
	if i := slices.Index(g.ifaces, iface); i >= 0 {
		return lab.Address(i, g.six(), n)
	}
	if g.six() {
		return netip.IPv6Loopback()
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}

// somewhere is an address at an interface that no kernel answers for.
func (g *Drawer) somewhere(iface string) netip.Addr { return g.behind(iface, byte(50+g.r.Intn(20))) }

// place chooses interfaces and addresses that take the packet its way, and asks
// for the routes that this needs.
func (g *Drawer) place(d *draft) {
	if d.out == "" || d.out == "lo" && d.hook == packet.Forward {
		d.out = g.anyInterface()
	}
	if d.in == "" || d.in == "lo" && d.hook == packet.Forward {
		d.in = g.anyInterface()
		if d.hook == packet.Forward && d.in == d.out {
			d.in = g.anyInterface()
		}
	}
	switch d.hook {
	case packet.Input:
		g.placeInput(d)
	case packet.Forward:
		g.toward(d)
		if !d.srcSet {
			d.spec.Src = g.somewhere(d.in)
		} else {
			g.route(d.spec.Src, d.in)
		}
	case packet.Output:
		if !d.srcSet {
			d.spec.Src = g.hostAddr(d.out)
		}
		g.toward(d)
	}
}

func (g *Drawer) placeInput(d *draft) {
	switch {
	case !d.dstSet:
		d.spec.Dst = g.hostAddr(d.in)
	default:
		g.route(d.spec.Dst, "")
	}
	switch {
	case !d.srcSet && d.in == "lo":
		d.spec.Src = g.hostAddr(d.in)
	case !d.srcSet:
		d.spec.Src = g.somewhere(d.in)
	case d.in != "lo":
		g.route(d.spec.Src, d.in)
	}
}

// toward gives the packet a destination behind its out interface.
func (g *Drawer) toward(d *draft) {
	switch {
	case d.dstSet && !d.dstLocal && d.out != "lo":
		g.route(d.spec.Dst, d.out)
	case d.dstSet:
	case d.out == "lo":
		d.spec.Dst = g.hostAddr("lo")
	case g.r.Intn(6) == 0:
		d.spec.Dst = g.behind(d.out, 2)
	default:
		d.spec.Dst = g.somewhere(d.out)
	}
}

// route asks for a way to an address; the first who asks decides.
func (g *Drawer) route(a netip.Addr, via string) {
	if _, known := g.roles[a]; known || len(g.routes) >= maxRoutes || !routable(a) {
		return
	}
	g.roles[a] = via
	g.routes = append(g.routes, lab.Route{Prefix: netip.PrefixFrom(a, a.BitLen()), Via: via})
}

// routable says whether a host route to the address means anything: not to groups,
// loopback, reserved addresses nor those of the lab itself.
func routable(a netip.Addr) bool {
	if a.IsMulticast() || a.IsLoopback() || a.IsUnspecified() || a.IsLinkLocalUnicast() || a.Is4In6() {
		return false
	}
	if a.Is4() {
		b := a.As4()
		return b[0] != 0 && b[0] < 224 && (b[0] != 198 || b[1] != 18)
	}
	b := a.As16()
	own := lab.Address(0, true, 1).As16()
	return (b[0]&0xe0 == 0x20 || b[0]&0xfe == 0xfc) && [6]byte(b[:6]) != [6]byte(own[:6])
}

// listens says whether the host can listen on a port, and remembers it.
func (g *Drawer) listens(port uint16) bool {
	if slices.Contains(g.listen, port) {
		return true
	}
	if port == 0 || len(g.listen) >= maxListen {
		return false
	}
	g.listen = append(g.listen, port)
	return true
}

func unspecified(six bool) netip.Addr {
	if six {
		return netip.IPv6Unspecified()
	}
	return netip.IPv4Unspecified()
}
