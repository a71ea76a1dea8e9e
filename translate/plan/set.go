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
}

// Element is an element of a set.
type Element struct {
	Key     []byte
	Timeout time.Duration // 0: it stays
}

func (s *Set) write(b *strings.Builder) {
	fmt.Fprintf(b, "set %q key=%d room=%d elements=%d\n", s.Name, s.KeyLen, s.Room, len(s.Elements))
}
