package pred

import "github.com/bpftables/bpftables/ruleset/packet"

// Field is a number that a rule may ask about a packet and that does not lie at a
// fixed position of its bytes. A new one gets a constant and a line in the table below.
type Field uint8

// The fields; see packet.Facts for their meaning. FieldCt* other than CtState are
// valid if FieldHasConn is 1, FieldUID and FieldGID if FieldSocket is 2.
const (
	FieldLen           Field = iota // skb->len
	FieldProto                      // transport protocol; valid if FieldL4State is 0
	FieldL4State                    // packet.L4State
	FieldFragOff                    // fragment offset, see packet.Facts
	FieldTHOff                      // offset of the transport header
	FieldMark                       // packet mark
	FieldCtState                    // conntrack state bits
	FieldHasConn                    // 1: there is a conntrack entry
	FieldCtMark                     // conntrack mark
	FieldCtStatus                   // IPS_* bits
	FieldCtDir                      // 0 original, 1 reply
	FieldCtProto                    // protocol of the entry
	FieldCtOrigSrcPort              // ports of both tuples, host order
	FieldCtOrigDstPort
	FieldCtReplSrcPort
	FieldCtReplDstPort
	FieldCtExpire // seconds until the entry expires
	FieldSocket   // 0: no socket or not of this namespace, 1: without a file, 2: with an owner
	FieldUID      // fsuid of the socket's file
	FieldGID      // fsgid of the socket's file
	FieldPktType  // PACKET_*; a looped-back multicast or broadcast is told by its address, as xt_pkttype does
	FieldCPU      // processor number
	FieldRealm    // dst->tclassid; 0 without a route
	FieldInGroup  // device group of the interface the packet came in on
	FieldOutGroup
	FieldHasIn // 1: there is such an interface
	FieldHasOut
	FieldEther   // 1: an Ethernet source address can be read
	FieldMACHi   // first 4 bytes of it
	FieldMACLo   // last 2 bytes of it
	FieldBridged // bits: 1 = has bridge info, 2 = physin known, 4 = physout known, 8 = bridged (not routed)
	FieldClassed // 1: it belongs to a socket of this namespace that is no half of one
	FieldClassID // net_cls class of that socket
	FieldL4Avail // bytes that are there from the transport header on, at most 65535
	NumFields
)

// fact is all that has to be said of a field, but for how the kernel is asked for it: that
// is get_field() of bpf/facts/fields.h, or where it has a Cell, bpf/facts/fill.h. The numbers
// of C are generated from here (bpf/abi/numbers).
type fact struct {
	name string
	// cell is the member of struct facts (bpf/facts/facts.h) that holds it before the first
	// rule, in Go's spelling; empty: get_field() is asked.
	cell  string
	reads Reads // groups of facts that must be filled for it
	wide  Reads // the same for IPv6, which has more to look for
	conn  bool  // it is about the conntrack entry
	early bool  // the early stage has it, for every packet
	of    func(f *packet.Facts) uint32
}

