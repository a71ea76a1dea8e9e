package lab

import (
	"encoding/binary"
	"net/netip"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// cameOut is a packet that came out of the host at a port.
type cameOut struct {
	raw  []byte
	port int
}

// noteOut remembers a packet that was seen outside, for replies.
func (l *Lab) noteOut(raw []byte, outside, index int) {
	for i, p := range l.ports {
		if p.outside == outside && p.peerIndex == index {
			l.out = append(l.out, cameOut{append([]byte(nil), raw...), i})
		}
	}
}

// replied makes of a packet with Reply the answer to what came out of the host with the
// packet before; false: nothing came out that it could answer.
func (l *Lab) replied(p *Packet) (*Packet, bool) {
	for i := len(l.out) - 1; i >= 0; i-- {
		to, ok := decode(l.out[i].raw)
		if !ok || to.FragOff != 0 || to.Family != p.Facts.Family {
			continue
		}
		raw := answer(p.Facts, to)
		if raw == nil {
			continue
		}
		f, ok := packet.Decode(p.Facts.Family, raw)
		if !ok {
			continue
		}
		f.In.Name, f.Hook, f.CPU = l.ports[l.out[i].port].name, packet.Input, p.Facts.CPU
		q := *p
		q.Facts, q.Kind = f, Frame
		return &q, true
	}
	return nil, false
}

// quoted is how much of a packet an ICMP error repeats, at most.
const quoted = 128

// answer writes what a template leaves open into a copy of it: an error quotes the packet
// that it is about, others go back to where it came from. Nil: it is no answer to that.
func answer(template, to *packet.Facts) []byte {
	raw := append([]byte(nil), template.Raw...)
	l4 := raw[template.THOff:]
	if len(l4) < 8 {
		return nil
	}
	switch {
	case isError(template.Proto, l4[0]):
		if isICMP(to.Proto) && len(to.Raw) > int(to.THOff) && isError(to.Proto, to.Raw[to.THOff]) {
			return nil
		}
		return quote(raw, template, to)
	case template.Proto != to.Proto:
		return nil
	}
	good := sum(template, l4) == 0
	setAddr(raw, template.Family, true, to.Dst())
	setAddr(raw, template.Family, false, to.Src())
	other, ok := to.L4Bytes(0, 8)
	if !ok {
		return nil
	}
	if isICMP(to.Proto) {
		copy(l4[4:8], other[4:8])
	} else {
		copy(l4[0:2], other[2:4])
		copy(l4[2:4], other[0:2])
	}
	if head, ok := to.L4Bytes(0, 20); ok && to.Proto == 6 && len(l4) >= 20 {
		if head[13]&packet.FlagACK != 0 {
			copy(l4[4:8], head[8:12])
		}
		binary.BigEndian.PutUint32(l4[8:], binary.BigEndian.Uint32(head[4:])+occupied(to, head))
	}
	return finish(raw, template, good)
}

// occupied is how far a TCP segment moves the sequence number on.
func occupied(f *packet.Facts, head []byte) uint32 {
	n := uint32(len(f.Raw)) - uint32(f.THOff) - uint32(head[12]>>4)*4
	for _, flag := range []byte{packet.FlagSYN, packet.FlagFIN} {
		if head[13]&flag != 0 {
			n++
		}
	}
	return n
}

// quote puts a packet behind the header of an ICMP error.
func quote(raw []byte, template, to *packet.Facts) []byte {
	raw = append(raw[:int(template.THOff)+8], to.Raw[:min(quoted, len(to.Raw))]...)
	if template.Src().IsUnspecified() {
		setAddr(raw, template.Family, true, to.Dst())
	}
	setAddr(raw, template.Family, false, to.Src())
	if template.Family == packet.IPv4 {
		binary.BigEndian.PutUint16(raw[2:], uint16(len(raw)))
	} else {
		binary.BigEndian.PutUint16(raw[4:], uint16(len(raw)-40))
	}
	return finish(raw, template, true)
}

func isICMP(proto uint8) bool { return proto == 1 || proto == 58 }

func isError(proto uint8, kind byte) bool {
	return proto == 1 && isError4(kind) || proto == 58 && kind < 128
}

func setAddr(raw []byte, family packet.Family, src bool, a netip.Addr) {
	at := map[packet.Family][2]int{packet.IPv4: {16, 12}, packet.IPv6: {24, 8}}[family]
	i := at[0]
	if src {
		i = at[1]
	}
	copy(raw[i:], a.AsSlice())
}

// finish writes the checksums; one that was wrong in the template stays wrong.
func finish(raw []byte, template *packet.Facts, good bool) []byte {
	if template.Family == packet.IPv4 {
		head := raw[:int(raw[0]&15)*4]
		clear(head[10:12])
		binary.BigEndian.PutUint16(head[10:], packet.Checksum(head, 0))
	}
	f, ok := packet.Decode(template.Family, raw)
	at, has := map[uint8]int{1: 2, 58: 2, 6: 16, 17: 6}[template.Proto]
	l4 := raw[template.THOff:]
	if !ok || !has || len(l4) < at+2 {
		return raw
	}
	clear(l4[at : at+2])
	n := sum(f, l4)
	if !good {
		n ^= 0x0101
	}
	if n == 0 && template.Proto == 17 { // 0 means that there is none
		n = 0xffff
	}
	binary.BigEndian.PutUint16(l4[at:], n)
	return raw
}

// sum is the checksum of a transport header and what is behind it.
func sum(f *packet.Facts, l4 []byte) uint16 {
	if f.Proto == 1 {
		return packet.Checksum(l4, 0)
	}
	return packet.Checksum(l4, packet.PseudoSum(f.Src(), f.Dst(), f.Proto, len(l4)))
}
