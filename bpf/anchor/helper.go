package anchor

import (
	"encoding/binary"

	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// NewConnection ends the rule unless the packet is of a connection that is new to conntrack, and
// not one that it has expected (nft_ct_get_eval(), net/netfilter/nft_ct.c).
func NewConnection() Rule {
	return Rule{
		&expr.Ct{Register: reg, Key: expr.CtKeySTATE},
		&expr.Cmp{Op: expr.CmpOpEq, Register: reg, Data: native32(expr.CtStateBitNEW)},
	}
}

// helper gives the connection of a packet a helper, which is an object of the table with the name of the
// rule's chain, and goes with it.
type helper struct {
	*expr.Objref
	family packet.Family
	name   string
	proto  uint8
}

// Helper gives a connection that is not confirmed yet a helper of conntrack for a protocol, unless it has
// one (nft_ct_helper_obj_eval(), net/netfilter/nft_ct.c). The rule must be in the chain of that name, and
// the only one there with an object.
func Helper(chain string, family packet.Family, name string, proto uint8) Rule {
	return Rule{&helper{&expr.Objref{Type: unix.NFT_OBJECT_CT_HELPER, Name: chain}, family, name, proto}}
}

// prepare adds the object.
func (h *helper) prepare(b *batch) error {
	l3 := uint16(unix.NFPROTO_IPV4)
	if h.family == packet.IPv6 {
		l3 = unix.NFPROTO_IPV6
	}
	b.addObject(object{h.Name, unix.NFT_OBJECT_CT_HELPER}, text(unix.NFTA_CT_HELPER_NAME, h.name),
		netlink.Attribute{Type: unix.NFTA_CT_HELPER_L3PROTO, Data: binary.BigEndian.AppendUint16(nil, l3)},
		netlink.Attribute{Type: unix.NFTA_CT_HELPER_L4PROTO, Data: []byte{h.proto}})
	return nil
}
