package pred

// inFacts are the fields that the datapath has in memory before the first rule;
// the others are asked for by a call.
var inFacts = map[Field]bool{
	FieldLen: true, FieldProto: true, FieldL4State: true, FieldFragOff: true, FieldTHOff: true,
	FieldMark: true, FieldCtState: true, FieldHasConn: true, FieldCtMark: true,
	FieldEther: true, FieldMACHi: true, FieldMACLo: true, FieldL4Avail: true,
}

// InFacts says whether the datapath has the field in memory before the first rule.
func (f Field) InFacts() bool { return inFacts[f] }

// InMemory says whether a predicate can be answered from what the datapath has in
// memory, without a call.
func InMemory(p Pred) bool {
	switch p := p.(type) {
	case Const, Have:
		return true
	case Not:
		return InMemory(p.P)
	case HotdropIf:
		return InMemory(p.P)
	case And:
		return allInMemory(p)
	case Or:
		return allInMemory(p)
	case Cmp:
		f, isField := p.Of.(Field)
		return !isField || f.InFacts()
	case Addr:
		return p.Of <= AddrDst
	case AddrRange:
		return p.Of <= AddrDst
	case Name:
		return p.Of <= NameOut
	}
	return false
}

func allInMemory(ps []Pred) bool {
	for _, p := range ps {
		if !InMemory(p) {
			return false
		}
	}
	return true
}

// AsksConntrack says whether a predicate reads the packet's conntrack entry.
func AsksConntrack(p Pred) bool {
	switch p := p.(type) {
	case Not:
		return AsksConntrack(p.P)
	case HotdropIf:
		return AsksConntrack(p.P)
	case And:
		return anyAsksConntrack(p)
	case Or:
		return anyAsksConntrack(p)
	case Cmp:
		f, ok := p.Of.(Field)
		return ok && f >= FieldCtState && f <= FieldCtExpire
	case Addr:
		return p.Of >= AddrCtOrigSrc
	}
	return false
}

func anyAsksConntrack(ps []Pred) bool {
	for _, p := range ps {
		if AsksConntrack(p) {
			return true
		}
	}
	return false
}

// Stateless says whether a predicate gives the same answer when it is asked twice
// of the same packet.
func Stateless(p Pred) bool {
	switch p := p.(type) {
	case Limit, Nth, Random, Recent, Unsupported:
		return false
	case Not:
		return Stateless(p.P)
	case HotdropIf:
		return Stateless(p.P)
	case And:
		return allStateless(p)
	case Or:
		return allStateless(p)
	}
	return true
}

func allStateless(ps []Pred) bool {
	for _, p := range ps {
		if !Stateless(p) {
			return false
		}
	}
	return true
}
