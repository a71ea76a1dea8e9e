package pred

// Any says whether a part of a predicate that holds no others answers yes to a
// question.
func Any(p Pred, ask func(part Pred) bool) bool {
	switch p := p.(type) {
	case Not:
		return Any(p.P, ask)
	case HotdropIf:
		return Any(p.P, ask)
	case And:
		return anyOf(p, ask)
	case Or:
		return anyOf(p, ask)
	}
	return ask(p)
}

func anyOf(ps []Pred, ask func(part Pred) bool) bool {
	for _, p := range ps {
		if Any(p, ask) {
			return true
		}
	}
	return false
}

// InMemory says whether a predicate can be answered from what the datapath has in
// memory, without a call.
func InMemory(p Pred) bool { return !Any(p, called) }

func called(part Pred) bool {
	switch p := part.(type) {
	case Const, Have, Header, Transport:
		return false
	case Cmp:
		f, isField := p.Of.(Field)
		return isField && !f.InFacts()
	case Addr:
		return p.Of > AddrDst
	case AddrRange:
		return p.Of > AddrDst
	case Name:
		return p.Of > NameOut
	}
	return true
}

// AsksConntrack says whether a predicate reads the packet's conntrack entry.
func AsksConntrack(p Pred) bool {
	return Any(p, func(part Pred) bool {
		switch p := part.(type) {
		case Cmp:
			f, ok := p.Of.(Field)
			return ok && f.Conntrack()
		case Addr:
			return p.Of >= AddrCtOrigSrc
		case Name:
			return p.Of == NameHelper
		case ConnCount, ConnLabel:
			return true
		}
		return false
	})
}

// Changeable says whether effects may change the answer of a predicate: it reads a mark or
// the conntrack entry.
func Changeable(p Pred) bool {
	return AsksConntrack(p) || Any(p, func(part Pred) bool {
		c, is := part.(Cmp)
		return is && c.Of == Value(FieldMark)
	})
}

// Stateless says whether a predicate gives the same answer when it is asked twice
// of the same packet. A named set may change in between.
func Stateless(p Pred) bool {
	return !Any(p, func(part Pred) bool {
		switch part.(type) {
		case Limit, Quota, Nth, Random, Recent, InSet, SetUpdate, Meter, Time, Unsupported:
			return true
		}
		return false
	})
}

// Keeps says whether a part of a predicate that holds no others keeps what it knows in a named set
// that its rule declares.
func Keeps(part Pred) bool {
	switch part.(type) {
	case Recent, Meter:
		return true
	}
	return false
}

// HasArguments says whether a part of a predicate that holds no others has its arguments in a
// map of the datapath.
func HasArguments(part Pred) bool {
	switch part.(type) {
	case SCTPChunks, Search, Meter, ControlGroup, Groups, Time, ConnCount, Policy, Options6, Hops6:
		return true
	}
	return false
}

// UnsupportedReason is the reason of the first part of a predicate that BPF cannot
// ask exactly; "" when it can ask all of it.
func UnsupportedReason(p Pred) (reason string) {
	Any(p, func(part Pred) bool {
		u, is := part.(Unsupported)
		reason = u.Reason
		return is
	})
	return reason
}
