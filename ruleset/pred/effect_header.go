package pred

import "fmt"

// SetDSCP sets the DSCP field of the IP header (RFC 2474).
type SetDSCP struct{ Value uint8 }

// SetTOS changes the type of service, or traffic class: tos = (tos & ^Mask) ^ Value.
type SetTOS struct{ Value, Mask uint8 }

// SetTTL changes the time to live, or hop limit.
type SetTTL struct {
	Op    TTLOp
	Value uint8
}

// TTLOp is how a time to live is changed.
type TTLOp uint8

// The changes; a sum is kept between 0 and 255.
const (
	TTLSet TTLOp = iota
	TTLAdd
	TTLSub
)

// SetECN changes bits of ECN (RFC 3168).
type SetECN struct {
	SetIP, SetECE, SetCWR bool
	IP                    uint8 // codepoint of the IP header, 0 to 3
	ECE, CWR              bool  // bits of the TCP header
}

// SetMSS lowers the maximum segment size that a TCP SYN announces.
type SetMSS struct {
	MSS       uint16
	ToPathMTU bool // to what fits the path; else to MSS
}

// StripTCPOptions overwrites options of the TCP header: bit k of Kinds[k/64] for kind k.
type StripTCPOptions struct{ Kinds [4]uint64 }

// Has says whether options of a kind are overwritten.
func (e StripTCPOptions) Has(kind uint8) bool { return e.Kinds[kind/64]>>(kind%64)&1 != 0 }

// FillChecksum computes the checksum of a packet that lacks it.
type FillChecksum struct{}

func (SetDSCP) isEffect()         {}
func (SetTOS) isEffect()          {}
func (SetTTL) isEffect()          {}
func (SetECN) isEffect()          {}
func (SetMSS) isEffect()          {}
func (StripTCPOptions) isEffect() {}
func (FillChecksum) isEffect()    {}

func (e SetDSCP) String() string { return fmt.Sprintf("dscp = %#x", e.Value) }
func (e SetTOS) String() string  { return fmt.Sprintf("tos = (tos & %#x) ^ %#x", ^e.Mask, e.Value) }
func (e SetTTL) String() string  { return fmt.Sprintf("ttl %s %d", e.Op, e.Value) }

// String names the change.
func (o TTLOp) String() string { return [...]string{"=", "+=", "-="}[o] }

func (e SetECN) String() string {
	s := "ecn" + when(e.SetIP, fmt.Sprintf(" ip=%d", e.IP))
	return s + when(e.SetECE, fmt.Sprintf(" ece=%t", e.ECE)) + when(e.SetCWR, fmt.Sprintf(" cwr=%t", e.CWR))
}

func (e SetMSS) String() string {
	if e.ToPathMTU {
		return "mss to path mtu"
	}
	return fmt.Sprintf("mss = %d", e.MSS)
}

func (e StripTCPOptions) String() string { return fmt.Sprintf("strip tcp options %x", e.Kinds) }
func (e FillChecksum) String() string    { return "fill checksum" }
