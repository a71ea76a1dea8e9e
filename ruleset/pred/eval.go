package pred

import (
	"bytes"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// Eval is the meaning of a predicate: what it answers for a packet. Stateful
// predicates keep their memory in f.World.State, by their Key (Recent by its
// list). Unsupported has no meaning here and answers no.
func Eval(p Pred, f *packet.Facts) Answer {
	e := evaluator{f: f}
	return e.eval(p)
}

// evaluator holds what one rule remembers from predicate to predicate: the
// extension header that the last FindExt found.
type evaluator struct {
	f   *packet.Facts
	ext packet.ExtResult
}

func (e *evaluator) eval(p Pred) Answer {
	switch p := p.(type) {
	case Const:
		return Answer(p)
	case Not:
		return e.not(p)
	case And:
		return e.and(p)
	case Or:
		return e.or(p)
	case HotdropIf:
		if a := e.eval(p.P); a != No {
			return Hotdrop
		}
		return Yes
	case Cmp:
		v := e.value(p.Of) & p.Mask
		return Bool(p.Lo <= v && v <= p.Hi)
	case Header:
		return p.eval(e.f)
	case Transport:
		return p.eval(e.f)
	case Have:
		_, ok := e.bytes(p.Base, 0, int(p.Len))
		return Bool(ok)
	case FindExt:
		return e.findExt(p)
	case Addr:
		return Bool(e.addrIs(p))
	case AddrRange:
		a := e.addr(p.Of)
		n := e.f.Family.Bits() / 8
		return Bool(bytes.Compare(p.Lo[:n], a[:n]) <= 0 && bytes.Compare(a[:n], p.Hi[:n]) <= 0)
	case Name:
		return Bool(e.nameIs(p))
	}
	return e.evalProtocol(p)
}

// evalProtocol answers the predicates that walk through one protocol's header and
// those that look outside the packet.
func (e *evaluator) evalProtocol(p Pred) Answer {
	switch p := p.(type) {
	case TCPOption:
		return p.eval(e.f)
	case TCPMSS:
		return p.eval(e.f)
	case DCCPOption:
		return p.eval(e.f)
	case SCTPChunks:
		return p.eval(e.f)
	case U32:
		return p.eval(e.f)
	case ReversePath:
		return p.eval(e.f)
	case ControlGroup:
		return p.eval(e.f)
	case Groups:
		return p.eval(e.f)
	case ConnCount:
		return p.eval(e.f)
	case ConnLabel:
		return p.eval(e.f)
	case Policy:
		return p.eval(e.f)
	case Headers6:
		return p.eval(e.f)
	case EUI64:
		return p.eval(e.f)
	case Options6:
		return p.eval(e)
	case Hops6:
		return p.eval(e)
	case Time:
		return p.eval(e.f)
	case Meter:
		return p.eval(e.f)
	case Search:
		return p.eval(e.f)
	case AddrType:
		return p.eval(e.f, e.addr(p.Of))
	case Limit:
		return p.eval(e.f)
	case Quota:
		return p.eval(e.f)
	case Nth:
		return p.eval(e.f)
	case Random:
		return Bool(e.random()&0x7fffffff < p.Threshold)
	case Recent:
		return p.eval(e.f)
	case InSet:
		return p.eval(e)
	case SetUpdate:
		return p.eval(e)
	case Unsupported:
		return No
	}
	panic("pred: Eval has no arm for " + p.String())
}

func (e *evaluator) not(p Not) Answer {
	switch a := e.eval(p.P); a {
	case Yes:
		return No
	case No:
		return Yes
	default:
		return a
	}
}

func (e *evaluator) and(ps And) Answer {
	for _, p := range ps {
		if a := e.eval(p); a != Yes {
			return a
		}
	}
	return Yes
}

func (e *evaluator) or(ps Or) Answer {
	for _, p := range ps {
		if a := e.eval(p); a != No {
			return a
		}
	}
	return No
}

func (e *evaluator) random() uint32 {
	if e.f.World.Random == nil {
		return 0
	}
	return e.f.World.Random()
}

// findExt looks for the header and, with Whole, refuses one that says it is
// longer than what is left of the packet.
func (e *evaluator) findExt(p FindExt) Answer {
	absent := No
	if p.Hot {
		absent = Hotdrop
	}
	e.ext = e.f.FindExt(int(p.Header))
	switch e.ext.State {
	case packet.L4None:
		return No
	case packet.L4Broken:
		return absent
	}
	if p.Whole {
		size := 2
		if hdr, ok := e.f.Bytes(e.ext.Off, 2); ok && p.Header == 51 {
			size = (int(hdr[1]) + 2) * 4
		} else if ok {
			size = (int(hdr[1]) + 1) * 8
		}
		if _, ok := e.f.Bytes(e.ext.Off, size); !ok {
			return absent
		}
	}
	return Yes
}

// memory gives the state of a stateful predicate, made by fresh when there is none.
func memory[T any](f *packet.Facts, key any, fresh func() *T) *T {
	if f.World.State == nil {
		f.World.State = map[any]any{}
	}
	if s, ok := f.World.State[key].(*T); ok {
		return s
	}
	s := fresh()
	f.World.State[key] = s
	return s
}
