package plan

import (
	"fmt"
	"strings"
	"time"
)

// Set is a named set of a ruleset. It outlives the plan: one that is there already keeps
// its elements, and one is gone when no plan of the namespace has it any more.
type Set struct {
	Name     string
	KeyLen   int       // bytes of a key
	Room     int       // how many elements there may be
	Elements []Element // what it begins with
	Stamps   *Stamps   // of elements with the times at which they were seen; else nil
}

// Stamps says what a set keeps of addresses that were seen. Names of such sets are their own.
type Stamps struct {
	Mask [16]byte // the bits of an address that count
	Hits []uint32 // how often rules ask to have seen one; 0: they do not say
}

// Element is an element of a set.
type Element struct {
	Key     []byte
	Timeout time.Duration // 0: it stays
}

func (s *Set) write(b *strings.Builder) {
	if s.Stamps != nil {
		fmt.Fprintf(b, "set %q stamps mask=%x hits=%v room=%d\n", s.Name, s.Stamps.Mask, s.Stamps.Hits, s.Room)
		return
	}
	fmt.Fprintf(b, "set %q key=%d room=%d elements=%d\n", s.Name, s.KeyLen, s.Room, len(s.Elements))
}
