package emit

import (
	"encoding/binary"
	"math/bits"

	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/cilium/ebpf/asm"
)

// Cell is a number in struct facts.
type Cell struct {
	off  int16
	size asm.Size
	be   bool // big-endian, as on the wire
}

// PacketCell is a number of a header as on the wire.
func PacketCell(area Area, off int16, width uint8) Cell {
	sizes := map[uint8]asm.Size{1: asm.Byte, 2: asm.Half, 4: asm.Word}
	return Cell{off: area.off + off, size: sizes[width], be: width > 1}
}

// loadRaw reads a cell into a register without changing its byte order.
func (b *Builder) loadRaw(dst asm.Register, c Cell) {
	b.add(asm.LoadMem(dst, regFacts, c.off, c.size))
}

// Range asks lo <= (cell & mask) <= hi, in host order, and jumps to no otherwise.
// An empty range (lo > hi) holds nothing. Clobbers regVal.
func (b *Builder) Range(c Cell, mask, lo, hi uint32, no Label) {
	if lo > hi {
		b.Jump(no)
		return
	}
	b.loadRaw(regVal, c)
	full := fullMask(c.size)
	mask &= full
	if lo == hi {
		if c.be {
			mask, lo = swap(mask, c.size), swap(lo, c.size)
		}
		if mask != swap(full, c.size) && mask != full {
			b.add(asm.And.Imm32(regVal, int32(mask)))
		}
		b.branch(asm.JNE.Imm32(regVal, int32(lo), ""), no)
		return
	}
	if c.be {
		b.add(asm.HostTo(asm.BE, regVal, c.size))
	}
	b.inRange(mask, full, lo, hi, no)
}

// Header falls through when the bytes of the transport header that a predicate asks for are
// there. Otherwise it goes to hot, or for a later fragment to no. Clobbers regVal.
func (b *Builder) Header(p pred.Header, no, hot Label) {
	ok := b.NewLabel()
	b.loadRaw(regVal, cellL4Good)
	b.branch(asm.JGE.Imm32(regVal, int32(p.Len), ""), ok)
	b.loadRaw(regVal, fieldCells[pred.FieldFragOff])
	last := int32(0)
	if p.HotFragment {
		last = 1
	}
	b.branch(asm.JGT.Imm32(regVal, last, ""), no)
	b.Jump(hot)
	b.Bind(ok)
}

// inRange asks what Range asks, of regVal in host order.
func (b *Builder) inRange(mask, full, lo, hi uint32, no Label) {
	if lo > hi {
		b.Jump(no)
		return
	}
	if mask != full {
		b.add(asm.And.Imm32(regVal, int32(mask)))
	}
	if lo == hi {
		b.branch(asm.JNE.Imm32(regVal, int32(lo), ""), no)
		return
	}
	if lo > 0 {
		b.add(asm.Sub.Imm32(regVal, int32(lo)))
	}
	if hi-lo != ^uint32(0) {
		b.branch(asm.JGT.Imm32(regVal, int32(hi-lo), ""), no)
	}
}

// ResultRange asks lo <= (R0 & mask) <= hi of the 32-bit result of a call.
func (b *Builder) ResultRange(mask, lo, hi uint32, no Label) {
	b.add(asm.Mov.Reg32(regVal, asm.R0))
	b.inRange(mask, ^uint32(0), lo, hi, no)
}

func fullMask(s asm.Size) uint32 {
	switch s {
	case asm.Byte:
		return 0xff
	case asm.Half:
		return 0xffff
	}
	return ^uint32(0)
}

func swap(v uint32, s asm.Size) uint32 {
	switch s {
	case asm.Half:
		return uint32(bits.ReverseBytes16(uint16(v)))
	case asm.Word:
		return bits.ReverseBytes32(v)
	}
	return v
}

// Bytes asks (bytes & mask) == value of an area of the facts, in 4-byte words.
func (b *Builder) Bytes(a Area, value, mask []byte, no Label) {
	for i := 0; i < len(value); i += 4 {
		m := binary.LittleEndian.Uint32(mask[i:])
		if m == 0 {
			continue
		}
		b.loadRaw(regVal, Cell{off: a.off + int16(i), size: asm.Word})
		if m != ^uint32(0) {
			b.add(asm.And.Imm32(regVal, int32(m)))
		}
		b.branch(asm.JNE.Imm32(regVal, int32(binary.LittleEndian.Uint32(value[i:])&m), ""), no)
	}
}

