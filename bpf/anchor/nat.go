package anchor

import (
	"encoding/binary"
	"net/netip"

	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// Registers of 16 bytes: an IPv6 address fits in.
const (
	regAddrMin = unix.NFT_REG_1
	regAddrMax = unix.NFT_REG_2
	regPortMin = unix.NFT_REG_3
	regPortMax = unix.NFT_REG_4
)

// NAT is a translation of the addresses of a connection. Its rules belong in chains of type
// nat.
type NAT struct {
	Min, Max netip.Addr   // to choose from; not valid: the address stays
	Net      netip.Prefix // if valid: the address moves to this network and its host part stays
	Ports    bool
	Lo, Hi   uint16 // with Ports: to choose from

	Random, FullyRandom, Persistent bool
}

// Source gives the connection of a packet another source: in POSTROUTING and INPUT. It calls
// what SNAT of iptables calls (nft_nat_eval(), net/netfilter/nft_nat.c; xt_snat_target_v2(),
// net/netfilter/xt_nat.c; both nf_nat_setup_info()).
func Source(family packet.Family, n NAT) Rule { return nat(family, expr.NATTypeSourceNAT, n) }

// Destination gives the connection of a packet another destination: in PREROUTING and OUTPUT.
func Destination(family packet.Family, n NAT) Rule {
	return nat(family, expr.NATTypeDestNAT, n)
}

func nat(family packet.Family, kind expr.NATType, n NAT) Rule {
	e := &expr.NAT{
		Type: kind, Family: unix.NFPROTO_IPV4,
		Random: n.Random, FullyRandom: n.FullyRandom, Persistent: n.Persistent,
	}
	if family == packet.IPv6 {
		e.Family = unix.NFPROTO_IPV6
	}
	r := n.ports()
	switch {
	case n.Net.IsValid():
		e.RegAddrMin = regAddrMin
		r = append(r, mapped(kind, n.Net)...)
	case n.Min.IsValid():
		e.RegAddrMin = regAddrMin
		r = append(r, immediate(regAddrMin, n.Min.AsSlice()))
	}
	if n.Max != n.Min {
		e.RegAddrMax = regAddrMax
		r = append(r, immediate(regAddrMax, n.Max.AsSlice()))
	}
	e.RegProtoMin, e.RegProtoMax = n.portRegisters()
	return append(r, e)
}

// mapped loads the address that is translated, with the bits of a network, as netmap_tg4() does
// (net/netfilter/xt_NETMAP.c). nf_tables' own flag for it is not used: for IPv4
// nft_nat_setup_netmap() (net/netfilter/nft_nat.c) sets 4 of 16 bytes and the kernel compares all: an
// address that stays as it is then counts as translated, depending on what the stack held.
func mapped(kind expr.NATType, to netip.Prefix) Rule {
	base := to.Masked().Addr().AsSlice()
	keep := make([]byte, len(base))
	for i := to.Bits(); i < 8*len(keep); i++ {
		keep[i/8] |= 0x80 >> (i % 8)
	}
	off := uint32(8)
	if to.Addr().Is4() {
		off = 12
	}
	if kind == expr.NATTypeDestNAT {
		off += uint32(len(base))
	}
	return Rule{
		&expr.Payload{DestRegister: regAddrMin, Base: expr.PayloadBaseNetworkHeader, Offset: off, Len: uint32(len(base))},
		&expr.Bitwise{SourceRegister: regAddrMin, DestRegister: regAddrMin, Len: uint32(len(base)), Mask: keep, Xor: base},
	}
}

// Masquerade gives the connection of a packet the address of the interface that it leaves by:
// in POSTROUTING. iptables' target is the same function (nf_nat_masquerade_ipv4(),
// net/netfilter/nf_nat_masquerade.c).
func Masquerade(n NAT) Rule {
	e := &masquerade{Masq: &expr.Masq{}, flags: n.flags()}
	e.RegProtoMin, e.RegProtoMax = n.portRegisters()
	return append(n.ports(), e)
}

// masquerade is Masq with flags beside ports: of nf_tables' translations this one looks at
// ports only if a flag says so (nft_masq_init(), net/netfilter/nft_masq.c).
type masquerade struct {
	*expr.Masq
	flags uint32
}

func (m *masquerade) spell(b *batch) []netlink.Attribute {
	var all []netlink.Attribute
	for of, n := range []uint32{unix.NFTA_MASQ_FLAGS: m.flags, unix.NFTA_MASQ_REG_PROTO_MIN: m.RegProtoMin, unix.NFTA_MASQ_REG_PROTO_MAX: m.RegProtoMax} {
		if n != 0 {
			all = append(all, number(uint16(of), n))
		}
	}
	return []netlink.Attribute{text(unix.NFTA_EXPR_NAME, "masq"), b.nested(unix.NFTA_EXPR_DATA, all...)}
}

// Redirect gives the connection of a packet this host as its destination: in PREROUTING and
// OUTPUT. iptables' target is the same function (nf_nat_redirect_ipv4(),
// net/netfilter/nf_nat_redirect.c).
func Redirect(n NAT) Rule {
	e := &expr.Redir{Flags: n.flags()}
	e.RegisterProtoMin, e.RegisterProtoMax = n.portRegisters()
	return append(n.ports(), e)
}

// flags are those of the kernel (include/uapi/linux/netfilter/nf_nat.h).
func (n NAT) flags() (out uint32) {
	for _, f := range []struct {
		is   bool
		flag uint32
	}{
		{n.Ports, expr.NF_NAT_RANGE_PROTO_SPECIFIED}, {n.Random, expr.NF_NAT_RANGE_PROTO_RANDOM},
		{n.FullyRandom, expr.NF_NAT_RANGE_PROTO_RANDOM_FULLY}, {n.Persistent, expr.NF_NAT_RANGE_PERSISTENT},
	} {
		if f.is {
			out |= f.flag
		}
	}
	return out
}

// ports loads the ports, in network byte order.
func (n NAT) ports() Rule {
	if !n.Ports {
		return nil
	}
	r := Rule{immediate(regPortMin, binary.BigEndian.AppendUint16(nil, n.Lo))}
	if n.Hi != n.Lo {
		r = append(r, immediate(regPortMax, binary.BigEndian.AppendUint16(nil, n.Hi)))
	}
	return r
}

// portRegisters are where ports loads them; 0: there are none, or the last is the first.
func (n NAT) portRegisters() (lo, hi uint32) {
	switch {
	case !n.Ports:
		return 0, 0
	case n.Hi == n.Lo:
		return regPortMin, 0
	}
	return regPortMin, regPortMax
}

func immediate(register uint32, data []byte) expr.Any {
	return &expr.Immediate{Register: register, Data: data}
}
