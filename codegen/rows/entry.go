package rows

import (
	"math/bits"

	"github.com/bpftables/bpftables/bpf/abi"
)

// everyNumber is the range of a row that asks for nothing of a number of 16 bits.
var everyNumber = span{0, 0xffff}

// maxWindows is how many windows IPv6 has: numbers of 16 bits that entries ask for.
const maxWindows = 3*8 + 2

// windows gives the windows of a box: three of each word of the addresses, and the ports.
func (m *Memory) windows(b []span, out *[maxWindows]span) []span {
	n, words := 0, m.Family.Bits()/16
	for _, s := range b[:words] {
		out[n], out[n+1], out[n+2] = s.part(0), s.part(1), s.part(2)
		n += 3
	}
	out[n], out[n+1] = b[words], b[words+1]
	return out[:n+2]
}

// place is where window n lies in the facts.
func (m *Memory) place(n int) uint32 {
	words := m.Family.Bits() / 16
	if n >= 3*words {
		at, _ := m.factOf(n - 2*words)
		return at
	}
	at, _ := m.factOf(n / 3)
	return at + uint32(n%3)
}

// part is what a range of 32 bits leaves open for 16 of them, from byte k on.
func (s span) part(k uint32) span {
	shift := 16 - 8*k
	if s.lo>>(shift+16) != s.hi>>(shift+16) {
		return everyNumber
	}
	return span{s.lo >> shift & 0xffff, s.hi >> shift & 0xffff}
}

// apart says that no number is in both.
func (s span) apart(o span) bool { return s.hi < o.lo || o.hi < s.lo }

// known is how many rows that packets meet together an entry is to tell its row from: of long
// lists, the first ones are enough.
const known = 8

// entry writes the entry of a row, by its windows, for packets that are in some whole. It asks
// for what tells the row best from others that they meet, and then for what leaves out most of
// the whole.
func (m *Memory) entry(at []uint32, n uint32, mine, whole []span, others [][]span) {
	a := asked{narrowest: everyNumber}
	for w, s := range mine {
		a.try(w, s, whole[w], others)
	}
	m.ask(at, n, &a)
}

// asked is the window that an entry asks for, the best one so far.
type asked struct {
	window, score int
	narrowest     span
}

// try sees whether window w, in which the row takes s of a whole, is better.
func (a *asked) try(w int, s, whole span, others [][]span) {
	score := bits.Len32(whole.hi-whole.lo) - bits.Len32(s.hi-s.lo)
	if score <= 0 || score+apartScore*len(others) <= a.score {
		return
	}
	for _, other := range others {
		if s.apart(other[w]) {
			score += apartScore
		}
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
	at[abi.EntryRow] = n | m.place(a.window)<<abi.EntryPlace
	at[abi.EntryRange] = a.narrowest.lo | a.narrowest.hi<<16
}

// inLeaf is what the entry of a row with some box asks for in a leaf, where packets are in a
// whole with some windows. Numbers of which the row takes all tell nothing.
func (m *Memory) inLeaf(row []span, in *box, whole []span, others [][]span) asked {
	a := asked{narrowest: everyNumber}
	words := m.Family.Bits() / 16
	for dim, s := range row[:words+2] {
		if s.lo <= in[dim].lo && s.hi >= in[dim].hi {
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
func (m *Memory) under(row *box, mask *key) box {
	in := m.all()
	words := m.Family.Bits() / 16
	for dim := range words {
		open := ^bits.ReverseBytes32(uint32(mask.addresses[dim/2] >> (dim % 2 * 32)))
		in[dim] = span{row[dim].lo &^ open, row[dim].lo | open}
	}
	for i := range 2 {
		if mask.other[transportWord]>>(16*i)&0xffff == 0xffff {
			in[words+i] = row[words+i]
		}
	}
	return in
}

// tagOf is the tag of a hash.
func tagOf(h uint64) uint32 { return uint32(h)&0x7f | abi.BucketTag }

// tag is the tag of an entry; 0: it is free.
func tag(bucket []uint32, i uint32) uint32 { return bucket[abi.BucketTags+i/4] >> (i % 4 * 8) & 0xff }

// setTag changes the tag of an entry: all words of it are in place.
func setTag(bucket []uint32, i, tag uint32) {
	word, shift := &bucket[abi.BucketTags+i/4], i%4*8
	store(word, *word&^(0xff<<shift)|tag<<shift)
}

// moreRows is the place of what says whether a bucket has a list.
const moreRows = 7

// bucket gives the bucket of a hash.
func (m *Memory) bucket(table []uint32, h uint64) []uint32 {
	at := table[abi.TupleBuckets] + uint32(h>>(table[abi.TupleShift]&63))*abi.BucketSize
	return m.Index[at : at+abi.BucketSize : at+abi.BucketSize]
}

// buckets is how many a table has.
func buckets(table []uint32) uint32 { return 1 << (64 - table[abi.TupleShift]) }

// eachBucket calls a function with all buckets of a table.
func (m *Memory) eachBucket(table []uint32, do func(bucket []uint32)) {
	at := table[abi.TupleBuckets]
	for range buckets(table) {
		do(m.Index[at : at+abi.BucketSize : at+abi.BucketSize])
		at += abi.BucketSize
	}
}

// entryOf gives the words of an entry of a bucket.
func entryOf(bucket []uint32, i uint32) []uint32 {
	at := abi.BucketEntries + i*abi.EntrySize
	return bucket[at : at+abi.EntrySize]
}

// meets says whether a packet has what an entry asks for.
func (m *Memory) meets(p *point, entry []uint32) bool {
	place := entry[abi.EntryRow] >> abi.EntryPlace
	words := m.Family.Bits() / 16
	for dim := range words + 2 {
		off, shift := m.factOf(dim)
		if place < off || place > off+2 {
			continue
		}
		v := p[dim]
		if shift == 0 {
			v = v >> (16 - 8*(place-off)) & 0xffff
		} else if place != off {
			continue
		}
		lo, hi := entry[abi.EntryRange]&0xffff, entry[abi.EntryRange]>>16
		return lo <= v && v <= hi
	}
	return true
}
