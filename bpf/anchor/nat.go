package anchor

import (
	"encoding/binary"
	"net/netip"

	"github.com/google/nftables/expr"
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
	Min, Max netip.Addr // to choose from; not valid: the address stays
	Map      bool       // the host part stays: Min and Max are the ends of a network
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
		Type: kind, Family: unix.NFPROTO_IPV4, Prefix: n.Map,
		Random: n.Random, FullyRandom: n.FullyRandom, Persistent: n.Persistent,
	}
	if family == packet.IPv6 {
		e.Family = unix.NFPROTO_IPV6
	}
	r := n.ports()
	if n.Min.IsValid() {
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

// Masquerade gives the connection of a packet the address of the interface that it leaves by:
// in POSTROUTING. iptables' target is the same function (nf_nat_masquerade_ipv4(),
// net/netfilter/nf_nat_masquerade.c). The port is the kernel's choice.
func Masquerade(n NAT) Rule {
	return Rule{&expr.Masq{Random: n.Random, FullyRandom: n.FullyRandom, Persistent: n.Persistent}}
}

// Redirect gives the connection of a packet this host as its destination: in PREROUTING and
// OUTPUT. iptables' target is the same function (nf_nat_redirect_ipv4(),
// net/netfilter/nf_nat_redirect.c).
func Redirect(n NAT) Rule {
	e := &expr.Redir{}
	for _, f := range []struct {
		is   bool
		flag uint32
	}{
		{n.Random, expr.NF_NAT_RANGE_PROTO_RANDOM}, {n.FullyRandom, expr.NF_NAT_RANGE_PROTO_RANDOM_FULLY},
		{n.Persistent, expr.NF_NAT_RANGE_PERSISTENT},
	} {
		if f.is {
			e.Flags |= f.flag
		}
	}
	e.RegisterProtoMin, e.RegisterProtoMax = n.portRegisters()
	return append(n.ports(), e)
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
