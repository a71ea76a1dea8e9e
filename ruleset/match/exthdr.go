package match

import (
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// IPv6 extension headers that words look for.
const (
	extHopByHop    = 0
	extRouting     = 43
	extFragment    = 44
	extDestination = 60
	extNone        = 59
)

// extHeader finds an IPv6 extension header as ah, rt, hbh and dst do: no when the
// packet has none, hotdrop when a header on the way is cut, when fewer than n
// bytes of it are there, or when it is longer than what is left of the packet. It
// gives the whole header.
func extHeader(f *packet.Facts, header uint8, n int) ([]byte, pred.Answer) {
	r := f.FindExt(int(header))
	switch r.State {
	case packet.L4None:
		return nil, pred.No
	case packet.L4Broken:
		return nil, pred.Hotdrop
	}
	start, ok := f.Bytes(r.Off, n)
	if !ok {
		return nil, pred.Hotdrop
	}
	size := (int(start[1]) + 1) * 8
	if header == protoAH {
		size = (int(start[1]) + 2) * 4
	}
	if _, ok = f.Bytes(r.Off, size); !ok {
		return nil, pred.Hotdrop
	}
	all, _ := f.Bytes(r.Off, max(size, n))
	return all, pred.Yes
}

// lowerExt is extHeader as predicates.
func lowerExt(header uint8, n uint16) pred.And {
	return pred.And{
		pred.FindExt{Header: header, Hot: true, Whole: true},
		pred.HotdropIf{P: pred.Not{P: pred.Have{Base: pred.BaseExt, Len: n}}},
	}
}

// lowerExtLen compares the length of the header found, (byte 1 + plus) * unit, with
// a number of bytes; most numbers are no possible length.
func lowerExtLen(want, unit, plus uint32, negate bool) pred.Pred {
	n := want/unit - plus
	if want%unit != 0 || want/unit < plus || n > 255 {
		return pred.Const(pred.Bool(negate))
	}
	return pred.Negated(pred.Eq(extByte(1), n), negate)
}

// extByte is one byte of the extension header found.
func extByte(off uint16) pred.Load { return pred.Load{Base: pred.BaseExt, Off: off, Width: 1} }
