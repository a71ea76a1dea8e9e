package packet

import (
	"encoding/binary"
	"net/netip"
)

// Family is an IP version: 4 or 6.
type Family uint8

// The two families that netfilter's IP tables know.
const (
	IPv4 Family = 4
	IPv6 Family = 6
)

// String gives "ipv4" or "ipv6".
func (f Family) String() string {
	if f == IPv6 {
		return "ipv6"
	}
	return "ipv4"
}

// Bits is the length of an address of the family in bits.
func (f Family) Bits() int {
	if f == IPv6 {
		return 128
	}
	return 32
}

// Hook is a netfilter hook, numbered as in enum nf_inet_hooks
// (include/uapi/linux/netfilter.h).
type Hook uint8

// The five hooks of the IP families.
const (
	Prerouting Hook = iota
	Input
	Forward
	Output
	Postrouting
)

// String is the name of the built-in chain at the hook.
func (h Hook) String() string {
	return [...]string{"PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"}[h]
}

// Local says whether packets of this host come to the hook in the context of the process that
// sends them: what runs there may be interrupted by itself, for a packet that is received.
func (h Hook) Local() bool { return h == Output || h == Postrouting }

// HookByName finds a hook by the name of its built-in chain.
func HookByName(name string) (Hook, bool) {
	for h := Prerouting; h <= Postrouting; h++ {
		if h.String() == name {
			return h, true
		}
	}
	return 0, false
}

// L4State says what became of the search for the transport header.
type L4State uint8

// IPv4 packets are always L4Found: the protocol field is all that is asked.
// For IPv6 these are the outcomes of ipv6_find_hdr() as ip6_packet_match() reads
// them (net/ipv6/netfilter/ip6_tables.c).
const (
	L4Found  L4State = iota // Proto, THOff and FragOff are valid
	L4None                  // an extension header that FindExt was asked for is absent
	L4Broken                // cut extension header, or a later fragment of one: rules with -p drop the packet
)

// Connection-tracking state bits, as xt_conntrack.h spells them
// (include/uapi/linux/netfilter/xt_conntrack.h).
const (
	CtInvalid     = 1 << 0
	CtEstablished = 1 << 1
	CtRelated     = 1 << 2
	CtNew         = 1 << 3
	CtSNAT        = 1 << 6
	CtDNAT        = 1 << 7
	CtUntracked   = 1 << 8
	// CtMet is not one of them. Beside CtInvalid it says that netfilter has attached something that
	// is no entry, as REJECT does to its answer to an untracked packet (nf_conntrack_attach(),
	// net/netfilter/nf_conntrack_core.c): CT leaves such a packet as it is.
	CtMet = 1 << 9
)

// Iface is a network interface as the hook sees it; the zero value means that
// there is none at this hook.
type Iface struct {
	Name  string
	Index uint32
	Group uint32
}

// Tuple is one direction of a connection. Ports are in host order.
type Tuple struct {
	Src, Dst         netip.Addr
	SrcPort, DstPort uint16
}

// Conn is the kernel's conntrack entry of a packet.
type Conn struct {
	Proto       uint8
	Reply       bool // the packet goes in the reply direction
	Status      uint32
	Mark        uint32
	Orig, Repl  Tuple
	ExpiresSecs uint32
	// MasterHelper is the name of the helper that has expected the connection; empty: none has.
	MasterHelper string
	Carried      *[2]Carried // so far, with this packet, in the original direction and as replies; nil: not counted
	Labels       [2]uint64   // bits
}

// Carried is what went through a connection in one direction.
type Carried struct{ Packets, Bytes uint64 }

// Socket is the local socket that sent a packet, at OUTPUT and POSTROUTING.
type Socket struct {
	UID, GID uint32
	Groups   []uint32 // supplementary groups
	ClassID  uint32   // of the control group net_cls
	// ControlGroup is the path of the group in cgroup2, from its root on.
	ControlGroup string
	HasFile      bool // false: a socket without a file, which has no owner
}

// Transform is one of IPsec: a state of xfrm that a packet met, or will meet.
type Transform struct {
	Src, Dst    netip.Addr // of the state
	Proto, Mode uint8      // mode: 0 transport, 1 tunnel
	SPI, ReqID  uint32
}

