package ruleset

import (
	"fmt"
	"time"

	"github.com/bpftables/bpftables/ruleset/pred"
)

// Set is a named set: elements that rules look up, and that rules or commands change. It is
// one for the whole network namespace and lives on when rules that name it go, but for those
// with SetKept.
type Set struct {
	Name     string // frontends put their own scope before it: no two owners mean different sets by one name
	Owner    string // the frontend that made it, and alone removes it
	Pos      Pos
	Type     []KeyType
	Flags    SetFlags
	Timeout  time.Duration // of elements that say none; 0: they stay
	Size     int           // how many elements there may be; 0: DefaultSetSize
	Elements []Element
	// With SetStamps: the bits of addresses that count, and how often rules ask to have seen
	// one; 0: they do not say.
	Mask [16]byte
	Hits []uint32
	// Of a table of limits: what it is like; else nil. Names of such tables are their own, in each family.
	Meter *pred.Metering
}

// DefaultSetSize is how many elements a set may have that does not say so (the default of
// ipset, IPSET_DEFAULT_MAXELEM of include/uapi/linux/netfilter/ipset/ip_set.h).
const DefaultSetSize = 65536

// SetFlags say what may become of a set.
type SetFlags uint8

// The flags.
const (
	SetConstant SetFlags = 1 << iota // it is not changed any more
	SetDynamic                       // rules change it
	SetTimeouts                      // elements may leave it after a time
	SetStamps                        // elements have the times at which they were seen; names of such sets are their own
	SetKept                          // rules declare it, and it goes with the last of them
)

// Element is an element of a set.
type Element struct {
	Key     []byte        // as pred.AppendKey makes it
	Timeout time.Duration // 0: that of the set
}

// KeyType is the type of a part of a key.
type KeyType uint8

// The types, with their names in nft.
const (
	KeyAddr4  KeyType = iota // ipv4_addr
	KeyAddr6                 // ipv6_addr
	KeyPort                  // inet_service
	KeyProto                 // inet_proto
	KeyMark                  // mark
	KeyIfName                // ifname
	NumKeyTypes
)

var keyTypes = [NumKeyTypes]struct {
	name string
	size int // in a key, rounded up
}{
	{"ipv4_addr", 4}, {"ipv6_addr", 16}, {"inet_service", 4}, {"inet_proto", 4}, {"mark", 4}, {"ifname", 16},
}

// String is the name in nft.
func (t KeyType) String() string { return keyTypes[t].name }

// Len is how many bytes it has in a key.
func (t KeyType) Len() int { return keyTypes[t].size }

// KeyLen is how many bytes a key of the set has.
func (s *Set) KeyLen() (n int) {
	for _, t := range s.Type {
		n += t.Len()
	}
	return n
}

// Title is what the set is called, with its kind where that has names of its own.
func (s *Set) Title() string {
	switch {
	case s.Meter != nil:
		return "hashlimit table " + s.Name
	case s.Flags&SetStamps != 0:
		return "list " + s.Name
	}
	return "set " + s.Name
}

// Room is how many elements there may be.
func (s *Set) Room() int {
	if s.Size > 0 {
		return s.Size
	}
	return DefaultSetSize
}

// Check refuses elements that do not fit.
func (s *Set) Check() error {
	for _, e := range s.Elements {
		if len(e.Key) != s.KeyLen() {
			return &Error{Pos: s.Pos, Thing: "set " + s.Name, What: fmt.Sprintf("an element has %d bytes", len(e.Key)), Fix: fmt.Sprintf("its type has %d", s.KeyLen())}
		}
		if e.Timeout > 0 && s.Flags&SetTimeouts == 0 {
			return &Error{Pos: s.Pos, Thing: "set " + s.Name, What: "an element has a timeout", Fix: "give the set the flag timeout"}
		}
	}
	if len(s.Elements) > s.Room() {
		return &Error{Pos: s.Pos, Thing: "set " + s.Name, What: fmt.Sprintf("%d elements are given", len(s.Elements)), Fix: fmt.Sprintf("its size is %d", s.Room())}
	}
	return nil
}

// Set finds a set by name; nil when there is none.
func (r *Ruleset) Set(name string) *Set {
	for _, s := range r.Sets {
		if s.Name == name {
			return s
		}
	}
	return nil
}
