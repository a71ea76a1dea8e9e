package pred

import "fmt"

// SetMark changes a mark, with Keep the bits of the old Dst that stay:
// Dst = (Dst & Keep) ^ (((Src & And) ^ Xor) << Shift), in 32 bits.
type SetMark struct {
	Dst, Src       Field // FieldMark or FieldCtMark
	Keep, And, Xor uint32
	Shift          int8 // -31..31; negative: to the right
	NeedConn       bool // nothing happens without a conntrack entry
}

// Apply is the new value of Dst.
func (e SetMark) Apply(dst, src uint32) uint32 {
	v := src&e.And ^ e.Xor
	if e.Shift < 0 {
		v >>= uint(-e.Shift)
	} else {
		v <<= uint(e.Shift)
	}
	return dst&e.Keep ^ v
}

// SetPriority sets the queueing class of the packet (skb->priority).
type SetPriority struct{ Class uint32 }

// SecMark sets the security mark of the packet to that of a context.
type SecMark struct{ Context string }

// SaveSecMark copies the security mark of the packet to a connection that has none.
type SaveSecMark struct{}

// RestoreSecMark copies the security mark of the connection to a packet that has none.
type RestoreSecMark struct{}

func (SetMark) isEffect()        {}
func (SetPriority) isEffect()    {}
func (SecMark) isEffect()        {}
func (SaveSecMark) isEffect()    {}
func (RestoreSecMark) isEffect() {}

func (e SetMark) String() string {
	v := fmt.Sprintf("(%s & %#x) ^ %#x", e.Src, e.And, e.Xor)
	if e.Shift < 0 {
		v = fmt.Sprintf("((%s) >> %d)", v, -e.Shift)
	} else if e.Shift > 0 {
		v = fmt.Sprintf("((%s) << %d)", v, e.Shift)
	}
	return fmt.Sprintf("%s = (%s & %#x) ^ %s", e.Dst, e.Dst, e.Keep, v)
}

func (e SetPriority) String() string {
	return fmt.Sprintf("priority = %x:%x", e.Class>>16, e.Class&0xffff)
}

func (e SecMark) String() string        { return fmt.Sprintf("secmark = %q", e.Context) }
func (e SaveSecMark) String() string    { return "save secmark" }
func (e RestoreSecMark) String() string { return "restore secmark" }
