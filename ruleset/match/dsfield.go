package match

import (
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// dsField is the byte that IPv4 calls TOS and IPv6 calls traffic class
// (ipv4_get_dsfield(), ipv6_get_dsfield(), include/net/dsfield.h).
func dsField(f *packet.Facts) uint8 {
	if f.Family == packet.IPv6 {
		return f.Raw[0]<<4 | f.Raw[1]>>4
	}
	return f.Raw[1]
}

// lowerDSField asks whether dsField & mask == value.
func lowerDSField(family packet.Family, mask, value uint8) pred.Pred {
	if family == packet.IPv6 {
		return pred.Masked(pred.Load{Base: pred.BaseL3, Off: 0, Width: 2}, uint32(mask)<<4, uint32(value)<<4)
	}
	return pred.Masked(pred.Load{Base: pred.BaseL3, Off: 1, Width: 1}, uint32(mask), uint32(value))
}
