package rule

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/codegen/emit"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// label is a place in a program that instructions go on at.
type label int

// assembler writes the program of one row: conditions that must all be met, in order.
// The zero value is an empty program.
type assembler struct {
	family packet.Family
	words  []uint32
	bound  []int // word by label; -1: not yet
	refs   []reference
	Target
	ops  uint32 // kinds of instructions, as bits
	asks bool   // there is something beside guards
	err  error  // what does not fit
}

// empty is an empty program in the room of another.
func (a *assembler) empty() assembler {
	return assembler{words: a.words[:0], bound: a.bound[:0], refs: a.refs[:0]}
}

type reference struct {
	at int
	to label
}

func (a *assembler) newLabel() label {
	a.bound = append(a.bound, -1)
	return label(len(a.bound) - 1)
}

func (a *assembler) bind(l label) { a.bound[l] = len(a.words) }

// op writes an instruction that goes on at otherwise when its answer is no.
func (a *assembler) op(kind, arg uint32, otherwise label, words ...uint32) {
	if arg > maxArgument {
		a.err = fmt.Errorf("instruction %d of a row has the argument %d; at most %d fit", kind, arg, maxArgument)
	}
	a.refs = append(a.refs, reference{len(a.words), otherwise})
	a.plain(kind, arg, words...)
}

// plain writes an instruction without an answer.
func (a *assembler) plain(kind, arg uint32, words ...uint32) {
	a.ops |= 1 << kind
	a.words = append(a.words, kind|arg<<8)
	a.words = append(a.words, words...)
}

// no is the label of the program's end with the answer no.
func (a *assembler) no() label {
	if len(a.bound) == 0 {
		a.newLabel()
	}
	return 0
}

// guard marks the place at which a guard of the row stands.
func (a *assembler) guard(which uint32) {
	a.no()
	a.plain(abi.OpGuard, which)
}

// condition adds a predicate that must be yes.
func (a *assembler) condition(family packet.Family, p pred.Pred) error {
	a.family, a.asks = family, true
	return a.require(p, a.no())
}

// maxArgument is the largest argument of an instruction that goes on elsewhere.
const maxArgument = math.MaxUint8

// maxProgram is how far an instruction can go.
const maxProgram = math.MaxUint16

// finish gives the program; nil when it asks nothing.
func (a *assembler) finish() ([]uint32, error) {
	if !a.asks {
		return nil, nil
	}
	a.plain(abi.OpYes, 0)
	a.bind(a.no())
	a.plain(abi.OpNo, 0)
	if a.err != nil {
		return nil, a.err
	}
	if len(a.words) > maxProgram {
		return nil, fmt.Errorf("the conditions of one rule take %d words, at most %d allowed", len(a.words), maxProgram)
	}
	for _, r := range a.refs {
		if a.bound[r.to] < 0 {
			return nil, fmt.Errorf("label %d is not placed", r.to)
		}
		a.words[r.at] |= uint32(a.bound[r.to]) << 16
	}
	return a.words, nil
}

// require falls through on yes and goes to no otherwise; hotdrop ends the program.
func (a *assembler) require(p pred.Pred, no label) error {
	switch p := p.(type) {
	case pred.Const:
		switch pred.Answer(p) {
		case pred.No:
			a.op(abi.OpJump, 0, no)
		case pred.Hotdrop:
			a.plain(abi.OpHot, 0)
		}
	case pred.Not:
		return a.exclude(p.P, no)
	case pred.And:
		for _, one := range p {
			if err := a.require(one, no); err != nil {
				return err
			}
		}
	case pred.Or:
		return a.either(p, no)
	case pred.HotdropIf:
		return a.hotdropIf(p.P)
	case pred.Cmp:
		return a.compare(p, no)
	case pred.Header:
		return a.header(p, no)
	case pred.Transport:
		return a.hotdropIf(pred.Not{P: pred.Eq(pred.FieldL4State, uint32(packet.L4Found))})
	case pred.Have:
		return a.have(p, no)
	case pred.Addr:
		a.bytes(a.address(p.Of), p.Value[:a.addressLen()], p.Mask[:a.addressLen()], no)
	case pred.AddrRange:
		a.bounds(p, no)
	case pred.Name:
		a.bytes(a.name(p.Of), p.Value[:], p.Mask[:], no)
	case pred.U32:
		a.u32(p, no)
	default:
		return a.call(p, no)
	}
	return nil
}

// exclude falls through on no and goes to yes otherwise.
func (a *assembler) exclude(p pred.Pred, yes label) error {
	no := a.newLabel()
	if err := a.require(p, no); err != nil {
		return err
	}
	a.op(abi.OpJump, 0, yes)
	a.bind(no)
	return nil
}