// BytesRange asks lo <= bytes <= hi of an area, as big-endian numbers of 4 or 16 bytes.
func (b *Builder) BytesRange(a Area, lo, hi []byte, no Label) {
	if len(lo) == 4 {
		b.Range(Cell{off: a.off, size: asm.Word, be: true}, ^uint32(0),
			binary.BigEndian.Uint32(lo), binary.BigEndian.Uint32(hi), no)
		return
	}
	b.bound128(a, lo, asm.JGT, asm.JLT, no)
	b.bound128(a, hi, asm.JLT, asm.JGT, no)
}

// bound128 compares a 16-byte number with a limit: inside ends the comparison,
// outside jumps to no.
func (b *Builder) bound128(a Area, limit []byte, inside, outside asm.JumpOp, no Label) {
	done := b.NewLabel()
	for half := int16(0); half < 2; half++ {
		b.loadRaw(regVal, Cell{off: a.off + 8*half, size: asm.DWord})
		b.add(asm.HostTo(asm.BE, regVal, asm.DWord))
		b.add(asm.LoadImm(regTmp, int64(binary.BigEndian.Uint64(limit[8*half:])), asm.DWord))
		b.branch(outside.Reg(regVal, regTmp, ""), no)
		if half == 0 {
			b.branch(inside.Reg(regVal, regTmp, ""), done)
		}
	}
	b.Bind(done)
}

// SetMark computes dst = (dst & keep) ^ (((src & and) ^ xor) << shift) on two
// cells; a negative shift goes to the right.
func (b *Builder) SetMark(dst, src Cell, keep, and, xor uint32, shift int8) {
	b.loadRaw(regTmp, src)
	b.add(asm.And.Imm32(regTmp, int32(and)))
	b.add(asm.Xor.Imm32(regTmp, int32(xor)))
	switch {
	case shift > 0:
		b.add(asm.LSh.Imm32(regTmp, int32(shift)))
	case shift < 0:
		b.add(asm.RSh.Imm32(regTmp, int32(-shift)))
	}
	b.loadRaw(regVal, dst)
	b.add(asm.And.Imm32(regVal, int32(keep)))
	b.add(asm.Xor.Reg32(regVal, regTmp))
	b.store(dst)
}

// ChangeHeader does to the facts what will be done to the IP header.
func (b *Builder) ChangeHeader(c pred.HeaderChange) {
	at := PacketCell(L3, int16(c.Off), c.Width)
	keep, xor := uint32(c.Keep), uint32(c.Xor)
	if at.be {
		keep, xor = swap(keep, at.size), swap(xor, at.size)
	}
	b.loadRaw(regVal, at)
	b.add(asm.And.Imm32(regVal, int32(keep)))
	b.add(asm.Xor.Imm32(regVal, int32(xor)))
	if c.Add != 0 {
		b.addByte(int32(c.Add))
	}
	b.store(at)
}

// addByte adds to regVal, between 0 and 255.
func (b *Builder) addByte(n int32) {
	fits, limit := b.NewLabel(), int32(255)
	if n < 0 {
		limit = 0
	}
	b.add(asm.Add.Imm32(regVal, n))
	b.branch(asm.JLE.Imm32(regVal, 255, ""), fits) // unsigned: what is below 0 is much
	b.add(asm.Mov.Imm32(regVal, limit))
	b.Bind(fits)
}

// Set stores a constant in a cell.
func (b *Builder) Set(dst Cell, v uint32) {
	b.add(asm.Mov.Imm32(regVal, int32(v)))
	b.store(dst)
}

func (b *Builder) store(dst Cell) {
	b.add(asm.StoreMem(regFacts, dst.off, regVal, dst.size))
}

// Offset is where the number lies in struct facts, its size in bytes, and whether it is
// big-endian, as on the wire.
func (c Cell) Offset() (off uint32, bytes int, wire bool) {
	return uint32(c.off), c.size.Sizeof(), c.be
}

// Offset is where the area begins in struct facts.
func (a Area) Offset() uint32 { return uint32(a.off) }
