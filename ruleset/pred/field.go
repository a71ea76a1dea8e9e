package pred

// Field is a number that a rule may ask about a packet and that does not lie at a
// fixed place of its bytes.
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
	FieldL4Avail // bytes that are there from the transport header on, at most 65535
	NumFields
)

var fieldNames = [NumFields]string{
	"len", "proto", "l4state", "fragoff", "thoff", "mark", "ct.state", "ct", "ct.mark", "ct.status", "ct.dir",
	"ct.proto", "ct.orig.sport", "ct.orig.dport", "ct.repl.sport", "ct.repl.dport", "ct.expire", "socket", "uid", "gid",
	"pkttype", "cpu", "realm", "iif.group", "oif.group", "has-iif", "has-oif", "ether", "mac.hi", "mac.lo", "bridged", "l4avail",
}

// String is the name of the field in plans.
func (f Field) String() string { return fieldNames[f] }
