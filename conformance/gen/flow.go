package gen

import (
	"github.com/bpftables/bpftables/conformance/lab"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// Sequence numbers of the two sides of a crafted connection.
const (
	seqOpener = 1000
	seqOther  = 5000
)

// sequence makes the packet of a draft, and before it those that bring its
// connection into the state that the draft asks for.
func (g *Drawer) sequence(d *draft) []*lab.Packet {
	switch d.state {
	case "ESTABLISHED":
		return g.established(d)
	case "RELATED":
		return g.related(d)
	case "INVALID":
		g.spoil(d)
	}
	first := d.packet()
	if first == nil || g.r.Intn(4) > 0 {
		return []*lab.Packet{first}
	}
	return append([]*lab.Packet{first}, g.reversed(d).packet(), g.again(d).packet())
}

// established opens a connection from the other side, and then sends the draft.
func (g *Drawer) established(d *draft) []*lab.Packet {
	if d.spec.Proto == 6 && d.hook == packet.Input && d.in != "lo" && g.r.Intn(2) == 0 && g.listens(d.spec.DstPort) {
		return g.accepted(d)
	}
	g.routeBack(d)
	if d.spec.Proto != 6 {
		if d.spec.Proto == 1 && !d.icmpTypeSet {
			d.spec.Type, d.spec.Code = 0, 0
		}
		if d.spec.Proto == 58 && !d.icmpTypeSet {
			d.spec.Type, d.spec.Code = 129, 0
		}
		return []*lab.Packet{g.reversed(d).packet(), d.packet()}
	}
	open := g.reversed(d)
	out := []*lab.Packet{open.packet()}
	answer := *d
	spec := *d.spec
	answer.spec = &spec
	spec.Flags, spec.Seq, spec.Ack, spec.Len, spec.Cut = packet.FlagSYN|packet.FlagACK, seqOther, seqOpener+1, 0, 0
	out = append(out, answer.packet())
	openSpec := *open.spec
	open.spec = &openSpec
	openSpec.Flags, openSpec.Seq, openSpec.Ack = packet.FlagACK, seqOpener+1, seqOther+1
	out = append(out, open.packet())
	if !d.flagsSet {
		d.spec.Flags = packet.FlagACK | packet.FlagPSH
	}
	d.spec.Seq, d.spec.Ack = seqOther+1, seqOpener+1
	return append(out, d.packet())
}

// accepted opens a connection to a listening socket of the host, and sends the
// draft on it.
func (g *Drawer) accepted(d *draft) []*lab.Packet {
	spec := *d.spec
	syn := *d
	syn.spec = &spec
	spec.Flags, spec.Seq, spec.Ack, spec.Len, spec.Cut, spec.Opts = packet.FlagSYN, seqOpener, 0, 0, 0, nil
	ackSpec := spec
	ack := *d
	ack.spec = &ackSpec
	ackSpec.Flags, ackSpec.Seq = packet.FlagACK, seqOpener+1
	if !d.flagsSet {
		d.spec.Flags = packet.FlagACK | packet.FlagPSH
	}
	d.spec.Seq = seqOpener + 1
	out := []*lab.Packet{syn.packet(), ack.packet(), d.packet()}
	for _, p := range out[1:] {
		if p != nil {
			p.Answer = true
		}
	}
	return out
}

// related sends an ICMP error about a packet that went the other way.
func (g *Drawer) related(d *draft) []*lab.Packet {
	g.routeBack(d)
	open := g.reversed(d)
	if open.spec.Proto == 1 || open.spec.Proto == 58 {
		open.setProto(17)
	}
	first := open.packet()
	if first == nil {
		return nil
	}
	typeCode := [2]uint8{d.spec.Type, d.spec.Code}
	proto := uint8(1)
	if g.six() {
		proto = 58
	}
	if !d.icmpTypeSet {
		typeCode = [2]uint8{3, uint8(g.r.Intn(4))}
		if g.six() {
			typeCode[0] = 1
		}
	}
	d.setProto(proto)
	d.spec.Type, d.spec.Code, d.spec.Rest, d.spec.Len = typeCode[0], typeCode[1], 0, 0
	d.spec.Payload = first.Facts.Raw
	return []*lab.Packet{first, d.packet()}
}

// spoil makes connection tracking call the packet invalid.
func (g *Drawer) spoil(d *draft) {
	switch {
	case d.spec.Proto == 6 && g.r.Intn(2) == 0:
		d.spec.Flags = []uint8{0, packet.FlagSYN | packet.FlagFIN, packet.FlagSYN | packet.FlagRST, packet.FlagRST, packet.FlagFIN, 0xff}[g.r.Intn(6)]
	case d.spec.Proto == 1 && !d.icmpTypeSet:
		d.spec.Type = 0
	case d.spec.Proto == 58 && !d.icmpTypeSet:
		d.spec.Type = 129
	default:
		d.spec.BadSum = true
	}
}

// routeBack asks for the routes by which the other side can open the connection.
func (g *Drawer) routeBack(d *draft) {
	if d.hook != packet.Output && d.in != "lo" {
		g.route(d.spec.Src, d.in)
	}
}

// reversed is a first packet in the other direction.
func (g *Drawer) reversed(d *draft) *draft {
	r := &draft{spec: packet.NewSpec(g.family, d.spec.Proto), hook: d.hook, in: d.out, out: d.in}
	s := r.spec
	g.id++
	s.ID, s.Src, s.Dst, s.SrcPort, s.DstPort = g.id, d.spec.Dst, d.spec.Src, d.spec.DstPort, d.spec.SrcPort
	s.Rest, s.SPI = d.spec.Rest, d.spec.SPI
	if s.Proto == 6 {
		s.Flags, s.Seq = packet.FlagSYN, seqOpener
	}
	switch d.hook {
	case packet.Input:
		r.hook = packet.Output
	case packet.Output:
		r.hook = packet.Input
	}
	return r
}

// again is the packet once more.
func (g *Drawer) again(d *draft) *draft {
	c := *d
	spec := *d.spec
	g.id++
	spec.ID = g.id
	c.spec = &spec
	return &c
}
