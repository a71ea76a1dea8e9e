package translate

import (
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// known gives what the early stage can answer of a predicate: a predicate that holds
// whenever the whole one may hold, and whether it is the whole one. A hotdrop may be
// left out with what is not known: the packet then goes up, or is dropped anyway.
func (e *earlyRewriter) known(p pred.Pred) (known pred.Pred, whole bool) {
	switch p := p.(type) {
	case pred.Const:
		return p, true
	case pred.Not:
		return e.knownPart(p.P, func(k pred.Pred) pred.Pred { return pred.Not{P: k} })
	case pred.HotdropIf:
		return e.knownPart(p.P, func(k pred.Pred) pred.Pred { return pred.HotdropIf{P: k} })
	case pred.And:
		return e.knownAll(p)
	case pred.Or:
		return e.knownAny(p)
	case pred.Cmp:
		return e.knownValue(p)
	case pred.Header, pred.Transport:
		return p, true
	case pred.Have:
		return p, p.Base != pred.BaseExt
	case pred.Addr:
		return orUnknown(p, p.Of <= pred.AddrDst)
	case pred.AddrRange:
		return orUnknown(p, p.Of <= pred.AddrDst)
	case pred.Name:
		return e.knownName(p)
	case pred.AddrType:
		return orUnknown(p, e.asksLocal(p))
	}
	return unknown()
}

// asksLocal says whether a predicate is that the packet is for this host. For IPv6 the
// type LOCAL is asked of the routes of the device.
func (e *earlyRewriter) asksLocal(p pred.AddrType) bool {
	const local = 1 << 2 // RTN_LOCAL
	return e.family == packet.IPv4 && p.Of == pred.AddrDst && p.Mask == local && !p.In && !p.Out
}

func unknown() (pred.Pred, bool) { return pred.Const(pred.Yes), false }

func orUnknown(p pred.Pred, is bool) (pred.Pred, bool) {
	if is {
		return p, true
	}
	return unknown()
}

// knownPart is for what only makes sense if all of the part is known.
func (e *earlyRewriter) knownPart(part pred.Pred, wrap func(pred.Pred) pred.Pred) (pred.Pred, bool) {
	k, whole := e.known(part)
	if !whole {
		return unknown()
	}
	if c, ok := k.(pred.Const); ok && pred.Answer(c) != pred.Hotdrop {
		return pred.Const(pred.Eval(wrap(c), nil)), true
	}
	return wrap(k), true
}

func (e *earlyRewriter) knownAll(ps pred.And) (pred.Pred, bool) {
	var out pred.And
	all := true
	for _, p := range ps {
		k, whole := e.known(p)
		if k == pred.Pred(pred.Const(pred.No)) && len(out) == 0 {
			return k, true
		}
		all = all && whole
		if k != pred.Pred(pred.Const(pred.Yes)) {
			out = append(out, k)
		}
	}
	if len(out) == 0 {
		return pred.Const(pred.Yes), all
	}
	return out, all
}

func (e *earlyRewriter) knownAny(ps pred.Or) (pred.Pred, bool) {
	out := make(pred.Or, 0, len(ps))
	for _, p := range ps {
		k, whole := e.known(p)
		if !whole {
			return unknown()
		}
		out = append(out, k)
	}
	return out, true
}

// knownName: nothing has gone out yet, so at PREROUTING and INPUT the name is empty.
func (e *earlyRewriter) knownName(p pred.Name) (pred.Pred, bool) {
	switch {
	case p.Of == pred.NameIn:
		return p, true
	case p.Of == pred.NameOut && e.hook != packet.Forward:
		empty := true
		for i := range p.Value {
			empty = empty && p.Value[i]&p.Mask[i] == 0
		}
		return pred.Const(pred.Bool(empty)), true
	}
	return unknown()
}

func (e *earlyRewriter) knownValue(p pred.Cmp) (pred.Pred, bool) {
	if l, ok := p.Of.(pred.Load); ok {
		return orUnknown(p, l.Base != pred.BaseExt)
	}
	f, _ := p.Of.(pred.Field)
	if v, ok := e.value(f); ok {
		v &= p.Mask
		return pred.Const(pred.Bool(p.Lo <= v && v <= p.Hi)), true
	}
	return orUnknown(p, f.Early())
}

// value gives the fields that are the same for every packet that the early stage looks
// at: those for this host's Ethernet address. Before conntrack, at raw, there is no entry
// yet, which reads as INVALID (conntrack_mt(), net/netfilter/xt_conntrack.c).
func (e *earlyRewriter) value(f pred.Field) (v uint32, ok bool) {
	const packetHost = 0
	switch f {
	case pred.FieldPktType:
		return packetHost, true
	case pred.FieldHasIn:
		return 1, true
	case pred.FieldHasOut:
		return uint32(boolInt(e.hook == packet.Forward)), true
	case pred.FieldOutGroup:
		return 0, e.hook != packet.Forward
	case pred.FieldCtState:
		return packet.CtInvalid, !e.at.Tracked()
	case pred.FieldHasConn, pred.FieldCtMark:
		return 0, !e.at.Tracked()
	}
	return 0, false
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