func (a *assembler) hotdropIf(p pred.Pred) error {
	no := a.newLabel()
	if err := a.require(p, no); err != nil {
		return err
	}
	a.plain(abi.OpHot, 0)
	a.bind(no)
	return nil
}

func (a *assembler) either(ps pred.Or, no label) error {
	if len(ps) == 0 {
		a.op(abi.OpJump, 0, no)
		return nil
	}
	yes := a.newLabel()
	last := len(ps) - 1
	for _, p := range ps[:last] {
		if err := a.exclude(p, yes); err != nil {
			return err
		}
	}
	if err := a.require(ps[last], no); err != nil {
		return err
	}
	a.bind(yes)
	return nil
}

// inFact asks lo <= (number & mask) <= hi of a cell of the facts.
func (a *assembler) inFact(c emit.Cell, mask, lo, hi uint32, no label) {
	off, size, wire := c.Place()
	how := uint32(size)
	if wire && size > 1 {
		how |= abi.OpWire
	}
	a.op(abi.OpFact, how, no, off, mask, lo, hi)
}

func (a *assembler) compare(p pred.Cmp, no label) error {
	switch of := p.Of.(type) {
	case pred.Field:
		// The early stage does not always know the length, and tells.
		if c, ok := emit.FieldCell(of); ok && !(a.Early && of == pred.FieldLen) {
			a.inFact(c, p.Mask, p.Lo, p.Hi, no)
			return nil
		}
		a.op(abi.OpField, 0, no, uint32(of), p.Mask, p.Lo, p.Hi)
		return nil
	case pred.Load:
		area, size := emit.L3, 20
		switch {
		case of.Base == pred.BaseL4:
			area = emit.L4
		case of.Base == pred.BaseExt:
			area, size = emit.Scratch, 24
		case a.family == packet.IPv6:
			size = 40
		}
		if int(of.Off)+int(of.Width) > size {
			return fmt.Errorf("%s lies beyond the %d bytes that the datapath keeps", of, size)
		}
		a.inFact(emit.PacketCell(area, int16(of.Off), of.Width), p.Mask, p.Lo, p.Hi, no)
		return nil
	}
	return fmt.Errorf("predicate %s compares an unknown value", p)
}

func (a *assembler) have(p pred.Have, no label) error {
	c, ok := emit.ScratchLen, true
	switch p.Base {
	case pred.BaseL4:
		c, ok = emit.FieldCell(pred.FieldL4Avail)
	case pred.BaseL3:
		c, ok = emit.FieldCell(pred.FieldLen)
	}
	if !ok {
		return fmt.Errorf("%s: length is not in the facts", p)
	}
	if p.Len > 0 {
		a.inFact(c, math.MaxUint32, uint32(p.Len), math.MaxUint32, no)
	}
	return nil
}

// header asks for a header in the order that its answers have.
func (a *assembler) header(p pred.Header, no label) error {
	if p.HotFragment {
		if err := a.hotdropIf(pred.Eq(pred.FieldFragOff, 1)); err != nil {
			return err
		}
	}
	if err := a.require(pred.Eq(pred.FieldFragOff, 0), no); err != nil {
		return err
	}
	return a.hotdropIf(pred.Not{P: pred.Have{Base: pred.BaseL4, Len: p.Len}})
}

func (a *assembler) addressLen() int { return a.family.Bits() / 8 }

// address makes an address available and says where it lies.
func (a *assembler) address(of pred.AddrField) emit.Area {
	if of <= pred.AddrDst {
		return emit.Address(a.family, of == pred.AddrDst)
	}
	a.plain(abi.OpGetAddr, 0, uint32(of))
	return emit.Scratch
}

// name makes an interface name available and says where it lies.
func (a *assembler) name(of pred.NameField) emit.Area {
	switch {
	case of == pred.NameIn && a.Needs&abi.NeedIif != 0:
		return emit.InName
	case of == pred.NameOut && a.Needs&abi.NeedOif != 0:
		return emit.OutName
	}
	a.plain(abi.OpGetName, 0, uint32(of))
	return emit.Scratch
}

// bytes asks (bytes & mask) == value.
func (a *assembler) bytes(area emit.Area, value, mask []byte, no label) {
	words := make([]uint32, 9)
	words[0] = area.Place()
	for i := 0; i < len(value); i += 4 {
		m := binary.LittleEndian.Uint32(mask[i:])
		words[1+i/4] = binary.LittleEndian.Uint32(value[i:]) & m
		words[5+i/4] = m
	}
	a.op(abi.OpBytes, uint32(len(value)/4), no, words...)
}