// Facts is what a rule may ask about one packet. All numbers are in host order.
type Facts struct {
	Family  Family
	Hook    Hook
	In, Out Iface
	Raw     []byte // from the IP header on; shorter than Len when cut
	Link    []byte // the Ethernet header; nil when there is none
	Len     uint32 // skb->len: bytes from the IP header on

	Proto   uint8   // valid if L4 == L4Found
	L4      L4State // see L4State
	THOff   uint16  // offset of the transport header in Raw; valid if L4 == L4Found
	FragOff uint16  // fragment offset as the matches see it (IPv4: units of 8 bytes, IPv6: bytes)

	Mark    uint32
	CtState uint32 // one state bit, plus CtSNAT and CtDNAT
	Conn    *Conn  // nil: INVALID, UNTRACKED or not tracked yet
	Sock    *Socket
	PktType uint8 // PACKET_HOST 0, BROADCAST 1, MULTICAST 2, OTHERHOST 3, OUTGOING 4, LOOPBACK 5
	CPU     uint32
	Realm   uint32 // routing realm (dst->tclassid); valid after routing
	PhysIn  Iface  // bridge port the packet came in on; zero: not bridged
	PhysOut Iface

	Decrypted []Transform // of IPsec that it had, the last one first
	Encrypts  []Transform // that it will have; valid after routing

	World *World // never nil in a decoded packet
}

// World is what matches ask that is not in the packet: time, chance and
// addresses of the host. A test sets its members; the zero value works.
type World struct {
	Jiffies   uint64                                        // clock of limit and recent, in ticks
	Clock     uint64                                        // the wall clock, in seconds since 1970
	HZ        uint64                                        // ticks per second; 0 means 1000
	Random    func() uint32                                 // nil: always 0
	AddrTypes func(a netip.Addr, dev string) (types uint32) // what routing makes of an address, 1 << RTN_*; nil: by address alone
	// ReversePath says whether a packet to the source would leave by the interface it came in on; nil: yes.
	ReversePath func(ReversePath) bool
	AddrOf      func(dev string, family Family) netip.Addr // the one address of an interface, if it has one; nil: not known
	State       map[any]any                                // memory of stateful matches, by their identity
}

// ReversePath is how the way back is looked for.
type ReversePath struct {
	Loose       bool // by any interface
	ByMark      bool // with the mark of the packet
	AcceptLocal bool // addresses of this host are sources, too
}

// Bits are the options as the kernel numbers them (include/uapi/linux/netfilter/xt_rpfilter.h).
func (r ReversePath) Bits() (bits uint32) {
	for i, set := range []bool{r.Loose, r.ByMark, r.AcceptLocal} {
		if set {
			bits |= 1 << i
		}
	}
	return bits
}

// Ticks is the clock rate, in ticks per second.
func (w *World) Ticks() uint64 {
	if w.HZ == 0 {
		return 1000
	}
	return w.HZ
}

// Nanoseconds is the clock of named sets.
func (w *World) Nanoseconds() uint64 { return w.Jiffies * (1_000_000_000 / w.Ticks()) }

// Bytes gives n bytes at an offset from the IP header, and whether they are there.
func (f *Facts) Bytes(off, n int) ([]byte, bool) {
	if off < 0 || n < 0 || off+n > len(f.Raw) {
		return nil, false
	}
	return f.Raw[off : off+n], true
}

// L4Bytes gives n bytes at an offset from the transport header.
func (f *Facts) L4Bytes(off, n int) ([]byte, bool) {
	if f.L4 != L4Found {
		return nil, false
	}
	return f.Bytes(int(f.THOff)+off, n)
}

// Src is the source address.
func (f *Facts) Src() netip.Addr { return f.addr(12, 8) }

// Dst is the destination address.
func (f *Facts) Dst() netip.Addr { return f.addr(16, 24) }

func (f *Facts) addr(off4, off6 int) netip.Addr {
	if f.Family == IPv6 {
		b, _ := f.Bytes(off6, 16)
		a, _ := netip.AddrFromSlice(b)
		return a
	}
	b, _ := f.Bytes(off4, 4)
	a, _ := netip.AddrFromSlice(b)
	return a
}

// IsFragment says whether an IPv4 packet is a fragment other than the first
// (what -f asks).
func (f *Facts) IsFragment() bool { return f.Family == IPv4 && f.FragOff != 0 }

// HasPorts says whether the transport header begins with two ports.
func (f *Facts) HasPorts() bool { return f.L4 == L4Found && !f.IsFragment() && hasPorts(f.Proto) }

// be16 reads a big-endian number.
func be16(b []byte) uint16 { return binary.BigEndian.Uint16(b) }
