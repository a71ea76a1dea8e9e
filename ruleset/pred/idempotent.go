package pred

// Idempotent says whether an effect that follows itself at once changes nothing more: it is
// enough to run it once.
func Idempotent(e Effect) bool {
	switch e := e.(type) {
	case SetMark:
		return e.idempotent()
	case SetPriority, NoTrack, Trace, SetDSCP:
		return true
	case SetTOS:
		return e.Value&^e.Mask == 0
	case SetTTL:
		return e.Op == TTLSet
	}
	return false
}

// idempotent: what is written does not depend on what is there, and does not touch the bits
// that stay.
func (e SetMark) idempotent() bool {
	if e.Src == e.Dst && e.And != 0 {
		return false
	}
	written := e.And | e.Xor
	if e.Shift < 0 {
		written >>= uint(-e.Shift)
	} else {
		written <<= uint(e.Shift)
	}
	return written&e.Keep == 0
}
