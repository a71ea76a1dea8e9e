package pred

import (
	"fmt"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// Search asks whether the bytes of a text lie in the packet, whole between two offsets from its
// IP header (skb_find_text(), net/core/skbuff.c, since Linux 6.5).
type Search struct {
	Text     string
	From, To uint16
	Fold     bool // upper and lower case are the same, as UpperCase has it
	// Apart says that they must lie in one block of the packet's memory, of which it may have
	// many: the search of Boyer and Moore begins anew with each (bm_find(), lib/ts_bm.c).
	Apart bool
	Slot  int
}

func (Search) isPred() {}

func (p Search) String() string {
	return fmt.Sprintf("search(%q, %d..%d, fold=%t, apart=%t)", p.Text, p.From, p.To, p.Fold, p.Apart)
}

// UpperCase is toupper() of the kernel, which knows the letters of Latin-1 (lib/ctype.c).
func UpperCase(c byte) byte {
	if 'a' <= c && c <= 'z' || c >= 0xdf && c != 0xf7 {
		return c - 'a' + 'A'
	}
	return c
}

// Next is the automaton of a search: how many bytes of the text have been seen after another
// byte, by how many were before. Whoever gets to the length of the text has found it.
func (p Search) Next() [][256]uint8 {
	text := p.folded()
	next := make([][256]uint8, len(text)+1)
	border := 0 // how many bytes are seen of what follows the first one
	for i := range text {
		if i > 0 {
			next[i] = next[border]
		}
		p.set(&next[i], text[i], uint8(i+1))
		if i > 0 {
			border = int(next[border][text[i]])
		}
	}
	return next
}

// set says what a byte of the text leads to, in both cases. The kernel changes the case of what
// it reads: "ÿ" becomes "ß", and what is "ß" in the packet something else.
func (p Search) set(next *[256]uint8, b byte, to uint8) {
	for c := range next {
		seen := byte(c)
		if p.Fold {
			seen = UpperCase(seen)
		}
		if seen == b {
			next[c] = to
		}
	}
}

func (p Search) folded() []byte {
	text := []byte(p.Text)
	for i, c := range text {
		if p.Fold {
			text[i] = UpperCase(c)
		}
	}
	return text
}

func (p Search) eval(f *packet.Facts) Answer {
	next, seen := p.Next(), uint8(0)
	for i := int(p.From); i < min(int(p.To), len(f.Raw)); i++ {
		if seen = next[seen][f.Raw[i]]; int(seen) == len(next)-1 {
			return Yes
		}
	}
	return No
}
