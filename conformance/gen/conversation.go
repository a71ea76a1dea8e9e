package gen

import (
	"slices"

	"github.com/bpftables/bpftables/conformance/lab"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// Conversation draws all of a connection that a rule is about: how it opens, answers that
// go back to where translations let the packets come from, data, errors about it, and how it
// ends; with packets out of order, again, broken, or with few hops left among them.
func (g *Drawer) Conversation() []*lab.Packet {
	for range 1000 {
		d := g.draft()
		if len(g.rules) > 0 && g.r.Intn(5) > 0 {
			d = g.forRule()
		} else {
			g.complete(d)
		}
		out := slices.DeleteFunc(g.converse(d), func(p *lab.Packet) bool { return p == nil })
		if len(out) > 1 {
			return out
		}
	}
	panic("gen: no conversation can be made for these rules")
}

func (g *Drawer) converse(d *draft) []*lab.Packet {
	if d.spec.Dst.IsMulticast() || d.in == "lo" {
		return g.sequence(d)
	}
	d.state, d.spec.Cut, d.spec.FragOff, d.spec.Doff = "", 0, 0, 0
	if d.spec.Len > 1500 {
		d.spec.Len = 0
	}
	switch d.spec.Proto {
	case 6:
		return g.talkTCP(d)
	case 17:
		return g.talkUDP(d)
	case 1, 58:
		return g.talkPing(d)
	}
	return []*lab.Packet{g.again(d).packet(), g.reply(d), g.again(d).packet(), g.trouble(d)}
}

// reply is the template of an answer.
func (g *Drawer) reply(d *draft, change ...func(*packet.Spec)) *lab.Packet {
	r := &draft{spec: packet.NewSpec(g.family, d.spec.Proto), hook: packet.Input, in: g.anyInterface()}
	g.id++
	r.spec.ID, r.spec.TTL = g.id, []uint8{64, 64, 64, 2, 1, 255}[g.r.Intn(6)]
	r.spec.TOS = []uint8{0, 0, 0x10, 0x2e << 2}[g.r.Intn(4)]
	for _, f := range change {
		f(r.spec)
	}
	p := r.packet()
	if p != nil {
		p.Reply = true
	}
	return p
}

func tcp(flags uint8, seq uint32, payload string) func(*packet.Spec) {
	return func(s *packet.Spec) { s.Flags, s.Seq, s.Payload = flags, seq, []byte(payload) }
}

// step is a packet of the opener.
func (g *Drawer) step(d *draft, flags uint8, seq uint32, payload string) *lab.Packet {
	n := g.again(d)
	n.spec.Len, n.spec.Opts = 0, nil
	tcp(flags, seq, payload)(n.spec)
	n.spec.Ack = seqOther + 1
	p := n.packet()
	if p != nil {
		p.Answer = p.Kind == lab.Frame
	}
	return p
}

func (g *Drawer) talkTCP(d *draft) []*lab.Packet {
	if g.r.Intn(8) > 0 {
		d.spec.Flags = packet.FlagSYN
	}
	d.spec.Seq, d.spec.Ack, d.spec.Payload, d.spec.Len = seqOpener, 0, nil, 0
	if d.hook == packet.Input {
		g.listens(d.spec.DstPort)
	}
	const ack, push = packet.FlagACK, packet.FlagACK | packet.FlagPSH
	out := []*lab.Packet{g.again(d).packet()}
	if g.r.Intn(6) == 0 {
		out = append(out, g.trouble(d))
	}
	if g.r.Intn(8) == 0 {
		return append(out, g.reply(d, tcp(packet.FlagRST|ack, 0, "")), g.again(d).packet())
	}
	out = append(out, g.reply(d, tcp(packet.FlagSYN|ack, seqOther, ""), func(s *packet.Spec) {
		if g.r.Intn(2) == 0 {
			s.Opts = []byte{2, 4, 5, 0xb4}
		}
	}))
	out = append(out, g.step(d, ack, seqOpener+1, ""), g.step(d, push, seqOpener+1, "GET a"), g.reply(d, tcp(push, seqOther+1, "data")))
	if g.r.Intn(3) == 0 {
		out = append(out, g.step(d, push, seqOpener+6, "more"), g.trouble(d))
	}
	if g.r.Intn(5) == 0 {
		out = append(out, g.step(d, ack|packet.FlagSYN, seqOpener, ""), g.step(d, push, seqOpener+90000000, "late"))
	}
	switch g.r.Intn(3) {
	case 0:
		out = append(out, g.step(d, packet.FlagFIN|ack, seqOpener+6, ""), g.reply(d, tcp(packet.FlagFIN|ack, seqOther+5, "")), g.step(d, ack, seqOpener+7, ""))
	case 1:
		out = append(out, g.step(d, packet.FlagRST|ack, seqOpener+6, ""), g.reply(d, tcp(ack, seqOther+5, "")))
	}
	if g.r.Intn(3) == 0 {
		out = append(out, g.again(d).packet(), g.reply(d, tcp(packet.FlagSYN|ack, seqOther, "")))
	}
	return out
}

func (g *Drawer) talkUDP(d *draft) []*lab.Packet {
	pay := func(s *packet.Spec) { s.Payload = []byte("reply") }
	out := []*lab.Packet{g.again(d).packet()}
	for range 1 + g.r.Intn(4) {
		switch g.r.Intn(6) {
		case 0, 1:
			out = append(out, g.reply(d, pay))
		case 2:
			out = append(out, g.trouble(d))
		case 3:
			out = append(out, g.pieces(d)...)
		case 4:
			n := g.again(d)
			n.spec.BadSum = true
			out = append(out, n.packet())
		}
		out = append(out, g.again(d).packet())
	}
	if g.r.Intn(2) == 0 {
		return append(out, g.reply(d, pay))
	}
	return append(out, g.trouble(d))
}

// pieces are a datagram of the opener in two fragments.
func (g *Drawer) pieces(d *draft) []*lab.Packet {
	if d.hook == packet.Output || len(d.spec.Ext) > 0 {
		return nil
	}
	first, second := g.again(d), g.again(d)
	first.spec.Payload, second.spec.Payload, first.spec.Len, second.spec.Len = make([]byte, 32), nil, 0, 0
	second.spec.ID = first.spec.ID
	if g.six() {
		id := g.r.Uint32()
		g.fragment(first, 0, true, id)
		g.fragment(second, 5, false, id)
	} else {
		first.spec.MF, second.spec.FragOff = true, 5
	}
	return []*lab.Packet{first.packet(), second.packet()}
}

func (g *Drawer) talkPing(d *draft) []*lab.Packet {
	ask, answer := uint8(8), uint8(0)
	if g.six() {
		ask, answer = 128, 129
	}
	if g.r.Intn(6) > 0 {
		d.spec.Type, d.spec.Code = ask, 0
	}
	if d.spec.Rest == 0 || g.r.Intn(2) == 0 {
		d.spec.Rest = uint32(g.r.Intn(65536))<<16 | 1
	}
	back := g.reply(d, func(s *packet.Spec) { s.Type, s.Code = answer, 0 })
	return []*lab.Packet{g.again(d).packet(), back, g.again(d).packet(), g.trouble(d), g.again(d).packet()}
}

// trouble is an ICMP error about the packet before, from its destination or from a router
// on the way.
func (g *Drawer) trouble(d *draft) *lab.Packet {
	kinds := [][2]uint8{{3, 0}, {3, 1}, {3, 3}, {11, 0}, {3, 10}, {12, 0}}
	proto := uint8(1)
	if g.six() {
		kinds = [][2]uint8{{1, 0}, {1, 1}, {1, 4}, {3, 0}, {4, 1}}
		proto = 58
	}
	kind := kinds[g.r.Intn(len(kinds))]
	e := &draft{spec: packet.NewSpec(g.family, proto), hook: packet.Input, in: g.anyInterface()}
	g.id++
	e.spec.ID, e.spec.Type, e.spec.Code, e.spec.Rest = g.id, kind[0], kind[1], 0
	if g.r.Intn(3) > 0 {
		e.spec.Src = unspecified(g.six())
	}
	p := e.packet()
	if p != nil {
		p.Reply = true
	}
	return p
}