var facts = [NumFields]fact{
	FieldLen:     {name: "len", cell: "Len", early: true, of: func(f *packet.Facts) uint32 { return f.Len }},
	FieldProto:   {name: "proto", cell: "Proto", wide: ReadsL4, early: true, of: func(f *packet.Facts) uint32 { return uint32(f.Proto) }},
	FieldL4State: {name: "l4state", cell: "L4state", wide: ReadsL4, early: true, of: func(f *packet.Facts) uint32 { return uint32(f.L4) }},
	FieldFragOff: {name: "fragoff", cell: "Fragoff", wide: ReadsL4, early: true, of: func(f *packet.Facts) uint32 { return uint32(f.FragOff) }},
	FieldTHOff:   {name: "thoff", cell: "Thoff", wide: ReadsL4, early: true, of: func(f *packet.Facts) uint32 { return uint32(f.THOff) }},
	FieldL4Avail: {name: "l4avail", cell: "L4avail", reads: ReadsL4, early: true, of: l4Avail},
	FieldMark:    {name: "mark", cell: "Mark", of: func(f *packet.Facts) uint32 { return f.Mark }},

	FieldCtState:       {name: "ct.state", cell: "Ctstate", reads: ReadsCt | ReadsCtNAT, conn: true, early: true, of: func(f *packet.Facts) uint32 { return f.CtState }},
	FieldHasConn:       {name: "ct", cell: "Hasconn", reads: ReadsCt, conn: true, early: true, of: ofConn(func(*packet.Conn) uint32 { return 1 })},
	FieldCtMark:        {name: "ct.mark", cell: "Ctmark", reads: ReadsCt | ReadsCtMark, conn: true, early: true, of: ofConn(func(c *packet.Conn) uint32 { return c.Mark })},
	FieldCtStatus:      {name: "ct.status", conn: true, of: ofConn(func(c *packet.Conn) uint32 { return c.Status })},
	FieldCtDir:         {name: "ct.dir", conn: true, of: ofConn(func(c *packet.Conn) uint32 { return bit(c.Reply, 1) })},
	FieldCtProto:       {name: "ct.proto", conn: true, of: ofConn(func(c *packet.Conn) uint32 { return uint32(c.Proto) })},
	FieldCtOrigSrcPort: {name: "ct.orig.sport", conn: true, of: ofConn(func(c *packet.Conn) uint32 { return uint32(c.Orig.SrcPort) })},
	FieldCtOrigDstPort: {name: "ct.orig.dport", conn: true, of: ofConn(func(c *packet.Conn) uint32 { return uint32(c.Orig.DstPort) })},
	FieldCtReplSrcPort: {name: "ct.repl.sport", conn: true, of: ofConn(func(c *packet.Conn) uint32 { return uint32(c.Repl.SrcPort) })},
	FieldCtReplDstPort: {name: "ct.repl.dport", conn: true, of: ofConn(func(c *packet.Conn) uint32 { return uint32(c.Repl.DstPort) })},
	FieldCtExpire:      {name: "ct.expire", conn: true, of: ofConn(func(c *packet.Conn) uint32 { return c.ExpiresSecs })},

	FieldSocket: {name: "socket", of: func(f *packet.Facts) uint32 { return bit(f.Sock != nil, 1) + bit(hasOwner(f), 1) }},
	FieldUID:    {name: "uid", of: ofOwner(func(s *packet.Socket) uint32 { return s.UID })},
	FieldGID:    {name: "gid", of: ofOwner(func(s *packet.Socket) uint32 { return s.GID })},

	FieldPktType:  {name: "pkttype", of: pktType},
	FieldCPU:      {name: "cpu", of: func(f *packet.Facts) uint32 { return f.CPU }},
	FieldRealm:    {name: "realm", of: func(f *packet.Facts) uint32 { return f.Realm }},
	FieldInGroup:  {name: "iif.group", of: func(f *packet.Facts) uint32 { return f.In.Group }},
	FieldOutGroup: {name: "oif.group", of: func(f *packet.Facts) uint32 { return f.Out.Group }},
	FieldHasIn:    {name: "has-iif", of: func(f *packet.Facts) uint32 { return bit(f.In.Name != "", 1) }},
	FieldHasOut:   {name: "has-oif", of: func(f *packet.Facts) uint32 { return bit(f.Out.Name != "", 1) }},
	FieldBridged:  {name: "bridged", of: bridged},

	FieldClassed: {name: "classed", of: func(f *packet.Facts) uint32 { return bit(f.Sock != nil, 1) }},
	FieldClassID: {name: "classid", of: func(f *packet.Facts) uint32 { return classID(f) }},

	FieldEther: {name: "ether", cell: "Ether", reads: ReadsMAC, early: true, of: func(f *packet.Facts) uint32 { return bit(hasEther(f), 1) }},
	FieldMACHi: {name: "mac.hi", cell: "MacHi", reads: ReadsMAC, early: true, of: macHi},
	FieldMACLo: {name: "mac.lo", cell: "MacLo", reads: ReadsMAC, early: true, of: macLo},
}

// String is the name of the field in plans.
func (f Field) String() string { return facts[f].name }

// Cell is the member of struct facts that holds the field before the first rule, in Go's
// spelling; "" where it has to be asked for.
func (f Field) Cell() string { return facts[f].cell }

// InFacts says whether the datapath has the field in memory before the first rule.
func (f Field) InFacts() bool { return facts[f].cell != "" }

// Conntrack says whether the field is about the conntrack entry.
func (f Field) Conntrack() bool { return facts[f].conn }

// Early says whether the early stage has the field, for every packet.
func (f Field) Early() bool { return facts[f].early }

// Reads is what must be known for a field.
func (f Field) Reads(family packet.Family) Reads {
	if family == packet.IPv6 {
		return facts[f].reads | facts[f].wide
	}
	return facts[f].reads
}
