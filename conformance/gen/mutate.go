package gen

import (
	"math/rand"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// Mutate changes a packet in one place: a bit of its addresses or of its transport
// header, its length, its fragment offset, its protocol. What comes out may be broken; nil
// if it is no packet.
func Mutate(r *rand.Rand, f *packet.Facts) *packet.Facts {
	raw := append([]byte{}, f.Raw...)
	switch r.Intn(5) {
	case 0:
		flipAddress(r, f.Family, raw)
	case 1:
		if at := int(f.THOff) + r.Intn(14); f.L4 == packet.L4Found && at < len(raw) {
			raw[at] ^= 1 << r.Intn(8)
		}
	case 2:
		// Behind the IP header: where it is whole depends on its length.
		if head := max(int(f.THOff), f.Family.Bits()/32*20/4+20); head < len(raw) {
			raw = raw[:head+r.Intn(min(24, len(raw)-head))]
		}
	case 3:
		fragment(r, f.Family, raw)
	case 4:
		protocol(r, f.Family, raw)
	}
	out, ok := packet.Decode(f.Family, raw)
	if !ok {
		return nil
	}
	c := *f
	c.Raw, c.Len, c.Proto, c.L4, c.THOff, c.FragOff = raw, out.Len, out.Proto, out.L4, out.THOff, out.FragOff
	return &c
}

func flipAddress(r *rand.Rand, family packet.Family, raw []byte) {
	at, n := 12, 8
	if family == packet.IPv6 {
		at, n = 8, 32
	}
	raw[at+r.Intn(n)] ^= 1 << r.Intn(8)
}

// fragment makes a first or a later fragment, as far as bytes that are there can say so.
func fragment(r *rand.Rand, family packet.Family, raw []byte) {
	if family == packet.IPv4 {
		raw[6], raw[7] = byte(r.Intn(2))<<5, byte(r.Intn(3))
		return
	}
	if len(raw) >= 48 {
		raw[6] = 44
		raw[40], raw[42], raw[43] = []byte{6, 17, 58, 60}[r.Intn(4)], 0, byte(r.Intn(3))<<3|byte(r.Intn(2))
	}
}

func protocol(r *rand.Rand, family packet.Family, raw []byte) {
	if family == packet.IPv4 {
		raw[9] = []byte{6, 17, 1, 132, 33, 136, 47, 50, 51, 0}[r.Intn(10)]
		return
	}
	raw[6] = []byte{0, 43, 44, 51, 59, 60, 6, 17, 58, 132}[r.Intn(10)]
}
