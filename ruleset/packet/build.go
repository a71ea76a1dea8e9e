package packet

import (
	"encoding/binary"
	"fmt"
)

// Build makes the bytes of the packet, from the IP header on, with right lengths
// and checksums. It refuses what no header can say: addresses of another family,
// a length below that of the headers.
func (s *Spec) Build() ([]byte, error) {
	if s.Src.Is4() != (s.Family == IPv4) || s.Dst.Is4() != (s.Family == IPv4) {
		return nil, fmt.Errorf("%s > %s: not %s addresses; give two addresses of that family", s.Src, s.Dst, s.Family)
	}
	if err := s.checkRanges(); err != nil {
		return nil, err
	}
	head := s.ipHeader()
	l4 := s.transport()
	if s.Len > 0 {
		fill := s.Len - len(head) - len(l4)
		if fill < 0 {
			return nil, fmt.Errorf("len %d: the headers and the payload have %d bytes; give at least that, or use cut", s.Len, len(head)+len(l4))
		}
		l4 = append(l4, make([]byte, fill)...)
	}
	if len(head)+len(l4) > 65535 {
		return nil, fmt.Errorf("the packet has %d bytes; give at most 65535", len(head)+len(l4))
	}
	s.transportSum(l4)
	raw := append(head, l4...)
	if s.Cut > 0 {
		if s.Cut > len(raw) {
			return nil, fmt.Errorf("cut %d: the packet has only %d bytes; give fewer", s.Cut, len(raw))
		}
		if min := map[Family]int{IPv4: 20 + len(pad4(s.IPOpts)), IPv6: 40}[s.Family]; s.Cut < min {
			return nil, fmt.Errorf("cut %d: an %s packet keeps its header; give at least %d", s.Cut, s.Family, min)
		}
		raw = raw[:s.Cut:s.Cut]
	}
	finishIP(s.Family, raw)
	return raw, nil
}

func (s *Spec) checkRanges() error {
	switch {
	case len(s.IPOpts) > 40:
		return fmt.Errorf("ipopts: %d bytes; an IPv4 header has room for 40", len(s.IPOpts))
	case s.Proto == protoTCP && len(s.Opts) > 40:
		return fmt.Errorf("opts: %d bytes; a TCP header has room for 40", len(s.Opts))
	case s.FragOff > 0x1fff:
		return fmt.Errorf("frag %d: at most 8191 fit in the header", s.FragOff)
	}
	for _, e := range s.Ext {
		if len(e.Body) > 2046 {
			return fmt.Errorf("ext %d: %d bytes; an extension header has room for 2046", e.Header, len(e.Body))
		}
	}
	return nil
}

// ipHeader is the IP header with options or extension headers, lengths and the
// IPv4 checksum still missing.
func (s *Spec) ipHeader() []byte {
	if s.Family == IPv6 {
		return s.ip6Header()
	}
	opts := pad4(s.IPOpts)
	b := make([]byte, 20, 20+len(opts))
	b[0] = 0x40 | byte(5+len(opts)/4)
	b[1] = s.TOS
	binary.BigEndian.PutUint16(b[4:], s.ID)
	frag := s.FragOff
	if s.DF {
		frag |= 0x4000
	}
	if s.MF {
		frag |= 0x2000
	}
	binary.BigEndian.PutUint16(b[6:], frag)
	b[8], b[9] = s.TTL, s.Proto
	src, dst := s.Src.As4(), s.Dst.As4()
	copy(b[12:], src[:])
	copy(b[16:], dst[:])
	return append(b, opts...)
}

func (s *Spec) ip6Header() []byte {
	b := make([]byte, 40)
	b[0], b[1] = 0x60|s.TOS>>4, s.TOS<<4
	b[7] = s.TTL
	src, dst := s.Src.As16(), s.Dst.As16()
	copy(b[8:], src[:])
	copy(b[24:], dst[:])
	next := 6 // where the number of the next header goes
	for _, e := range s.Ext {
		b[next] = e.Header
		next = len(b)
		b = append(b, e.bytes()...)
	}
	b[next] = s.Proto
	return b
}

// bytes is the header, its first byte (the next header) still missing.
func (e Ext) bytes() []byte {
	if e.Header == extFragment {
		b := make([]byte, 8)
		copy(b[1:], e.Body)
		return b
	}
	b := append(make([]byte, 2), e.Body...)
	for len(b)%8 != 0 || len(b) < 8 {
		b = append(b, 0)
	}
	b[1] = byte(len(b)/8 - 1)
	if e.Header == extAuth {
		b[1] = byte(len(b)/4 - 2)
	}
	if e.HdrLen >= 0 {
		b[1] = byte(e.HdrLen)
	}
	return b
}

// finishIP writes the length of the packet and the IPv4 header checksum.
func finishIP(family Family, raw []byte) {
	if family == IPv6 {
		binary.BigEndian.PutUint16(raw[4:], uint16(len(raw)-40))
		return
	}
	binary.BigEndian.PutUint16(raw[2:], uint16(len(raw)))
	binary.BigEndian.PutUint16(raw[10:], 0)
	binary.BigEndian.PutUint16(raw[10:], ^fold(sum(raw[:int(raw[0]&15)*4], 0)))
}

func pad4(b []byte) []byte {
	b = append([]byte(nil), b...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// sum adds 16-bit words, as RFC 1071 says.
func sum(b []byte, start uint32) uint32 {
	for len(b) >= 2 {
		start += uint32(b[0])<<8 | uint32(b[1])
		b = b[2:]
	}
	if len(b) == 1 {
		start += uint32(b[0]) << 8
	}
	return start
}

func fold(s uint32) uint16 {
	for s>>16 != 0 {
		s = s&0xffff + s>>16
	}
	return uint16(s)
}
