package anchor

import "github.com/google/nftables/expr"

// Where the header checksum of IPv4 lies, and its length.
const (
	sumOff = 10
	sumLen = 2
)

// LoadHeader reads bytes of the IP header into the register of effects.
func LoadHeader(off, n uint32) expr.Any {
	return &expr.Payload{DestRegister: reg, Base: expr.PayloadBaseNetworkHeader, Offset: off, Len: n}
}

// StoreHeader writes the register to bytes of the IP header, and with sum does to the
// checksum of IPv4 what that asks for (nft_payload_set_eval(), net/netfilter/nft_payload.c).
// The kernel adds numbers of 16 bits from off on, so that must be even then.
func StoreHeader(off, n uint32, sum bool) expr.Any {
	p := &expr.Payload{OperationType: expr.PayloadWrite, SourceRegister: reg, Base: expr.PayloadBaseNetworkHeader, Offset: off, Len: n}
	if sum {
		p.CsumType, p.CsumOffset = expr.CsumTypeInet, sumOff
	}
	return p
}

// Bits changes bytes of the register: reg = (reg & keep) ^ flip.
func Bits(keep, flip []byte) expr.Any {
	return &expr.Bitwise{SourceRegister: reg, DestRegister: reg, Len: uint32(len(keep)), Mask: keep, Xor: flip}
}

// Flips changes bytes of the register, as Bits does, in steps that end with a flip: where "nft list
// ruleset" finds bytes of a header written that were read and had bits set, it looks for a
// field there, and without one nft 1.0.6 reads memory that it has freed
// (stmt_payload_binop_postprocess(), src/netlink_delinearize.c).
func Flips(keep, flip []byte) Rule {
	n := len(keep)
	all, none, before, after := make([]byte, n), make([]byte, n), make([]byte, n), make([]byte, n)
	for i := range n {
		all[i], before[i], after[i] = 0xff, keep[i], flip[i]^keep[i]
	}
	return Rule{Bits(all, before), Bits(keep, none), Bits(all, after)}
}

// Put puts bytes into the register.
func Put(value []byte) expr.Any { return &expr.Immediate{Register: reg, Data: value} }

// Equals ends the rule unless the register has some bytes.
func Equals(value []byte) expr.Any {
	return &expr.Cmp{Op: expr.CmpOpEq, Register: reg, Data: value}
}

// ZeroSum writes a header checksum of IPv4 that came out as 0 as xtables does: nf_tables writes
// 0xffff for it (nft_csum_replace(), net/netfilter/nft_payload.c), csum_replace2() never does
// (include/net/checksum.h). Both are right. It must stand last.
func ZeroSum() Rule {
	return Rule{
		LoadHeader(sumOff, sumLen), Equals([]byte{0xff, 0xff}),
		Put([]byte{0, 0}), StoreHeader(sumOff, sumLen, false),
	}
}

// byteMap gives a byte for the byte in the register. It becomes a set of the table that lives
// as long as its rule.
type byteMap struct {
	*expr.Lookup
	to [256]byte
}

// Map replaces the byte in the register.
func Map(to [256]byte) expr.Any {
	return &byteMap{&expr.Lookup{SourceRegister: reg, DestRegister: reg, IsDestRegSet: true}, to}
}

// prepare adds the set.
func (m *byteMap) prepare(b *batch) error {
	m.SetID = b.addMap(m.to)
	m.SetName = mapName
	return nil
}
