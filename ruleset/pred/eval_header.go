package pred

import (
	"encoding/binary"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// findOption walks TCP or DCCP options as tcp_find_option() does
// (net/netfilter/xt_tcpudp.c): kinds 0 and 1 are one byte long, a length of 0
// counts as 1. It gives the offset of the first option that accept takes.
func findOption(opts []byte, accept func(at int) bool) (at int, found bool) {
	for at < len(opts) {
		if accept(at) {
			return at, true
		}
		switch {
		case opts[at] < 2 || at == len(opts)-1 || opts[at+1] == 0:
			at++
		default:
			at += int(opts[at+1])
		}
	}
	return 0, false
}

// tcpOptions gives the TCP options; ok is false when the header is cut or says
// that it is shorter than 20 bytes.
func tcpOptions(f *packet.Facts) (opts []byte, ok bool) {
	th, ok := f.L4Bytes(0, 20)
	if !ok || th[12]>>4 < 5 {
		return nil, false
	}
	return f.L4Bytes(20, int(th[12]>>4)*4-20)
}

func (p TCPOption) eval(f *packet.Facts) Answer {
	opts, ok := tcpOptions(f)
	if !ok {
		return Hotdrop
	}
	_, found := findOption(opts, func(at int) bool { return opts[at] == p.Kind })
	return Bool(found)
}

func (p TCPMSS) eval(f *packet.Facts) Answer {
	opts, ok := tcpOptions(f)
	if !ok {
		return Hotdrop
	}
	const kind, size = 2, 4
	at, found := findOption(opts, func(at int) bool {
		return opts[at] == kind && len(opts)-at >= size && opts[at+1] == size
	})
	if !found {
		return No
	}
	mss := binary.BigEndian.Uint16(opts[at+2:])
	return Bool(p.Lo <= mss && mss <= p.Hi)
}

// dccpHeaderLen is __dccp_hdr_len() (include/linux/dccp.h): the generic header and
// what the packet type adds.
func dccpHeaderLen(dh []byte) int {
	n := 12
	if dh[8]&1 != 0 {
		n += 4 // 48 bit sequence numbers
	}
	switch dh[8] >> 1 & 15 {
	case 2: // Data
		return n
	case 3, 4, 5, 6, 8, 9: // Ack, DataAck, CloseReq, Close, Sync, SyncAck
		return n + 8
	case 0: // Request
		return n + 4
	}
	return n + 12 // Response, Reset and unknown types
}

func (p DCCPOption) eval(f *packet.Facts) Answer {
	dh, ok := f.L4Bytes(0, 12)
	if !ok {
		return Hotdrop
	}
	from, to := dccpHeaderLen(dh), int(dh[4])*4
	if to < from {
		return Hotdrop
	}
	opts, ok := f.L4Bytes(from, to-from)
	if !ok && to > from {
		return Hotdrop
	}
	_, found := findOption(opts, func(at int) bool { return opts[at] == p.Kind })
	return Bool(found)
}

// eval is match_packet() of net/netfilter/xt_sctp.c: at least one chunk is read;
// a chunk header that is cut or has length 0 drops the packet.
func (p SCTPChunks) eval(f *packet.Facts) Answer {
	left := p.Map
	for off := 12; ; {
		ch, ok := f.L4Bytes(off, 4)
		if !ok || binary.BigEndian.Uint16(ch[2:]) == 0 {
			return Hotdrop
		}
		off += (int(binary.BigEndian.Uint16(ch[2:])) + 3) &^ 3
		word, mask := ch[0]/32, uint32(1)<<(ch[0]%32)
		listed := p.Map[word]&mask != 0
		flags := p.flagsMatch(ch[0], ch[1])
		switch {
		case p.Mode == 0 && listed && flags:
			return Yes
		case p.Mode == 1 && listed && flags:
			left[word] &^= mask
		case p.Mode == 2 && !(listed && flags):
			return No
		}
		if int(f.THOff)+off >= len(f.Raw) {
			break
		}
	}
	return Bool(p.Mode == 2 || p.Mode == 1 && left == [8]uint32{})
}

func (p SCTPChunks) flagsMatch(chunk, flags uint8) bool {
	for _, c := range p.Flags {
		if c.Chunk == chunk {
			return flags&c.Mask == c.Value
		}
	}
	return true
}

// eval is u32_match_it() of net/netfilter/xt_u32.c; numbers wrap at 32 bits.
func (p U32) eval(f *packet.Facts) Answer {
	for _, t := range p.Tests {
		v, ok := t.location(f)
		if !ok || !inRanges(v, t.Ranges) {
			return No
		}
	}
	return Yes
}

func inRanges(v uint32, ranges [][2]uint32) bool {
	for _, r := range ranges {
		if r[0] <= v && v <= r[1] {
			return true
		}
	}
	return false
}

// location computes the left side of a test; ok is false when it leaves the packet.
func (t U32Test) location(f *packet.Facts) (v uint32, ok bool) {
	length := uint32(len(f.Raw))
	if length < 4 || t.Start > length-4 {
		return 0, false
	}
	at := uint32(0)
	v = binary.BigEndian.Uint32(f.Raw[t.Start:])
	for _, op := range t.Ops {
		switch op.Op {
		case '&':
			v &= op.Arg
		case '<':
			v <<= op.Arg
		case '>':
			v >>= op.Arg
		case '@':
			if at+v < at {
				return 0, false
			}
			at += v
			if at+4 < at || length < at+4 || op.Arg > length-at-4 {
				return 0, false
			}
			v = binary.BigEndian.Uint32(f.Raw[at+op.Arg:])
		}
	}
	return v, true
}
