package pred

import (
	"encoding/binary"
	"net/netip"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// bytes gives n bytes at an offset from a base, and whether they are there.
func (e *evaluator) bytes(base Base, off, n int) ([]byte, bool) {
	switch base {
	case BaseL4:
		return e.f.L4Bytes(off, n)
	case BaseExt:
		if e.ext.State != packet.L4Found {
			return nil, false
		}
		return e.f.Bytes(e.ext.Off+off, n)
	}
	return e.f.Bytes(off, n)
}

// value gives the number that a Field or Load stands for.
func (e *evaluator) value(v Value) uint32 {
	switch v := v.(type) {
	case Load:
		n := uint32(0)
		for i := 0; i < int(v.Width); i++ {
			n <<= 8
			if b, ok := e.bytes(v.Base, int(v.Off)+i, 1); ok {
				n |= uint32(b[0])
			}
		}
		return n
	case Field:
		return e.field(v)
	}
	panic("pred: Eval has no arm for value " + v.String())
}

// addr gives an address in 16 bytes; IPv4 uses the first 4.
func (e *evaluator) addr(of AddrField) (b [16]byte) {
	var a netip.Addr
	c := e.f.Conn
	switch {
	case of == AddrSrc:
		a = e.f.Src()
	case of == AddrDst:
		a = e.f.Dst()
	case c == nil:
		return b
	case of == AddrCtOrigSrc:
		a = c.Orig.Src
	case of == AddrCtOrigDst:
		a = c.Orig.Dst
	case of == AddrCtReplSrc:
		a = c.Repl.Src
	case of == AddrCtReplDst:
		a = c.Repl.Dst
	}
	copy(b[:], a.AsSlice())
	return b
}

func (e *evaluator) addrIs(p Addr) bool {
	a := e.addr(p.Of)
	for i := range a[:e.f.Family.Bits()/8] {
		if a[i]&p.Mask[i] != p.Value[i] {
			return false
		}
	}
	return true
}

// name gives a name, padded with zeros.
func (e *evaluator) name(of NameField) (name [16]byte) {
	if of == NameHelper {
		if e.f.Conn != nil {
			copy(name[:15], e.f.Conn.MasterHelper)
		}
		return name
	}
	iface := [...]packet.Iface{NameIn: e.f.In, NameOut: e.f.Out, NamePhysIn: e.f.PhysIn, NamePhysOut: e.f.PhysOut}[of]
	copy(name[:15], iface.Name)
	return name
}

func (e *evaluator) nameIs(p Name) bool {
	name := e.name(p.Of)
	for i := range name {
		if name[i]&p.Mask[i] != p.Value[i] {
			return false
		}
	}
	return true
}

// field gives a field's number; 0 where it is not valid.
func (e *evaluator) field(of Field) uint32 { return facts[of].of(e.f) }

// ofConn reads the conntrack entry.
func ofConn(read func(*packet.Conn) uint32) func(*packet.Facts) uint32 {
	return func(f *packet.Facts) uint32 {
		if f.Conn == nil {
			return 0
		}
		return read(f.Conn)
	}
}

func hasOwner(f *packet.Facts) bool { return f.Sock != nil && f.Sock.HasFile }

// ofOwner reads the socket's owner.
func ofOwner(read func(*packet.Socket) uint32) func(*packet.Facts) uint32 {
	return func(f *packet.Facts) uint32 {
		if !hasOwner(f) {
			return 0
		}
		return read(f.Sock)
	}
}

func classID(f *packet.Facts) uint32 {
	if f.Sock == nil {
		return 0
	}
	return f.Sock.ClassID
}

func bridged(f *packet.Facts) uint32 {
	in, out := f.PhysIn.Name != "", f.PhysOut.Name != ""
	return bit(in || out, 1) | bit(in, 2) | bit(out, 4|8)
}

func hasEther(f *packet.Facts) bool { return len(f.Link) >= 14 }

func macHi(f *packet.Facts) uint32 {
	if !hasEther(f) {
		return 0
	}
	return binary.BigEndian.Uint32(f.Link[6:])
}

func macLo(f *packet.Facts) uint32 {
	if !hasEther(f) {
		return 0
	}
	return uint32(binary.BigEndian.Uint16(f.Link[10:]))
}

// pktType is the type that pkttype_mt() asks about (net/netfilter/xt_pkttype.c): a
// packet that was looped back is told by its destination.
func pktType(f *packet.Facts) uint32 {
	const broadcast, multicast, loopback = 1, 2, 5
	switch {
	case f.PktType != loopback:
		return uint32(f.PktType)
	case f.Family == packet.IPv6 || f.Dst().IsMulticast():
		return multicast
	}
	return broadcast
}

func l4Avail(f *packet.Facts) uint32 {
	if f.L4 != packet.L4Found || int(f.THOff) >= len(f.Raw) {
		return 0
	}
	return min(uint32(len(f.Raw)-int(f.THOff)), 65535)
}

func bit(set bool, value uint32) uint32 {
	if set {
		return value
	}
	return 0
}
