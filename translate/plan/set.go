package plan

import (
	"fmt"
	"strings"
	"time"

	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// Set is a named set of a ruleset. It outlives the plan: one that is there already keeps
// its elements, and one is gone when no plan of the namespace has it any more.
type Set struct {
	Name     string
	KeyLen   int       // bytes of a key
	Room     int       // how many elements there may be
	Elements []Element // what it begins with
	Stamps   *Stamps   // of elements with the times at which they were seen; else nil
	Meter    *Meter    // of a table of limits; else nil
}

// Stamps says what a set keeps of addresses that were seen. Names of such sets are their own.
type Stamps struct {
	Mask [16]byte // the bits of an address that count
	Hits []uint32 // how often rules ask to have seen one; 0: they do not say
}

// Meter says what a table of limits is like. Names of such tables are their own, in each family.
type Meter struct {
	Family packet.Family
	pred.Metering
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
	if s.Meter != nil {
		fmt.Fprintf(b, "set %q meter %+v\n", s.Name, s.Meter.Metering)
		return
	}
	fmt.Fprintf(b, "set %q key=%d room=%d elements=%d\n", s.Name, s.KeyLen, s.Room, len(s.Elements))
}
