package pred

import (
	"fmt"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// Policy asks for the transformations of IPsec that a packet had, or will have (policy_mt(),
// net/netfilter/xt_policy.c). One of them must be as the first element says, or, if Strict, they must be as
// all elements say.
type Policy struct {
	Out    bool // those that it will have
	None   bool // yes where there are none, else no
	Strict bool
	Elems  []PolicyElem
	Slot   int
}

// PolicyField is a part of a transformation, as a bit.
type PolicyField uint8

// The parts.
const (
	PolicySrc PolicyField = 1 << iota
	PolicyDst
	PolicyProto
	PolicyMode
	PolicySPI
	PolicyReqID
)

// PolicyElem is what is asked of one transformation: the fields in Match, those in Invert being something
// else.
type PolicyElem struct {
	Match, Invert PolicyField
	Src, SrcMask  [16]byte
	Dst, DstMask  [16]byte
	Proto, Mode   uint8
	SPI, ReqID    uint32
}

func (Policy) isPred() {}

func (p Policy) String() string {
	return fmt.Sprintf("policy(out=%t, none=%t, strict=%t, %+v)", p.Out, p.None, p.Strict, p.Elems)
}

func (p Policy) eval(f *packet.Facts) Answer {
	all := f.Decrypted
	if p.Out {
		all = f.Encrypts
	}
	if len(all) == 0 || p.None {
		return Bool(len(all) == 0 && p.None)
	}
	if p.Strict && len(all) != len(p.Elems) {
		return No
	}
	for i, t := range all {
		if !p.Strict {
			i = 0
		}
		if p.Elems[i].is(t) != p.Strict {
			return Bool(!p.Strict)
		}
	}
	return Bool(p.Strict)
}

func (e *PolicyElem) is(t packet.Transform) bool {
	for field, same := range map[PolicyField]bool{
		PolicySrc:   sameUnder(e.Src, e.SrcMask, t.Src.AsSlice()),
		PolicyDst:   sameUnder(e.Dst, e.DstMask, t.Dst.AsSlice()),
		PolicyProto: e.Proto == t.Proto,
		PolicyMode:  e.Mode == t.Mode,
		PolicySPI:   e.SPI == t.SPI,
		PolicyReqID: e.ReqID == t.ReqID,
	} {
		if e.Match&field != 0 && same == (e.Invert&field != 0) {
			return false
		}
	}
	return true
}

func sameUnder(a, mask [16]byte, of []byte) bool {
	var b [16]byte
	copy(b[:], of)
	for i := range b {
		if (a[i]^b[i])&mask[i] != 0 {
			return false
		}
	}
	return true
}
