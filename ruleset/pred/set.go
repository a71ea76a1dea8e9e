package pred

import (
	"fmt"
	"strings"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// MaxKeyParts and MaxKeyLen bound the key of a named set: parts, and bytes with every part
// rounded up to four.
const (
	MaxKeyParts = 4
	MaxKeyLen   = 40
)

// SetKey is what of a packet is looked up in a named set: up to MaxKeyParts parts, the
// first that is the zero KeyPart ends them.
type SetKey [MaxKeyParts]KeyPart

// KeyPart is a part of a key: one of the fields, as Kind says.
type KeyPart struct {
	Kind  KeyKind
	Addr  AddrField
	Name  NameField
	Load  Load
	Field Field
}

// KeyKind says what a part of a key is.
type KeyKind uint8

// The kinds.
const (
	NoKey KeyKind = iota
	KeyAddr
	KeyName
	KeyLoad
	KeyField
)

// KeyOf makes a key of AddrFields, NameFields, Loads and Fields.
func KeyOf(parts ...any) (k SetKey) {
	for i, p := range parts {
		switch p := p.(type) {
		case AddrField:
			k[i] = KeyPart{Kind: KeyAddr, Addr: p}
		case NameField:
			k[i] = KeyPart{Kind: KeyName, Name: p}
		case Load:
			k[i] = KeyPart{Kind: KeyLoad, Load: p}
		case Field:
			k[i] = KeyPart{Kind: KeyField, Field: p}
		default:
			panic(fmt.Sprintf("pred: %T is no part of a key", p))
		}
	}
	return k
}

// Parts are the parts.
func (k SetKey) Parts() []KeyPart {
	for i, p := range k {
		if p.Kind == NoKey {
			return k[:i]
		}
	}
	return k[:]
}

// String is the key in plans.
func (k SetKey) String() string {
	var s []string
	for _, p := range k.Parts() {
		s = append(s, p.String())
	}
	return strings.Join(s, " . ")
}

// String is the part in plans.
func (p KeyPart) String() string {
	switch p.Kind {
	case KeyAddr:
		return p.Addr.String()
	case KeyName:
		return p.Name.String()
	case KeyLoad:
		return p.Load.String()
	}
	return p.Field.String()
}

// Len is how many bytes the part has in a key.
func (p KeyPart) Len(family packet.Family) int {
	switch p.Kind {
	case KeyAddr:
		return family.Bits() / 8
	case KeyName:
		return 16
	}
	return 4
}

// Len is how many bytes the key has.
func (k SetKey) Len(family packet.Family) (n int) {
	for _, p := range k.Parts() {
		n += p.Len(family)
	}
	return n
}

// InFacts says whether the datapath has all of the key in memory before the first rule.
func (k SetKey) InFacts() bool {
	for _, p := range k.Parts() {
		if p.Addr > AddrDst || p.Name > NameOut || p.Load.Base == BaseExt || p.Kind == KeyField && !p.Field.InFacts() {
			return false
		}
	}
	return true
}

// InSet asks whether a key of the packet is in a named set. A set is one for all rules of
// a network namespace that name it, of any owner and both families, and outlives them.
type InSet struct {
	Set  string
	Key  SetKey
	Slot int
}

// SetUpdate changes a named set. As an effect, a set that is full is passed over
// (set_target_v3(), net/netfilter/xt_set.c). As a predicate it says no then: nothing behind
// it in the rule comes about (nft_dynset_eval(), net/netfilter/nft_dynset.c).
type SetUpdate struct {
	Set         string
	Op          SetOp
	Key         SetKey
	TimeoutMsec uint64 // until the element leaves the set; 0: it stays
	Slot        int
}

// SetOp is a change of a set.
type SetOp uint8

// The changes.
const (
	SetAdd    SetOp = iota // an element that is there stays as it is
	SetRenew               // one that is there gets a new timeout
	SetDelete              // one that is not there is no failure
)

func (InSet) isPred()       {}
func (SetUpdate) isPred()   {}
func (SetUpdate) isEffect() {}

func (p InSet) String() string { return fmt.Sprintf("%s in set %q", p.Key, p.Set) }

func (p SetUpdate) String() string {
	s := fmt.Sprintf("%s %s in set %q", p.Op, p.Key, p.Set)
	return s + when(p.TimeoutMsec != 0, fmt.Sprintf(" timeout=%dms", p.TimeoutMsec))
}

// String names the change.
func (o SetOp) String() string { return [...]string{"add", "renew", "delete"}[o] }
