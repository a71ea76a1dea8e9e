package rule

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/codegen/condition"
	"github.com/bpftables/bpftables/codegen/emit"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// assembler writes the program of one row: conditions that must all be met, in order
// (condition.Writer). The zero value is an empty program.
type assembler struct {
	family packet.Family
	words  []uint32
	bound  []int // word by label; -1: not yet
	refs   []reference
	Target
	ops  uint64 // kinds of instructions, as bits
	asks bool   // there is something beside guards
	err  error  // what does not fit
}

// empty is an empty program in the room of another.
func (a *assembler) empty() assembler {
	return assembler{words: a.words[:0], bound: a.bound[:0], refs: a.refs[:0]}
}

type reference struct {
	at int
	to emit.Label
}

// NewLabel makes a label; Bind must be called with it once.
func (a *assembler) NewLabel() emit.Label {
	a.bound = append(a.bound, -1)
	return emit.Label(len(a.bound) - 1)
}

// Bind puts a label before the next instruction.
func (a *assembler) Bind(l emit.Label) { a.bound[l] = len(a.words) }

// op writes an instruction that goes on at otherwise when its answer is no.
func (a *assembler) op(kind, arg uint32, otherwise emit.Label, words ...uint32) {
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

// Jump goes on elsewhere.
func (a *assembler) Jump(to emit.Label) { a.op(abi.OpJump, 0, to) }

// The ends of a program with the answers no and hotdrop.
const (
	endNo emit.Label = iota
	endHot
	numEnds
)

// begin makes the labels of the ends.
func (a *assembler) begin() {
	for len(a.bound) < int(numEnds) {
		a.NewLabel()
	}
}

// Hot is the end with hotdrop.
func (a *assembler) Hot() emit.Label { return endHot }

// guard marks where a guard of the row stands.
func (a *assembler) guard(which uint32) {
	a.begin()
	a.plain(abi.OpGuard, which)
}

// condition adds a predicate that must be yes.
func (a *assembler) condition(family packet.Family, p pred.Pred) error {
	a.family, a.asks = family, true
	a.begin()
	return condition.Require(a, family, p, endNo)
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
	a.Bind(endNo)
	a.plain(abi.OpNo, 0)
	if a.goesTo(endHot) {
		a.Bind(endHot)
		a.plain(abi.OpHot, 0)
	}
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

// Range asks lo <= (number & mask) <= hi of a cell of the facts.
func (a *assembler) Range(c emit.Cell, mask, lo, hi uint32, no emit.Label) {
	off, size, wire := c.Offset()
	how := uint32(size)
	if wire && size > 1 {
		how |= abi.OpWire
	}
	a.op(abi.OpFact, how, no, off, mask, lo, hi)
}

// goesTo says whether some instruction goes on at a label.
func (a *assembler) goesTo(l emit.Label) bool {
	return slices.ContainsFunc(a.refs, func(r reference) bool { return r.to == l })
}

// Cell is where a field lies. The early stage does not always know the length, and tells.
func (a *assembler) Cell(f pred.Field, _ uint32) (emit.Cell, bool) {
	c, ok := emit.FieldCell(f)
	return c, ok && !(a.Early && f == pred.FieldLen)
}

// FieldRange asks lo <= (number & mask) <= hi of a field that the datapath finds out.
func (a *assembler) FieldRange(f pred.Field, mask, lo, hi uint32, no emit.Label) {
	a.op(abi.OpField, 0, no, uint32(f), mask, lo, hi)
}

// Header asks for a header in the order that its answers have.
func (a *assembler) Header(p pred.Header, no emit.Label) {
	offset, _ := a.Cell(pred.FieldFragOff, math.MaxUint32)
	if p.HotFragment {
		a.Range(offset, math.MaxUint32, 0, 1, no)
		a.Range(offset, math.MaxUint32, 0, 0, a.Hot())
	} else {
		a.Range(offset, math.MaxUint32, 0, 0, no)
	}
	there, _ := a.Cell(pred.FieldL4Avail, math.MaxUint32)
	a.Range(there, math.MaxUint32, uint32(p.Len), math.MaxUint32, a.Hot())
}

// Address makes an address available and says where it lies.
func (a *assembler) Address(of pred.AddrField) emit.Area {
	if of <= pred.AddrDst {
		return emit.Address(a.family, of == pred.AddrDst)
	}
	a.plain(abi.OpGetAddr, 0, uint32(of))
	return emit.Scratch
}

// Name makes an interface name available and says where it lies.
func (a *assembler) Name(of pred.NameField) emit.Area {
	switch {
	case of == pred.NameIn && a.Needs&abi.NeedIif != 0:
		return emit.InName
	case of == pred.NameOut && a.Needs&abi.NeedOif != 0:
		return emit.OutName
	}
	a.plain(abi.OpGetName, 0, uint32(of))
	return emit.Scratch
}

// Bytes asks (bytes & mask) == value.
func (a *assembler) Bytes(area emit.Area, value, mask []byte, no emit.Label) {
	words := make([]uint32, 9)
	words[0] = area.Offset()
	for i := 0; i < len(value); i += 4 {
		m := binary.LittleEndian.Uint32(mask[i:])
		words[1+i/4] = binary.LittleEndian.Uint32(value[i:]) & m
		words[5+i/4] = m
	}
	a.op(abi.OpBytes, uint32(len(value)/4), no, words...)
}

// BytesRange asks lo <= address <= hi.
func (a *assembler) BytesRange(area emit.Area, lo, hi []byte, no emit.Label) {
	if len(lo) == 4 {
		a.Range(emit.PacketCell(area, 0, 4), math.MaxUint32, binary.BigEndian.Uint32(lo), binary.BigEndian.Uint32(hi), no)
		return
	}
	words := []uint32{area.Offset()}
	for _, limit := range [][]byte{lo, hi} {
		for i := 0; i < len(limit); i += 4 {
			words = append(words, binary.LittleEndian.Uint32(limit[i:]))
		}
	}
	a.op(abi.OpBounds, 0, no, words...)
}

// U32Start sets the base to the IP header.
func (a *assembler) U32Start() { a.plain(abi.OpU32Start, 0) }

// U32Load reads the word at base + off.
func (a *assembler) U32Load(off uint32, no emit.Label) { a.op(abi.OpU32Load, 0, no, off) }

// U32Advance adds the word to the base.
func (a *assembler) U32Advance(no emit.Label) { a.op(abi.OpU32Advance, 0, no) }

// U32Op changes the word.
func (a *assembler) U32Op(op byte, arg uint32) { a.plain(u32Ops[op], 0, arg) }

// u32Ops are the instructions that change the word.
var u32Ops = map[byte]uint32{'&': abi.OpU32And, '<': abi.OpU32Left, '>': abi.OpU32Right}

// U32InRange asks whether the word lies in a range.
func (a *assembler) U32InRange(lo, hi uint32, no emit.Label) { a.op(abi.OpU32In, 0, no, lo, hi) }

// Call asks a function of the datapath.
func (a *assembler) Call(p pred.Pred, no emit.Label) error {
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
	abi.FuncDCCPOption: abi.OpDCCPOption, abi.FuncSCTPChunks: abi.OpSCTPChunks, abi.FuncAddrType: abi.OpAddrType, abi.FuncAddrType6: abi.OpAddrType,
	abi.FuncLimit: abi.OpLimit, abi.FuncNth: abi.OpNth, abi.FuncRandom: abi.OpRandom, abi.FuncRecent: abi.OpRecent,
	abi.FuncNamedSet: abi.OpNamedSet, abi.FuncSearch: abi.OpSearch, abi.FuncGroups: abi.OpGroups, abi.FuncControlGroup: abi.OpControlGroup, abi.FuncTime: abi.OpTime, abi.FuncHeaders6: abi.OpHeaders6, abi.FuncEUI64: abi.OpEUI64, abi.FuncOptions6: abi.OpOptions6, abi.FuncHops6: abi.OpHops6,
	abi.FuncPolicy:    abi.OpPolicy,
	abi.FuncConnCount: abi.OpConnCount, abi.FuncConnLabel: abi.OpConnLabel, abi.FuncReversePath: abi.OpReversePath, abi.FuncQuota: abi.OpQuota, abi.FuncMeter: abi.OpMeter,
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
	case pred.Meter:
		return abi.FuncMeter, uint32(p.Slot), true
	case pred.Quota:
		return abi.FuncQuota, uint32(p.Slot), true
	case pred.ReversePath:
		return abi.FuncReversePath, p.Bits(), true
	case pred.Groups:
		return abi.FuncGroups, uint32(p.Slot), true
	case pred.ControlGroup:
		return abi.FuncControlGroup, uint32(p.Slot), true
	case pred.ConnCount:
		return abi.FuncConnCount, uint32(p.Slot), true
	case pred.ConnLabel:
		return abi.FuncConnLabel, uint32(p.Bit), true
	case pred.Policy:
		return abi.FuncPolicy, uint32(p.Slot), true
	case pred.Headers6:
		return abi.FuncHeaders6, uint32(p.Mask) | bit(p.Soft, 8) | bit(p.Negate, 9), true
	case pred.EUI64:
		return abi.FuncEUI64, 0, true
	case pred.Options6:
		return abi.FuncOptions6, uint32(p.Slot), true
	case pred.Hops6:
		return abi.FuncHops6, uint32(p.Slot), true
	case pred.Time:
		return abi.FuncTime, uint32(p.Slot), true
	case pred.Search:
		return abi.FuncSearch, uint32(p.Slot), true
	case pred.AddrType:
		symbol = abi.FuncAddrType
		if p.Six {
			symbol = abi.FuncAddrType6
		}
		return symbol, uint32(p.Mask) | uint32(p.Of)<<16 | bit(p.In, 24) | bit(p.Out, 25), true
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

// factOf is where a field lies in the facts.
func factOf(f pred.Field) (off uint32, ok bool) {
	c, ok := emit.FieldCell(f)
	off, _, _ = c.Offset()
	return off, ok
}
