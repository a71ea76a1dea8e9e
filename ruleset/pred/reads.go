package pred

import "github.com/bpftables/bpftables/ruleset/packet"

// Reads are groups of facts about a packet, as bits: what has to be known before a
// predicate can be asked, beyond the IP header, the length and the mark.
type Reads uint8

// The groups.
const (
	ReadsL4     Reads = 1 << iota // the transport header; in IPv6 also where it is
	ReadsWide                     // more than l4Narrow bytes of it
	ReadsCt                       // the conntrack entry
	ReadsIn                       // the name of the interface that it came in on
	ReadsOut                      // and of the one that it goes out on
	ReadsMAC                      // the Ethernet header
	ReadsCtMark                   // with ReadsCt: the mark of the entry
	ReadsCtNAT                    // with ReadsCt: whether it translates, in FieldCtState
)

// l4Narrow is how many bytes of the transport header are there without ReadsWide.
const l4Narrow = 8

// ReadsOf is what a predicate reads, with all of its parts.
func ReadsOf(family packet.Family, p Pred) (r Reads) {
	switch p := p.(type) {
	case Not:
		return ReadsOf(family, p.P)
	case HotdropIf:
		return ReadsOf(family, p.P)
	case And:
		return readsOfAll(family, p)
	case Or:
		return readsOfAll(family, p)
	case Cmp:
		r := readsOfValue(family, p.Of)
		if p.Mask&(packet.CtSNAT|packet.CtDNAT) == 0 {
			r &^= ReadsCtNAT
		}
		return r
	case Header:
		return ReadsL4
	case Transport:
		return FieldL4State.Reads(family)
	case Have:
		return readsOfBase(p.Base)
	case Name:
		return readsOfName(p.Of)
	case Addr:
		return readsOfAddress(p.Of)
	case AddrRange:
		return readsOfAddress(p.Of)
	case TCPOption, TCPMSS, DCCPOption, SCTPChunks:
		return ReadsL4 | ReadsWide
	case Meter:
		if p.Parts&(MeterSrcPort|MeterDstPort) != 0 {
			return ReadsL4
		}
	case EUI64:
		return ReadsMAC
	case ConnCount, ConnLabel:
		return ReadsCt
	case InSet:
		return readsOfKey(family, p.Key)
	case SetUpdate:
		return readsOfKey(family, p.Key)
	}
	return 0
}

func readsOfKey(family packet.Family, k SetKey) (r Reads) {
	for _, p := range k.Parts() {
		switch p.Kind {
		case KeyAddr:
			r |= readsOfAddress(p.Addr)
		case KeyName:
			r |= readsOfName(p.Name)
		case KeyLoad:
			r |= readsOfValue(family, p.Load)
		case KeyField:
			r |= p.Field.Reads(family)
		}
	}
	return r
}

func readsOfAll(family packet.Family, ps []Pred) (r Reads) {
	for _, p := range ps {
		r |= ReadsOf(family, p)
	}
	return r
}

// Reads is what an action reads to do to the facts what its effect does to the packet.
func (a *Action) Reads(family packet.Family) (r Reads) {
	if change, is := MarkChange(a.Effect); is {
		r |= change.Dst.Reads(family) | change.Src.Reads(family)
	}
	if ChangesLength(a.Effect) {
		r |= ReadsL4 | ReadsWide
	}
	switch Demands(a.Effect) {
	case DemandsOptions, DemandsHandshake:
		r |= ReadsL4 | ReadsWide
	case DemandsHeader:
		r |= FieldLen.Reads(family)
	}
	if Untracks(a.Effect) {
		r |= FieldHasConn.Reads(family)
	}
	return r
}

func readsOfValue(family packet.Family, v Value) Reads {
	switch of := v.(type) {
	case Field:
		return of.Reads(family)
	case Load:
		r := readsOfBase(of.Base)
		if of.Base == BaseL4 && int(of.Off)+int(of.Width) > l4Narrow {
			r |= ReadsWide
		}
		return r
	}
	return 0
}

func readsOfBase(b Base) Reads {
	if b == BaseL4 {
		return ReadsL4
	}
	return 0
}

func readsOfName(of NameField) Reads {
	switch of {
	case NameIn:
		return ReadsIn
	case NameOut:
		return ReadsOut
	case NameHelper:
		return ReadsCt
	}
	return 0
}

func readsOfAddress(of AddrField) Reads {
	if of > AddrDst {
		return ReadsCt
	}
	return 0
}
