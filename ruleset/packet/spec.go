package packet

import "net/netip"

// Protocol numbers that have a form of their own in the packet language.
const (
	protoICMP    = 1
	protoTCP     = 6
	protoUDP     = 17
	protoDCCP    = 33
	protoGRE     = 47
	protoESP     = 50
	protoAH      = 51
	protoICMPv6  = 58
	protoSCTP    = 132
	protoUDPLite = 136
)

// TCP flag bits, as byte 13 of the header has them.
const (
	FlagFIN = 1 << iota
	FlagSYN
	FlagRST
	FlagPSH
	FlagACK
	FlagURG
	FlagECE
	FlagCWR
)

// Spec says which bytes a packet shall have; Build makes them. NewSpec sets the
// values of the fields that may not be zero.
type Spec struct {
	Family   Family
	Proto    uint8
	Src, Dst netip.Addr
	SrcPort  uint16
	DstPort  uint16

	TTL, TOS uint8
	ID       uint16
	DF, MF   bool
	FragOff  uint16 // IPv4, in units of 8 bytes
	IPOpts   []byte // IPv4 options, padded with zeros to 4 bytes
	Ext      []Ext  // IPv6 extension headers

	Flags    uint8 // TCP
	Seq, Ack uint32
	Win      uint16
	Doff     uint8  // TCP, DCCP: header length in words; 0: what fits
	Opts     []byte // TCP, DCCP options, padded with zeros to 4 bytes
	Type     uint8  // ICMP, ICMPv6, DCCP
	Code     uint8
	Rest     uint32 // ICMP, ICMPv6: bytes 4 to 7
	SPI      uint32 // ESP, AH

	Payload []byte
	Len     int  // length of the packet from the IP header on; 0: what there is
	Cut     int  // the packet ends after so many bytes; 0: nothing is cut off
	BadSum  bool // the transport checksum is wrong
}

// Ext is one IPv6 extension header.
type Ext struct {
	Header uint8
	Body   []byte // from its third byte on (Fragment: from its second)
	HdrLen int    // the length byte; below 0: what fits
}

// NewSpec gives a packet with the default values of the packet language.
func NewSpec(family Family, proto uint8) *Spec {
	s := &Spec{Family: family, Proto: proto, TTL: 64, SrcPort: 40000, DstPort: 9, Win: 65535, SPI: 1, Seq: 1}
	s.Src, s.Dst = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("198.51.100.1")
	if family == IPv6 {
		s.Src, s.Dst = netip.MustParseAddr("2001:db8:1::1"), netip.MustParseAddr("2001:db8:2::1")
	}
	switch proto {
	case protoICMP:
		s.Type, s.Rest = 8, 0x00010001
	case protoICMPv6:
		s.Type, s.Rest = 128, 0x00010001
	}
	return s
}

// hasPorts says whether the packet language writes ports for the protocol.
func hasPorts(proto uint8) bool {
	switch proto {
	case protoTCP, protoUDP, protoUDPLite, protoSCTP, protoDCCP:
		return true
	}
	return false
}
