// Package condition turns predicates into tests, one after the other, that go on or jump.
//
// In: a predicate, and where to go when its answer is no. Out: calls of a Writer, which writes
// one kind of code: instructions of BPF (package codegen), or programs of rows that are looked
// up (codegen/rows/rule). What all kinds of code have in common is here: the order of the
// questions, and how "and", "or" and "not" become jumps. Refused: what reads bytes that the
// datapath does not keep, and what the Writer cannot ask.
//
//	not(and(a, b)), no    a, else X; b, else X; jump no; X:
package condition

import (
	"fmt"
	"math"

	"github.com/bpftables/bpftables/codegen/emit"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// Writer writes the tests of conditions. Each falls through on yes and goes to a label
// otherwise.
type Writer interface {
	NewLabel() emit.Label
	Bind(emit.Label)
	Jump(to emit.Label)
	// Hot is where a question goes whose answer is hotdrop.
	Hot() emit.Label

	// Cell makes a field good for a question about some of its bits, and says where it lies in
	// the facts; false: it has to be asked for.
	Cell(f pred.Field, mask uint32) (emit.Cell, bool)
	// Range asks lo <= (cell & mask) <= hi, and FieldRange the same of a field that has no cell.
	Range(c emit.Cell, mask, lo, hi uint32, no emit.Label)
	FieldRange(f pred.Field, mask, lo, hi uint32, no emit.Label)
	// Header asks for the first bytes of the transport header.
	Header(p pred.Header, no emit.Label)
	// Address and Name make an address or a name available and say where it lies.
	Address(of pred.AddrField) emit.Area
	Name(of pred.NameField) emit.Area
	// Bytes asks (bytes & mask) == value, and BytesRange lo <= bytes <= hi of an area.
	Bytes(a emit.Area, value, mask []byte, no emit.Label)
	BytesRange(a emit.Area, lo, hi []byte, no emit.Label)

	// The steps of -m u32, which works with a word and the base from which offsets count.
	U32Start()
	U32Load(off uint32, no emit.Label)
	U32Op(op byte, arg uint32)
	U32Advance(no emit.Label)
	U32InRange(lo, hi uint32, no emit.Label)

	// Call asks a function of the datapath.
	Call(p pred.Pred, no emit.Label) error
}

// Require writes tests that fall through when a predicate answers yes, and go to no, or to
// w.Hot(), otherwise.
func Require(w Writer, family packet.Family, p pred.Pred, no emit.Label) error {
	return question{w, family}.require(p, no)
}

// question is what the parts of one predicate share.
type question struct {
	Writer
	family packet.Family
}

func (q question) require(p pred.Pred, no emit.Label) error {
	switch p := p.(type) {
	case pred.Const:
		q.constant(pred.Answer(p), no)
	case pred.Not:
		return q.exclude(p.P, no)
	case pred.And:
		return q.all(p, no)
	case pred.Or:
		return q.either(p, no)
	case pred.HotdropIf:
		return q.exclude(p.P, q.Hot())
	case pred.Cmp:
		return q.compare(p, no)
	case pred.Header:
		q.Header(p, no)
	case pred.Transport:
		return q.compare(pred.Eq(pred.FieldL4State, uint32(packet.L4Found)), q.Hot())
	case pred.Have:
		return q.have(p, no)
	case pred.Addr:
		n := q.family.Bits() / 8
		q.Bytes(q.Address(p.Of), p.Value[:n], p.Mask[:n], no)
	case pred.AddrRange:
		n := q.family.Bits() / 8
		q.BytesRange(q.Address(p.Of), p.Lo[:n], p.Hi[:n], no)
	case pred.Name:
		q.Bytes(q.Name(p.Of), p.Value[:], p.Mask[:], no)
	case pred.U32:
		q.u32(p, no)
	default:
		return q.Call(p, no)
	}
	return nil
}

func (q question) constant(a pred.Answer, no emit.Label) {
	switch a {
	case pred.No:
		q.Jump(no)
	case pred.Hotdrop:
		q.Jump(q.Hot())
	}
}

func (q question) all(ps pred.And, no emit.Label) error {
	for _, p := range ps {
		if err := q.require(p, no); err != nil {
			return err
		}
	}
	return nil
}

// exclude falls through on no and goes to yes otherwise.
func (q question) exclude(p pred.Pred, yes emit.Label) error {
	no := q.NewLabel()
	if err := q.require(p, no); err != nil {
		return err
	}
	q.Jump(yes)
	q.Bind(no)
	return nil
}

func (q question) either(ps pred.Or, no emit.Label) error {
	if len(ps) == 0 {
		q.Jump(no)
		return nil
	}
	yes := q.NewLabel()
	last := len(ps) - 1
	for _, p := range ps[:last] {
		if err := q.exclude(p, yes); err != nil {
			return err
		}
	}
	if err := q.require(ps[last], no); err != nil {
		return err
	}
	q.Bind(yes)
	return nil
}

func (q question) compare(p pred.Cmp, no emit.Label) error {
	switch of := p.Of.(type) {
	case pred.Field:
		if c, ok := q.Cell(of, p.Mask); ok {
			q.Range(c, p.Mask, p.Lo, p.Hi, no)
		} else {
			q.FieldRange(of, p.Mask, p.Lo, p.Hi, no)
		}
		return nil
	case pred.Load:
		area, err := q.area(of)
		if err != nil {
			return err
		}
		q.Range(emit.PacketCell(area, int16(of.Off), of.Width), p.Mask, p.Lo, p.Hi, no)
		return nil
	}
	return fmt.Errorf("predicate %s compares an unknown value", p)
}

// area finds the bytes that a Load reads. The facts hold the IP header, the first 20 bytes of
// the transport header and the extension header found last.
func (q question) area(l pred.Load) (emit.Area, error) {
	area, size := emit.L3, 20
	switch {
	case l.Base == pred.BaseL4:
		area = emit.L4
	case l.Base == pred.BaseExt:
		area, size = emit.Scratch, 24
	case q.family == packet.IPv6:
		size = 40
	}
	if int(l.Off)+int(l.Width) > size {
		return area, fmt.Errorf("%s lies beyond the %d bytes that the datapath keeps", l, size)
	}
	return area, nil
}

func (q question) have(p pred.Have, no emit.Label) error {
	if p.Len == 0 {
		return nil
	}
	switch p.Base {
	case pred.BaseL4:
		return q.compare(pred.In(pred.FieldL4Avail, uint32(p.Len), math.MaxUint32), no)
	case pred.BaseL3:
		return q.compare(pred.In(pred.FieldLen, uint32(p.Len), math.MaxUint32), no)
	}
	q.Range(emit.ScratchLen, math.MaxUint32, uint32(p.Len), math.MaxUint32, no)
	return nil
}

func (q question) u32(p pred.U32, no emit.Label) {
	for _, t := range p.Tests {
		q.U32Start()
		q.U32Load(t.Start, no)
		for _, op := range t.Ops {
			if op.Op == '@' {
				q.U32Advance(no)
				q.U32Load(op.Arg, no)
				continue
			}
			q.U32Op(op.Op, op.Arg)
		}
		found := q.NewLabel()
		for _, r := range t.Ranges {
			other := q.NewLabel()
			q.U32InRange(r[0], r[1], other)
			q.Jump(found)
			q.Bind(other)
		}
		q.Jump(no)
		q.Bind(found)
	}
}
