package pred

// Effect is what a rule does besides a verdict. It is one of the types of this package;
// the set is closed, and Effects lists it. Effects are comparable: two that are equal do
// the same. They hold no dialect's words; who runs them, and in whose words it is told to
// run them, is the datapath's business.
type Effect interface {
	// String is the effect in plans.
	String() string
	isEffect()
}

// Effects has one of each kind.
var Effects = []Effect{
	Audit{}, BlinkLED{}, ChangeKernelSet{}, Dup{}, FillChecksum{}, IdleTimer{}, Log{}, NAT{}, NFLog{}, NoTrack{}, NPT{},
	Opaque{}, Queue{}, RateEst{}, Reject{}, RestoreSecMark{}, SaveSecMark{}, SecMark{}, SetDSCP{}, SetECN{}, SetMark{},
	SetMSS{}, SetPriority{}, SetTOS{}, SetTTL{}, SetUpdate{}, StripTCPOptions{}, SynProxy{}, TProxy{}, Trace{}, Track{},
}

// Ends says whether an effect always ends the traversal: the packet is answered, handed
// over, or has its addresses, and no rule behind it is asked.
func Ends(e Effect) bool {
	switch e.(type) {
	case Reject, Queue, NAT, TProxy:
		return true
	}
	return false
}

// MarkChange is the change of a mark that later rules see.
func MarkChange(e Effect) (change SetMark, is bool) {
	change, is = e.(SetMark)
	return change, is
}

// Untracks says whether a packet without conntrack entry is UNTRACKED for later rules
// (xt_ct_target(), net/netfilter/xt_CT.c).
func Untracks(e Effect) bool {
	_, is := e.(NoTrack)
	return is
}

// Attaches says whether a packet without conntrack entry has a template one for later rules
// (xt_ct_target(), net/netfilter/xt_CT.c).
func Attaches(e Effect) bool {
	_, is := e.(Track)
	return is
}
