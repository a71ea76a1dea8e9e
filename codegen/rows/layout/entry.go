package layout

import (
	"math/bits"

	"github.com/bpftables/bpftables/bpf/abi"
)

// everyNumber is the range of a row that asks for nothing of a number of 16 bits.
var everyNumber = Span{0, 0xffff}

// maxWindows is how many windows IPv6 has: numbers of 16 bits that entries ask for.
const maxWindows = 3*8 + 2

// windows gives the windows of a box: three of each word of the addresses, and the ports.
func (m *Memory) windows(b []Span, out *[maxWindows]Span) []Span {
	n, words := 0, m.Family.Bits()/16
	for _, s := range b[:words] {
		out[n], out[n+1], out[n+2] = s.part(0), s.part(1), s.part(2)
		n += 3
	}
	out[n], out[n+1] = b[words], b[words+1]
	return out[:n+2]
}

// factOfWindow is where window n lies in the facts.
func (m *Memory) factOfWindow(n int) uint32 {
	words := m.Family.Bits() / 16
	if n >= 3*words {
		at, _ := m.FactOf(n - 2*words)
		return at
	}
	at, _ := m.FactOf(n / 3)
	return at + uint32(n%3)
}

// part is what a range of 32 bits leaves open for 16 of them, from byte k on.
func (s Span) part(k uint32) Span {
	shift := 16 - 8*k
	if s.Lo>>(shift+16) != s.Hi>>(shift+16) {
		return everyNumber
	}
	return Span{s.Lo >> shift & 0xffff, s.Hi >> shift & 0xffff}
}

// apart is 1 if no number is in both, else 0. It is asked so often that a jump, which no
// processor foresees, would be what layouts take longest for.
func (s Span) apart(o Span) int {
	return int(((uint64(s.Hi) - uint64(o.Lo)) | (uint64(o.Hi) - uint64(s.Lo))) >> 63)
}

// known is how many rows that packets meet together an entry is to tell its row from: of long
// lists, the first ones are enough.
const known = 8

// near is the windows of rows that packets meet together, by window.
type near struct {
	n  int
	at [maxWindows][known]Span
}

// add adds a row by its windows; there are no more than are known.
func (n *near) add(windows []Span) {
	for w, s := range windows {
		n.at[w][n.n] = s
	}
	n.n++
}

// entry writes the entry of a row, by its windows, for packets that are in some whole. It asks
// for what tells the row best from others that they meet, and then for what leaves out most of
// the whole.
func (m *Memory) entry(at []uint32, n uint32, mine, whole []Span, others *near) {
	a := asked{narrowest: everyNumber}
	for w, s := range mine {
		a.try(w, s, whole[w], others)
	}
	m.ask(at, n, &a)
}

// Alone writes the entry of a row that lies in a bucket under a mask, without a look at
// the others there.
func (m *Memory) Alone(at []uint32, n uint32, mask *Key) {
	var mine, whole [maxWindows]Span
	row := m.Box(n)
	in := m.under(&row, mask)
	m.entry(at, n, m.windows(row[:], &mine), m.windows(in[:], &whole), &near{})
}

// asked is the window that an entry asks for, the best one so far.
type asked struct {
	window, score int
	narrowest     Span
}

// try sees whether window w, in which the row takes s of a whole, is better.
func (a *asked) try(w int, s, whole Span, others *near) {
	score := bits.Len32(whole.Hi-whole.Lo) - bits.Len32(s.Hi-s.Lo)
	if score <= 0 || score+apartScore*others.n <= a.score {
		return
	}
	for _, other := range others.at[w][:others.n] {
		score += apartScore * s.apart(other)
	}
	if score > a.score {
		*a = asked{w, score, s}
	}
}

// apartScore is what it counts that a window tells two rows apart: as much as asking for all
// bits of any.
const apartScore = 32

// ask writes the entry of a row.
func (m *Memory) ask(at []uint32, n uint32, a *asked) {
	at[abi.EntryRow] = n | m.factOfWindow(a.window)<<abi.EntryFact
	at[abi.EntryRange] = a.narrowest.Lo | a.narrowest.Hi<<16
}

// inLeaf is what the entry of a row with some box asks for in a leaf, where packets are in a
// whole with some windows. Numbers of which the row takes all tell nothing.
func (m *Memory) inLeaf(row []Span, in *Box, whole []Span, others *near) asked {
	a := asked{narrowest: everyNumber}
	words := m.Family.Bits() / 16
	for dim, s := range row[:words+2] {
		if s.Lo <= in[dim].Lo && s.Hi >= in[dim].Hi {
			continue
		}
		if dim >= words {
			w := 2*words + dim
			a.try(w, s, whole[w], others)
			continue
		}
		for k := range 3 {
			a.try(3*dim+k, s.part(uint32(k)), whole[3*dim+k], others)
		}
	}
	return a
}

// under is the box of the packets that look for a row with some box under a mask.
func (m *Memory) under(row *Box, mask *Key) Box {
	in := m.all()
	words := m.Family.Bits() / 16
	for dim := range words {
		open := ^bits.ReverseBytes32(uint32(mask.Addresses[dim/2] >> (dim % 2 * 32)))
		in[dim] = Span{row[dim].Lo &^ open, row[dim].Lo | open}
	}
	for i := range 2 {
		if mask.Other[TransportWord]>>(16*i)&0xffff == 0xffff {
			in[words+i] = row[words+i]
		}
	}
	return in
}

// Meets says whether a packet has what an entry asks for.
func (m *Memory) Meets(p *Point, entry []uint32) bool {
	off := entry[abi.EntryRow] >> abi.EntryFact
	words := m.Family.Bits() / 16
	for dim := range words + 2 {
		at, shift := m.FactOf(dim)
		if off < at || off > at+2 {
			continue
		}
		v := p[dim]
		if shift == 0 {
			v = v >> (16 - 8*(off-at)) & 0xffff
		} else if off != at {
			continue
		}
		lo, hi := entry[abi.EntryRange]&0xffff, entry[abi.EntryRange]>>16
		return lo <= v && v <= hi
	}
	return true
}