// bounds asks lo <= address <= hi.
func (a *assembler) bounds(p pred.AddrRange, no label) {
	area := a.address(p.Of)
	if a.family == packet.IPv4 {
		a.inFact(emit.PacketCell(area, 0, 4), math.MaxUint32,
			binary.BigEndian.Uint32(p.Lo[:]), binary.BigEndian.Uint32(p.Hi[:]), no)
		return
	}
	words := []uint32{area.Place()}
	for _, limit := range [][16]byte{p.Lo, p.Hi} {
		for i := 0; i < 16; i += 4 {
			words = append(words, binary.LittleEndian.Uint32(limit[i:]))
		}
	}
	a.op(abi.OpBounds, 0, no, words...)
}

// u32Ops are the instructions of -m u32 that change the word at hand.
var u32Ops = map[byte]uint32{'&': abi.OpU32And, '<': abi.OpU32Left, '>': abi.OpU32Right}

func (a *assembler) u32(p pred.U32, no label) {
	for _, t := range p.Tests {
		a.plain(abi.OpU32Start, 0)
		a.op(abi.OpU32Load, 0, no, t.Start)
		for _, op := range t.Ops {
			if op.Op == '@' {
				a.op(abi.OpU32Advance, 0, no)
				a.op(abi.OpU32Load, 0, no, op.Arg)
				continue
			}
			a.plain(u32Ops[op.Op], 0, op.Arg)
		}
		found := a.newLabel()
		for _, r := range t.Ranges {
			other := a.newLabel()
			a.op(abi.OpU32In, 0, other, r[0], r[1])
			a.op(abi.OpJump, 0, found)
			a.bind(other)
		}
		a.op(abi.OpJump, 0, no)
		a.bind(found)
	}
}

// call asks a function of the datapath.
func (a *assembler) call(p pred.Pred, no label) error {
	symbol, arg, ok := Call(p)
	if !ok {
		return fmt.Errorf("predicate %s cannot be looked up", p)
	}
	a.op(callOps[symbol], 0, no, arg)
	return nil
}

// callOps are the instructions that call functions of the datapath.
var callOps = map[string]uint32{
	abi.FuncFindExt: abi.OpFindExt, abi.FuncTCPOption: abi.OpTCPOption, abi.FuncTCPMSS: abi.OpTCPMSS,
	abi.FuncDCCPOption: abi.OpDCCPOption, abi.FuncSCTPChunks: abi.OpSCTPChunks, abi.FuncAddrType: abi.OpAddrType,
	abi.FuncLimit: abi.OpLimit, abi.FuncNth: abi.OpNth, abi.FuncRandom: abi.OpRandom, abi.FuncRecent: abi.OpRecent,
	abi.FuncNamedSet: abi.OpNamedSet,
}

// Call gives the function of the datapath that answers a predicate, and its argument.
func Call(p pred.Pred) (symbol string, arg uint32, ok bool) {
	switch p := p.(type) {
	case pred.FindExt:
		return abi.FuncFindExt, uint32(p.Header) | bit(p.Hot, 8) | bit(p.Whole, 9), true
	case pred.TCPOption:
		return abi.FuncTCPOption, uint32(p.Kind), true
	case pred.TCPMSS:
		return abi.FuncTCPMSS, uint32(p.Lo) | uint32(p.Hi)<<16, true
	case pred.DCCPOption:
		return abi.FuncDCCPOption, uint32(p.Kind), true
	case pred.SCTPChunks:
		return abi.FuncSCTPChunks, uint32(p.Slot), true
	case pred.AddrType:
		return abi.FuncAddrType, uint32(p.Mask) | uint32(p.Of)<<16 | bit(p.In, 24) | bit(p.Out, 25), true
	case pred.Limit:
		return abi.FuncLimit, uint32(p.Slot), true
	case pred.Nth:
		return abi.FuncNth, uint32(p.Slot), true
	case pred.Random:
		return abi.FuncRandom, p.Threshold, true
	case pred.Recent:
		return abi.FuncRecent, uint32(p.Slot), true
	case pred.InSet:
		return abi.FuncNamedSet, uint32(p.Slot), true
	case pred.SetUpdate:
		return abi.FuncNamedSet, uint32(p.Slot), true
	}
	return "", 0, false
}

func bit(set bool, n uint) uint32 {
	if set {
		return 1 << n
	}
	return 0
}

// place is where a field lies in the facts.
func place(f pred.Field) (off uint32, ok bool) {
	c, ok := emit.FieldCell(f)
	off, _, _ = c.Place()
	return off, ok
}
