package gen

import (
	"math/rand"
	"net/netip"

	"github.com/bpftables/bpftables/conformance/lab"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// draft is a packet while its fields are chosen.
type draft struct {
	spec        *packet.Spec
	hook        packet.Hook // Input, Forward or Output
	in, out     string
	state       string // NEW, ESTABLISHED, RELATED, INVALID, UNTRACKED or empty
	mark        uint32
	mac         []byte
	pktType     uint8
	owner       *packet.Socket
	gso         int
	kind        lab.Kind
	protoSet    bool
	flagsSet    bool
	srcSet      bool
	dstSet      bool
	dstLocal    bool // the destination is an address of the host
	sportSet    bool
	dportSet    bool
	icmpTypeSet bool
}

// setProto changes the protocol and with it the defaults that hang on it.
func (d *draft) setProto(proto uint8) {
	n := packet.NewSpec(d.spec.Family, proto)
	d.spec.Proto, d.protoSet = proto, true
	d.spec.Type, d.spec.Code, d.spec.Rest = n.Type, n.Code, n.Rest
}

// packet makes the packet; nil when the bytes cannot be made.
func (d *draft) packet() *lab.Packet {
	raw, err := d.spec.Build()
	if err != nil {
		return nil
	}
	f, ok := packet.Decode(d.spec.Family, raw)
	if !ok {
		return nil
	}
	f.CtState = packet.CtNew
	p := &lab.Packet{Facts: f, Kind: d.kind, GSO: d.gso}
	f.Hook = packet.Input
	if d.hook == packet.Output {
		f.Hook, f.Out.Name = packet.Output, d.out
		f.Mark, f.Sock = d.mark, d.owner
		if p.Kind == lab.Frame {
			p.Kind = lab.Raw
		}
	} else {
		f.In.Name, f.PktType, p.Kind = d.in, d.pktType, lab.Frame
		if d.mac != nil {
			f.Link = append([]byte{2, 0, 0, 0, 0, 0xfe}, d.mac...)
			f.Link = append(f.Link, 8, 0)
		}
	}
	// Only what the text says may decide: read it back.
	again, err := lab.Parse(d.spec.Family, p.String())
	if err != nil {
		return nil
	}
	return again
}

// within draws an address of a prefix: the first, the last or any.
func within(r *rand.Rand, p netip.Prefix) netip.Addr {
	switch r.Intn(3) {
	case 0:
		return p.Masked().Addr()
	case 1:
		return last(p)
	}
	b := p.Masked().Addr().AsSlice()
	for i := range b {
		host := byte(0xff)
		if n := p.Bits() - 8*i; n >= 8 {
			host = 0
		} else if n > 0 {
			host = 0xff >> n
		}
		b[i] |= byte(r.Intn(256)) & host
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

func last(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := range b {
		if n := p.Bits() - 8*i; n <= 0 {
			b[i] = 0xff
		} else if n < 8 {
			b[i] |= 0xff >> n
		}
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// outside draws an address next to a prefix, or any other.
func outside(r *rand.Rand, p netip.Prefix, any netip.Addr) netip.Addr {
	choice := any
	switch r.Intn(3) {
	case 0:
		choice = p.Masked().Addr().Prev()
	case 1:
		choice = last(p).Next()
	}
	if !choice.IsValid() || p.Contains(choice) {
		return any
	}
	return choice
}

// number draws a value of a range: its ends, or between them; beyond: one outside.
func number(r *rand.Rand, lo, hi, max int, beyond bool) int {
	if lo > hi {
		lo, hi = hi, lo
	}
	if beyond {
		if r.Intn(2) == 0 && lo > 0 || hi >= max {
			return lo - 1
		}
		return hi + 1
	}
	switch r.Intn(3) {
	case 0:
		return lo
	case 1:
		return hi
	}
	return lo + r.Intn(hi-lo+1)
}
