package lab

import (
	"bytes"
	"encoding/binary"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// normal is a copy of a packet without the numbers that a kernel chooses at
// random: identification, flow label and TCP sequence numbers of packets that it
// made itself, also where an ICMP error quotes them. The packet that was sent is
// left as it is, except for an identification that the kernel filled in.
func normal(raw []byte, sent *Packet) []byte {
	out := append([]byte(nil), raw...)
	f, ok := decode(out)
	if !ok {
		return out
	}
	own := sent.isSelf(f)
	if !own || sent.Answer || sent.Reply {
		normalTransport(f, sent)
	}
	if f.Family == packet.IPv6 {
		if !own {
			out[1] &= 0xf0
			clear(out[2:4])
		}
		return out
	}
	if !own || sent.kernelID() {
		clear(out[4:6])
		clear(out[10:12])
		head := out[:min(int(out[0]&15)*4, len(out))]
		binary.BigEndian.PutUint16(out[10:], packet.Checksum(head, 0))
	}
	return out
}

// normalTransport clears what depends on chance and writes the checksum, which a
// packet between two kernels may still lack.
func normalTransport(f *packet.Facts, sent *Packet) {
	if f.L4 != packet.L4Found || f.FragOff != 0 || int(f.THOff) > len(f.Raw) {
		return
	}
	l4 := f.Raw[f.THOff:]
	sumAt, pseudo := 0, packet.PseudoSum(f.Src(), f.Dst(), f.Proto, len(l4))
	switch {
	case f.Proto == 6 && len(l4) >= 20:
		normalTCP(l4, sent)
		sumAt = 16
	case f.Proto == 6 && len(l4) >= 8 && sent.fromSocket(): // quoted
		clear(l4[4:8])
		return
	case f.Proto == 17 && len(l4) >= 8:
		sumAt = 6
	case f.Proto == 1 && len(l4) >= 8 && isError4(l4[0]), f.Proto == 58 && len(l4) >= 8 && l4[0] < 128:
		copy(l4[8:], normal(l4[8:], sent))
		sumAt = 2
		if f.Proto == 1 {
			pseudo = 0
		}
	default:
		return
	}
	clear(l4[sumAt : sumAt+2])
	binary.BigEndian.PutUint16(l4[sumAt:], packet.Checksum(l4, pseudo))
}

func isError4(t byte) bool { return t == 3 || t == 4 || t == 5 || t == 11 || t == 12 }

// normalTCP clears sequence numbers that depend on chance. A reset that answers a
// crafted packet repeats its numbers and keeps them.
func normalTCP(l4 []byte, sent *Packet) {
	if l4[13]&packet.FlagRST != 0 && !sent.fromSocket() {
		return
	}
	clear(l4[4:12])
}

// fromSocket says that a kernel made the packet that was sent, or answers one
// that a kernel made.
func (p *Packet) fromSocket() bool { return p.Kind == UDP || p.Kind == TCP || p.Answer || p.Reply }

// isSelf says whether a packet that was seen is the one that was sent, perhaps
// with one address translated, and not one that a kernel made.
func (p *Packet) isSelf(f *packet.Facts) bool {
	sent := p.Facts
	if p.Kind == UDP || p.Kind == TCP || sent.Family != f.Family || sent.Proto != f.Proto {
		return false
	}
	if sent.Src() != f.Src() && sent.Dst() != f.Dst() {
		return false
	}
	if f.Family == packet.IPv4 {
		return p.kernelID() || bytes.Equal(sent.Raw[4:6], f.Raw[4:6])
	}
	want, ok1 := sent.L4Bytes(0, 4)
	got, ok2 := f.L4Bytes(0, 4)
	return !ok1 || !ok2 || f.FragOff != 0 || bytes.Equal(want, got)
}

// kernelID says that the kernel chooses the identification of a packet with none
// (raw_send_hdrinc(), net/ipv4/raw.c).
func (p *Packet) kernelID() bool {
	return p.Kind == Raw && p.Facts.Family == packet.IPv4 && binary.BigEndian.Uint16(p.Facts.Raw[4:]) == 0
}
