package gen

import (
	"net/netip"

	"github.com/bpftables/bpftables/conformance/lab"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// other draws a packet that no rule need ask about: the kinds that are easily
// forgotten.
func (g *Drawer) other() []*lab.Packet {
	d := g.draft()
	kinds := []func(*draft) []*lab.Packet{
		g.plain, g.fragments, g.options, g.protocol, g.cut, g.badTCP, g.segments, g.local, g.group, g.loop, g.badSum, g.hops, g.connection,
	}
	if g.six() {
		kinds = append(kinds, g.extensions, g.extensions)
	}
	return kinds[g.r.Intn(len(kinds))](d)
}

func (g *Drawer) plain(d *draft) []*lab.Packet {
	g.complete(d)
	return g.sequence(d)
}

func (g *Drawer) connection(d *draft) []*lab.Packet {
	d.state = []string{"ESTABLISHED", "RELATED", "INVALID"}[g.r.Intn(3)]
	return g.plain(d)
}

// fragments draws both parts of a datagram, sometimes in the wrong order, or a
// later part alone.
func (g *Drawer) fragments(d *draft) []*lab.Packet {
	if d.hook == packet.Output {
		d.hook = packet.Forward
	}
	d.setProto([]uint8{17, 6, g.anyProto()}[g.r.Intn(3)])
	g.complete(d)
	first, second := *d, *d
	a, b := *d.spec, *d.spec
	first.spec, second.spec = &a, &b
	a.Payload, b.Payload = make([]byte, 24), nil
	b.Proto = d.spec.Proto
	if g.six() {
		a.Payload = make([]byte, 40)
		id := g.r.Uint32()
		g.fragment(&first, 0, true, id)
		g.fragment(&second, 6, false, id)
	} else {
		a.Payload = make([]byte, 40-len(emptyL4(d.spec)))
		a.MF, b.FragOff = true, 5
	}
	pair := []*lab.Packet{first.packet(), second.packet()}
	switch g.r.Intn(4) {
	case 0:
		return []*lab.Packet{pair[1], pair[0]}
	case 1:
		return pair[1:]
	}
	return pair
}

// emptyL4 stands for the transport header, as long as it is.
func emptyL4(s *packet.Spec) []byte {
	n := map[uint8]int{6: 20, 17: 8, 1: 8, 132: 12, 47: 4, 50: 8}[s.Proto]
	return make([]byte, n)
}

// options draws IPv4 options, or TCP options. Time stamps are left out: a router
// writes the time into them.
func (g *Drawer) options(d *draft) []*lab.Packet {
	lists := [][]byte{
		{0x94, 4, 0, 0}, {1, 1, 1, 0}, {7, 7, 4, 0, 0, 0, 0}, {0x82, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		{0x83, 7, 4, 198, 18, 1, 2}, {0x88, 4, 0, 5}, {0xff, 4, 1, 2}, {7, 2, 4},
	}
	if !g.six() && g.r.Intn(2) == 0 {
		d.spec.IPOpts = lists[g.r.Intn(len(lists))]
	} else {
		d.setProto(6)
		d.spec.Opts = [][]byte{{2, 4, 5, 0xb4}, {1, 1, 4, 2}, {8, 10, 0, 0, 0, 1, 0, 0, 0, 0}, {3, 3, 7}, {253, 4, 1, 2}}[g.r.Intn(5)]
	}
	return g.plain(d)
}

func (g *Drawer) protocol(d *draft) []*lab.Packet {
	d.setProto([]uint8{132, 136, 33, 47, 50, 51, 4, 41, 2, 59, 103, 112, 253, 255}[g.r.Intn(14)])
	if g.six() && g.r.Intn(4) == 0 {
		d.setProto(59)
	}
	d.spec.Payload = make([]byte, g.r.Intn(32))
	return g.plain(d)
}

func (g *Drawer) cut(d *draft) []*lab.Packet {
	if d.hook == packet.Output {
		d.hook = packet.Input
	}
	g.complete(d)
	head := 20
	if g.six() {
		head = 40
	}
	d.spec.Cut = head + g.r.Intn(len(emptyL4(d.spec))+4)
	return []*lab.Packet{d.packet()}
}

// badTCP draws TCP headers that lie about their length or their options.
func (g *Drawer) badTCP(d *draft) []*lab.Packet {
	d.setProto(6)
	g.complete(d)
	switch g.r.Intn(4) {
	case 0:
		d.spec.Doff = uint8(g.r.Intn(5))
	case 1:
		d.spec.Doff = uint8(6 + g.r.Intn(10))
	case 2:
		d.spec.Opts = []byte{2, 0, 5, 0xb4}
	case 3:
		d.spec.Opts = []byte{1, 1, 2, 9}
	}
	return []*lab.Packet{d.packet()}
}

// segments draws a packet that is to be split behind the rules.
func (g *Drawer) segments(d *draft) []*lab.Packet {
	if d.hook == packet.Output {
		d.kind = lab.UDP
		d.setProto(17)
	} else {
		d.setProto(6)
		d.spec.Flags, d.flagsSet = packet.FlagACK, true
	}
	g.complete(d)
	if d.kind == lab.UDP {
		d.spec.SrcPort = 20000 + d.spec.ID%20000
	}
	d.spec.Len, d.gso = 3000+g.r.Intn(20000), 500+g.r.Intn(900)
	return []*lab.Packet{d.packet()}
}

// local draws what ordinary sockets of the host send.
func (g *Drawer) local(d *draft) []*lab.Packet {
	d.hook = packet.Output
	d.kind = []lab.Kind{lab.UDP, lab.TCP}[g.r.Intn(2)]
	d.setProto(map[lab.Kind]uint8{lab.UDP: 17, lab.TCP: 6}[d.kind])
	if g.r.Intn(3) == 0 {
		d.out = "lo"
	}
	if g.r.Intn(3) == 0 {
		d.owner = &packet.Socket{UID: uint32(g.r.Intn(3) * 500), GID: uint32(g.r.Intn(3) * 500), HasFile: true}
	}
	g.complete(d)
	if d.kind == lab.TCP {
		d.spec.Flags = packet.FlagSYN
	}
	d.spec.SrcPort = 20000 + d.spec.ID%20000
	return []*lab.Packet{d.packet()}
}

// group draws multicast and broadcast destinations.
func (g *Drawer) group(d *draft) []*lab.Packet {
	d.hook = packet.Input
	groups := []string{"255.255.255.255", "224.0.0.1", "224.0.0.251", "198.18.0.255", "239.1.2.3"}
	if g.six() {
		groups = []string{"ff02::1", "ff02::2", "ff02::fb", "ff05::1"}
	}
	d.spec.Dst, d.dstSet = netip.MustParseAddr(groups[g.r.Intn(len(groups))]), true
	d.pktType = uint8(g.r.Intn(4))
	return g.plain(d)
}

// loop draws a packet on lo.
func (g *Drawer) loop(d *draft) []*lab.Packet {
	d.hook, d.in, d.out = packet.Input, "lo", "lo"
	if g.r.Intn(2) == 0 {
		d.hook = packet.Output
	}
	g.complete(d)
	return []*lab.Packet{d.packet()}
}

func (g *Drawer) badSum(d *draft) []*lab.Packet {
	d.spec.BadSum = true
	return g.plain(d)
}

func (g *Drawer) hops(d *draft) []*lab.Packet {
	d.spec.TTL = uint8(g.r.Intn(3))
	if d.hook == packet.Output {
		d.spec.TTL = 1
	}
	return g.plain(d)
}

// extensions draws IPv6 extension headers in front of the transport.
func (g *Drawer) extensions(d *draft) []*lab.Packet {
	if d.hook == packet.Output {
		d.hook = packet.Input
	}
	g.complete(d)
	for range 1 + g.r.Intn(3) {
		switch g.r.Intn(7) {
		case 0:
			if len(d.spec.Ext) == 0 {
				g.addExt(d, 0, 1, 4)
			}
		case 1, 2:
			g.addExt(d, 60, 1, 4)
		case 3:
			g.addExt(d, 43, byte(g.r.Intn(5)), 0)
		case 4:
			g.ahSPI(d, "7", false)
		case 5:
			g.fragment(d, uint16(g.r.Intn(2)*3), g.r.Intn(2) == 0, g.r.Uint32())
		case 6:
			d.spec.Ext = append(d.spec.Ext, packet.Ext{Header: 60, Body: []byte{1, 4, 0, 0, 0, 0}, HdrLen: g.r.Intn(20)})
		}
	}
	return []*lab.Packet{d.packet()}
}
