package anchor

import (
	"encoding/binary"

	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Direction is one of a connection, or both.
type Direction uint8

// The directions.
const (
	Both Direction = iota
	Original
	Reply
)

// Zone has a direction of the connection of a packet without entry tracked in a zone
// (nft_ct_set_zone_eval(), net/netfilter/nft_ct.c, as xt_ct_target(), net/netfilter/xt_CT.c, with a zone alone).
func Zone(zone uint16, of Direction) Rule {
	return Rule{&expr.Immediate{Register: reg, Data: binary.NativeEndian.AppendUint16(nil, zone)}, setZone(of)}
}

// ZoneOfMark is Zone with the low 16 bits of the packet's mark, which come first: our programs are for
// little-endian machines.
func ZoneOfMark(of Direction) Rule {
	return Rule{&expr.Meta{Key: expr.MetaKeyMARK, Register: reg}, setZone(of)}
}

// zone is Ct with the direction, which the library sends for addresses only.
type zone struct {
	*expr.Ct
	of Direction
}

func setZone(of Direction) expr.Any {
	return &zone{&expr.Ct{Register: reg, SourceRegister: true, Key: expr.CtKeyZONE}, of}
}

func (z *zone) spell(b *batch) []netlink.Attribute {
	all := []netlink.Attribute{number(unix.NFTA_CT_KEY, uint32(z.Key)), number(unix.NFTA_CT_SREG, z.Register)}
	if z.of != Both { // IP_CT_DIR_ORIGINAL is 0
		all = append(all, netlink.Attribute{Type: unix.NFTA_CT_DIRECTION, Data: []byte{byte(z.of - Original)}})
	}
	return []netlink.Attribute{text(unix.NFTA_EXPR_NAME, "ct"), b.nested(unix.NFTA_EXPR_DATA, all...)}
}
