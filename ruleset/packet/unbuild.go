package packet

import (
	"bytes"
	"encoding/binary"
)

// specOf finds the Spec that gives the bytes of the packet; nil when there is none
// and the bytes must be written out.
func specOf(f *Facts) *Spec {
	if f.L4 != L4Found || int(f.Len) != len(f.Raw) {
		return nil
	}
	s := NewSpec(f.Family, f.Proto)
	s.Src, s.Dst = f.Src(), f.Dst()
	l4 := s.readIP(f)
	if l4 == nil {
		return nil
	}
	s.readTransport(l4)
	raw, err := s.Build()
	if err == nil && !bytes.Equal(raw, f.Raw) {
		s.BadSum = true
		raw, err = s.Build()
	}
	if err != nil || !bytes.Equal(raw, f.Raw) {
		return nil
	}
	return s
}

// readIP takes what the IP header says; it gives the bytes behind it, nil when a
// Spec cannot say it.
func (s *Spec) readIP(f *Facts) []byte {
	if f.Family == IPv4 {
		frag := be16(f.Raw[6:])
		s.TOS, s.ID, s.TTL = f.Raw[1], be16(f.Raw[4:]), f.Raw[8]
		s.DF, s.MF, s.FragOff = frag&0x4000 != 0, frag&0x2000 != 0, frag&0x1fff
		if int(f.THOff) > len(f.Raw) {
			return nil
		}
		s.IPOpts = f.Raw[20:f.THOff]
		return f.Raw[f.THOff:]
	}
	s.TOS, s.TTL = f.Raw[0]<<4|f.Raw[1]>>4, f.Raw[7]
	next, off := f.Raw[6], 40
	for isExt(next) && next != extNone {
		hdr, ok := f.Bytes(off, 8)
		if !ok {
			return nil
		}
		e := Ext{Header: next, HdrLen: -1}
		size := (int(hdr[1]) + 1) * 8
		switch next {
		case extAuth:
			size = (int(hdr[1]) + 2) * 4
		case extFragment:
			size = 8
		}
		body, ok := f.Bytes(off, size)
		if !ok || size < 8 {
			return nil
		}
		e.Body = body[2:]
		if next == extFragment {
			e.Body = body[1:]
		}
		s.Ext = append(s.Ext, e)
		next, off = hdr[0], off+size
	}
	s.Proto = next
	return f.Raw[off:]
}

// readTransport takes what the transport header says, as far as it is there.
func (s *Spec) readTransport(l4 []byte) {
	min := map[uint8]int{protoTCP: 20, protoUDP: 8, protoUDPLite: 8, protoSCTP: 12, protoDCCP: 16, protoICMP: 8, protoICMPv6: 8,
		protoESP: 8, protoAH: 24, protoGRE: 4}[s.Proto]
	if len(l4) < min { // cut: fill it up, Build cuts it again
		s.Cut = s.headLen() + len(l4)
		l4 = append(append([]byte(nil), l4...), make([]byte, min-len(l4))...)
	}
	if hasPorts(s.Proto) {
		s.SrcPort, s.DstPort = be16(l4), be16(l4[2:])
	}
	head := min
	switch s.Proto {
	case protoTCP:
		s.Seq, s.Ack = binary.BigEndian.Uint32(l4[4:]), binary.BigEndian.Uint32(l4[8:])
		s.Flags, s.Win = l4[13], be16(l4[14:])
		head = s.readOpts(l4, 20, int(l4[12]>>4)*4, l4[12]>>4)
	case protoDCCP:
		s.Type, s.Seq = l4[8]>>1&15, binary.BigEndian.Uint32(l4[12:])
		base := 16
		if int(s.Type) < len(dccpExtra) {
			base += dccpExtra[s.Type]
		}
		head = s.readOpts(l4, base, int(l4[4])*4, l4[4])
	case protoICMP, protoICMPv6:
		s.Type, s.Code, s.Rest = l4[0], l4[1], binary.BigEndian.Uint32(l4[4:])
	case protoESP:
		s.SPI, s.Seq = binary.BigEndian.Uint32(l4), binary.BigEndian.Uint32(l4[4:])
	case protoAH:
		s.SPI, s.Seq = binary.BigEndian.Uint32(l4[4:]), binary.BigEndian.Uint32(l4[8:])
	}
	if head < len(l4) {
		s.setPayload(l4[head:])
	}
}

// readOpts takes the options between the fixed header and the end that the header
// length names; a length that does not fit is kept as Doff.
func (s *Spec) readOpts(l4 []byte, fixed, end int, words byte) int {
	if fixed > len(l4) {
		s.Cut = s.headLen() + len(l4)
		return len(l4)
	}
	if end < fixed || end > len(l4) {
		s.Doff = words
		return fixed
	}
	s.Opts = l4[fixed:end]
	return end
}

// setPayload writes trailing zeros as a length.
func (s *Spec) setPayload(b []byte) {
	short := bytes.TrimRight(b, "\x00")
	if len(b)-len(short) > 8 && s.Cut == 0 {
		s.Len = s.headLen() + len(s.transport()) + len(b)
		b = short
	}
	s.Payload = b
}

func (s *Spec) headLen() int { return len(s.ipHeader()) }
