package flood

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// maxFrame is the longest frame: the program copies it unrolled.
const maxFrame = 256

// position is where the feeding program is in its list.
type position struct{ Sent, Next uint64 }

// frames puts an Ethernet header before each packet and pads all to one length, a
// multiple of 8.
func frames(to net.HardwareAddr, packets [][]byte) ([][]byte, error) {
	if len(packets) == 0 {
		return nil, errors.New("flood: no packets to feed")
	}
	size := 64
	for _, p := range packets {
		size = max(size, (14+len(p)+7)/8*8)
	}
	if size > maxFrame {
		return nil, fmt.Errorf("flood: a frame of %d bytes, at most %d are fed", size, maxFrame)
	}
	var out [][]byte
	for _, p := range packets {
		f := make([]byte, size)
		copy(f, to)
		f[6] = 2 // a locally administered source address
		f[12], f[13] = unix.ETH_P_IP>>8, unix.ETH_P_IP&0xff
		if p[0]>>4 == 6 {
			f[12], f[13] = unix.ETH_P_IPV6>>8, unix.ETH_P_IPV6&0xff
		}
		copy(f[14:], p)
		out = append(out, f)
	}
	return out, nil
}

// load makes the feeding program: it writes the next frame of the list into the frame
// that it is called for, and passes that on or redirects it.
func load(frames [][]byte, redirect int) (prog *ebpf.Program, at *ebpf.Map, err error) {
	same := sameWords(frames)
	list, err := ebpf.NewMap(&ebpf.MapSpec{
		Name: "flood_frames", Type: ebpf.Array, KeySize: 4, ValueSize: uint32(len(others(frames[0], same))), MaxEntries: uint32(len(frames)),
	})
	if err != nil {
		return nil, nil, fmt.Errorf("map of frames: %w", err)
	}
	defer list.Close() // the program holds it
	for i, f := range frames {
		if err := list.Put(uint32(i), others(f, same)); err != nil {
			return nil, nil, fmt.Errorf("frame %d: %w", i, err)
		}
	}
	at, err = ebpf.NewMap(&ebpf.MapSpec{Name: "flood_at", Type: ebpf.Array, KeySize: 4, ValueSize: 16, MaxEntries: 1})
	if err != nil {
		return nil, nil, fmt.Errorf("position in the list: %w", err)
	}
	prog, err = ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "flood", Type: ebpf.XDP, License: "GPL",
		Instructions: instructions(list.FD(), at.FD(), len(frames), same, frames[0], redirect),
	})
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("load the feeding program: %w", err), at.Close())
	}
	return prog, at, nil
}

// sameWords says which words of 8 bytes are the same in all frames. The list has only the
// others: reading it pushes less out of the caches that the firewalls use, too.
func sameWords(frames [][]byte) []bool {
	same := make([]bool, len(frames[0])/8)
	for w := range same {
		same[w] = !slices.ContainsFunc(frames, func(f []byte) bool {
			return !bytes.Equal(f[8*w:8*w+8], frames[0][8*w:8*w+8])
		})
	}
	if !slices.Contains(same, false) {
		same[0] = false // the list has something of every frame
	}
	return same
}

// others are the other words of a frame.
func others(frame []byte, same []bool) (out []byte) {
	for w, is := range same {
		if !is {
			out = append(out, frame[8*w:8*w+8]...)
		}
	}
	return out
}

// instructions: R6 is the context, R7 the position in the list, R8 the frame.
func instructions(list, at, n int, same []bool, frame []byte, redirect int) asm.Instructions {
	const drop, pass = 1, 2
	ins := asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.LoadMapValue(asm.R1, at, 0),
		asm.LoadMem(asm.R2, asm.R1, 0, asm.DWord), // position.Sent
		asm.Add.Imm(asm.R2, 1),
		asm.StoreMem(asm.R1, 0, asm.R2, asm.DWord),
		asm.LoadMem(asm.R7, asm.R1, 8, asm.DWord), // position.Next
		asm.Mov.Reg(asm.R2, asm.R7),
		asm.Add.Imm(asm.R2, 1),
		asm.JLT.Imm(asm.R2, int32(n), "store"),
		asm.Mov.Imm(asm.R2, 0),
		asm.StoreMem(asm.R1, 8, asm.R2, asm.DWord).WithSymbol("store"),
		asm.StoreMem(asm.RFP, -4, asm.R7, asm.Word),
		asm.LoadMapPtr(asm.R1, list),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -4),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "drop"),
		asm.LoadMem(asm.R8, asm.R6, 0, asm.Word), // xdp_md.data
		asm.LoadMem(asm.R3, asm.R6, 4, asm.Word), // xdp_md.data_end
		asm.Mov.Reg(asm.R4, asm.R8),
		asm.Add.Imm(asm.R4, int32(len(frame))),
		asm.JGT.Reg(asm.R4, asm.R3, "drop"),
	}
	from := int16(0)
	for w, is := range same {
		word := asm.LoadMem(asm.R2, asm.R0, from, asm.DWord)
		if is {
			word = asm.LoadImm(asm.R2, int64(binary.NativeEndian.Uint64(frame[8*w:])), asm.DWord)
		} else {
			from += 8
		}
		ins = append(ins, word, asm.StoreMem(asm.R8, int16(8*w), asm.R2, asm.DWord))
	}
	if redirect != 0 {
		ins = append(ins, asm.Mov.Imm(asm.R1, int32(redirect)), asm.Mov.Imm(asm.R2, 0), asm.FnRedirect.Call(), asm.Return())
	} else {
		ins = append(ins, asm.Mov.Imm(asm.R0, pass), asm.Return())
	}
	return append(ins, asm.Mov.Imm(asm.R0, drop).WithSymbol("drop"), asm.Return())
}
