package pred

import (
	"fmt"
	"net/netip"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// Headers6 asks which extension headers an IPv6 packet has, by their bits
// (include/uapi/linux/netfilter_ipv6/ip6t_ipv6header.h): those of Mask and no others, or, if Soft, these
// and maybe others. Negated it is anything else, or, if Soft, none of them (ipv6header_mt6(),
// net/ipv6/netfilter/ip6t_ipv6header.c).
type Headers6 struct {
	Mask         uint8
	Soft, Negate bool
}

// EUI64 asks whether the source address ends in the EUI-64 of the Ethernet source address
// (eui64_mt6(), net/ipv6/netfilter/ip6t_eui64.c).
type EUI64 struct{}

// Options6 asks how the options begin in the hop-by-hop or destination options header that the last FindExt
// of the rule found, whole (hbh_mt6(), net/ipv6/netfilter/ip6t_hbh.c).
type Options6 struct {
	Header uint8
	Opts   []Option6
	Slot   int
}

// Option6 is one option: a type, and the length of its data unless Any.
type Option6 struct {
	Kind, Len uint8
	Any       bool
}

// Hops6 asks for the addresses of the routing header that the last FindExt of the rule found, whole: all in
// order, or, if Loose, among others (rt_mt6(), net/ipv6/netfilter/ip6t_rt.c).
type Hops6 struct {
	Addrs []netip.Addr
	Loose bool
	Slot  int
}

func (Headers6) isPred() {}
func (EUI64) isPred()    {}
func (Options6) isPred() {}
func (Hops6) isPred()    {}

func (p Headers6) String() string {
	return fmt.Sprintf("headers6(%#x, soft=%t, negate=%t)", p.Mask, p.Soft, p.Negate)
}
func (EUI64) String() string      { return "eui64" }
func (p Options6) String() string { return fmt.Sprintf("options6(%d, %v)", p.Header, p.Opts) }
func (p Hops6) String() string    { return fmt.Sprintf("hops6(%v, loose=%t)", p.Addrs, p.Loose) }

// Bits of extension headers.
const (
	Header6Proto = 1 << iota
	Header6None
	Header6ESP
	Header6AH
	Header6Frag
	Header6Route
	Header6Dst
	Header6Hop
)

func (p Headers6) eval(f *packet.Facts) Answer {
	have, ok := headers6(f)
	switch {
	case !ok:
		return No
	case p.Soft && p.Negate:
		return Bool(have&p.Mask == 0)
	case p.Soft:
		return Bool(have&p.Mask == p.Mask)
	}
	return Bool((have == p.Mask) != p.Negate)
}

// header6Bits are the bits of the headers by number; ESP counts as one.
var header6Bits = map[uint8]uint8{0: Header6Hop, 43: Header6Route, 44: Header6Frag, 50: Header6ESP, 51: Header6AH, 59: Header6None, 60: Header6Dst}

// headers6 collects the headers that a packet has; ok is false when one is cut.
func headers6(f *packet.Facts) (have uint8, ok bool) {
	next, off := f.Raw[6], 40
	for header6Bits[next] != 0 {
		bit := header6Bits[next]
		if bit == Header6None {
			return have | bit, true
		}
		h, ok := f.Bytes(off, 2)
		if !ok {
			return 0, false
		}
		have |= bit
		size := (int(h[1]) + 1) * 8
		switch bit {
		case Header6ESP:
			return have, true
		case Header6Frag:
			size = 8
		case Header6AH:
			size = (int(h[1]) + 2) * 4
		}
		next, off = h[0], off+size
		if off > len(f.Raw) {
			break
		}
	}
	if bit := header6Bits[next]; bit != Header6None && bit != Header6ESP {
		have |= Header6Proto
	}
	return have, true
}

func (p EUI64) eval(f *packet.Facts) Answer {
	if !hasEther(f) || f.Link[12] != 0x86 || f.Link[13] != 0xdd {
		return No
	}
	mac, src := f.Link[6:12], f.Src().As16()
	return Bool([8]byte(src[8:]) == [8]byte{mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]})
}

// found is the header that FindExt has found.
func (e *evaluator) found() []byte {
	start, _ := e.f.Bytes(e.ext.Off, 2)
	if start == nil {
		return nil
	}
	all, _ := e.f.Bytes(e.ext.Off, (int(start[1])+1)*8)
	return all
}

// eval compares the first options. The last of them may lead out of the header.
func (p Options6) eval(e *evaluator) Answer {
	header := e.found()
	if len(header) < 2 {
		return No
	}
	opts := header[2:]
	for i, want := range p.Opts {
		if len(opts) < 1 || opts[0] != want.Kind {
			return No
		}
		size := 1
		if want.Kind != 0 {
			if len(opts) < 2 || !want.Any && want.Len != opts[1] {
				return No
			}
			size = int(opts[1]) + 2
		}
		if size > len(opts) {
			return Bool(i == len(p.Opts)-1)
		}
		opts = opts[size:]
	}
	return Yes
}

func (p Hops6) eval(e *evaluator) Answer {
	header := e.found()
	if len(header) < 8 {
		return No
	}
	next := 0
	for addrs := header[8:]; len(addrs) >= 16; addrs = addrs[16:] {
		switch {
		case next < len(p.Addrs) && netip.AddrFrom16([16]byte(addrs)) == p.Addrs[next]:
			next++
		case !p.Loose:
			return No
		}
	}
	return Bool(next == len(p.Addrs))
}
