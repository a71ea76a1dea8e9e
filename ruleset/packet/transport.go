package packet

import (
	"encoding/binary"
	"hash/crc32"
	"net/netip"
)

// transport is the transport header and the payload, the checksum still missing.
func (s *Spec) transport() []byte {
	var b []byte
	switch s.Proto {
	case protoTCP:
		b = s.tcp()
	case protoUDP, protoUDPLite:
		b = s.ports(8)
		if n := 8 + len(s.Payload); s.Proto == protoUDP {
			binary.BigEndian.PutUint16(b[4:], uint16(n))
		}
	case protoSCTP:
		b = s.ports(12)
	case protoDCCP:
		b = s.dccp()
	case protoICMP, protoICMPv6:
		b = make([]byte, 8)
		b[0], b[1] = s.Type, s.Code
		binary.BigEndian.PutUint32(b[4:], s.Rest)
	case protoESP:
		b = make([]byte, 8)
		binary.BigEndian.PutUint32(b, s.SPI)
		binary.BigEndian.PutUint32(b[4:], s.Seq)
	case protoAH:
		b = make([]byte, 24)
		b[0], b[1] = extNone, 4 // 24 bytes: (4 + 2) words
		binary.BigEndian.PutUint32(b[4:], s.SPI)
		binary.BigEndian.PutUint32(b[8:], s.Seq)
	case protoGRE:
		b = []byte{0, 0, 8, 0}
	}
	return append(b, s.Payload...)
}

func (s *Spec) ports(size int) []byte {
	b := make([]byte, size)
	binary.BigEndian.PutUint16(b, s.SrcPort)
	binary.BigEndian.PutUint16(b[2:], s.DstPort)
	return b
}

func (s *Spec) tcp() []byte {
	b := append(s.ports(20), pad4(s.Opts)...)
	binary.BigEndian.PutUint32(b[4:], s.Seq)
	binary.BigEndian.PutUint32(b[8:], s.Ack)
	b[12] = s.words(len(b)) << 4
	b[13] = s.Flags
	binary.BigEndian.PutUint16(b[14:], s.Win)
	return b
}

func (s *Spec) words(n int) byte {
	if s.Doff > 0 {
		return s.Doff
	}
	return byte(n / 4)
}

// dccpExtra is what follows the generic header, by packet type
// (dccp_packet_hdr_len(), include/linux/dccp.h).
var dccpExtra = [...]int{4, 12, 0, 8, 8, 8, 8, 12, 8, 8}

func (s *Spec) dccp() []byte {
	n := 16
	if int(s.Type) < len(dccpExtra) {
		n += dccpExtra[s.Type]
	}
	b := append(s.ports(n), pad4(s.Opts)...)
	b[4] = byte(len(b) / 4)
	if s.Doff > 0 {
		b[4] = s.Doff
	}
	b[8] = s.Type<<1 | 1 // long sequence numbers
	binary.BigEndian.PutUint32(b[12:], s.Seq)
	return b
}

// transportSum writes the checksum of the whole transport segment.
func (s *Spec) transportSum(l4 []byte) {
	off := map[uint8]int{protoTCP: 16, protoUDP: 6, protoUDPLite: 6, protoDCCP: 6, protoICMP: 2, protoICMPv6: 2, protoSCTP: 8}[s.Proto]
	if off == 0 || len(l4) < off+2 {
		return
	}
	if s.Proto == protoUDP { // the length may have grown by Spec.Len
		binary.BigEndian.PutUint16(l4[4:], uint16(len(l4)))
	}
	if s.Proto == protoSCTP {
		c := crc32.Checksum(l4, crc32.MakeTable(crc32.Castagnoli))
		if s.BadSum {
			c = ^c
		}
		binary.LittleEndian.PutUint32(l4[8:], c)
		return
	}
	c := ^fold(sum(l4, s.pseudo(len(l4))))
	if c == 0 && (s.Proto == protoUDP || s.Proto == protoUDPLite) {
		c = 0xffff
	}
	if s.BadSum {
		c ^= 0x5555
	}
	binary.BigEndian.PutUint16(l4[off:], c)
}

// pseudo is the sum of the pseudo header; ICMP of IPv4 has none.
func (s *Spec) pseudo(n int) uint32 {
	if s.Proto == protoICMP {
		return 0
	}
	src, dst := s.Src.AsSlice(), s.Dst.AsSlice()
	return sum(dst, sum(src, uint32(s.Proto)+uint32(n)))
}

// PseudoSum is the folded sum of the pseudo header of a TCP or UDP packet.
func PseudoSum(src, dst netip.Addr, proto uint8, n int) uint16 {
	return fold(sum(dst.AsSlice(), sum(src.AsSlice(), uint32(proto)+uint32(n))))
}

// Checksum is the Internet checksum (RFC 1071) of the bytes, start being added.
func Checksum(b []byte, start uint16) uint16 { return ^fold(sum(b, uint32(start))) }
