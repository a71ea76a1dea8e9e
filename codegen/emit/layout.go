package emit

import (
	"reflect"
	"unsafe"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/cilium/ebpf/asm"
)

// Area is a run of bytes in struct facts.
type Area struct{ off int16 }

// The areas of struct facts (bpf/facts/facts.h).
var (
	L3      = Area{int16(unsafe.Offsetof(layout.L3))}
	L4      = Area{int16(unsafe.Offsetof(layout.L4))}
	InName  = Area{int16(unsafe.Offsetof(layout.Iif))}
	OutName = Area{int16(unsafe.Offsetof(layout.Oif))}
	Scratch = Area{int16(unsafe.Offsetof(layout.Tmp))}
)

var layout abi.Facts

// At is the area off bytes further.
func (a Area) At(off int16) Area { return Area{a.off + off} }

func word(off uintptr) Cell { return Cell{off: int16(off), size: asm.Word} }
func half(off uintptr) Cell { return Cell{off: int16(off), size: asm.Half} }

var (
	cellRule   = word(unsafe.Offsetof(layout.Rule))
	cellLen    = word(unsafe.Offsetof(layout.Len))
	cellL4Good = word(unsafe.Offsetof(layout.L4good))
	cellKey    = word(unsafe.Offsetof(layout.At))
	cellWord   = word(unsafe.Offsetof(layout.Word))
	cellBase   = word(unsafe.Offsetof(layout.Base))
	// ScratchLen is the number of bytes in Scratch that are the packet's.
	ScratchLen = half(unsafe.Offsetof(layout.Tmplen))
)

// fieldCells are the fields that struct facts holds.
var fieldCells = func() (cells [pred.NumFields]Cell) {
	facts := reflect.TypeOf(layout)
	sizes := map[uintptr]asm.Size{1: asm.Byte, 2: asm.Half, 4: asm.Word}
	for f := range pred.NumFields {
		if !f.InFacts() {
			continue
		}
		member, ok := facts.FieldByName(f.Cell())
		if !ok {
			panic("emit: struct facts has no member " + f.Cell() + " for the field " + f.String())
		}
		cells[f] = Cell{off: int16(member.Offset), size: sizes[member.Type.Size()]}
	}
	return cells
}()

// FieldCell is the cell of a field; ok is false for one that must be asked for.
func FieldCell(f pred.Field) (c Cell, ok bool) {
	return fieldCells[f], f.InFacts()
}

// Address is where an address of the IP header lies.
func Address(family packet.Family, dst bool) Area {
	off := int16(12)
	if family == packet.IPv6 {
		off = 8
	}
	if dst {
		off += int16(family.Bits() / 8)
	}
	return L3.At(off)
}
