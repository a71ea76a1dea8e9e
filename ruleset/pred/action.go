package pred

import (
	"fmt"
	"strings"
)

// Action is what a rule does with a packet that it matches.
type Action struct {
	Op       Op
	Chain    string   // Jump, Goto
	Shim     []string // Shim: target and options, as netfilter's own tool takes them
	Guard    []string // Shim: options that a rule with the target must have, as "-p tcp"
	Terminal bool     // Shim: the target ends the traversal
	Sets     []Set    // Shim: what later rules of the traversal will see changed
	NoTrack  bool     // Shim: a packet without conntrack entry is UNTRACKED for later rules
	Template bool     // Shim: a packet without conntrack entry has a template one for later rules
	Reason   string   // Foreign: why BPF or the shim cannot do it
}

// Op is the kind of an Action.
type Op uint8

// The kinds of actions.
const (
	Continue Op = iota // no target: count and go on
	Accept
	Drop
	Return
	Jump
	Goto
	Shim    // netfilter's own target, told by BPF
	Foreign // the whole table is left to netfilter
	Up      // early stage: the packet goes up to the hooks, which judge it
)

// Set is a change of a mark, with Keep the bits of the old Dst that stay:
// Dst = (Dst & Keep) ^ (((Src & And) ^ Xor) << Shift), in 32 bits.
type Set struct {
	Dst, Src       Field // FieldMark or FieldCtMark
	Keep, And, Xor uint32
	Shift          int8 // -31..31; negative: to the right
	NeedConn       bool // nothing happens without a conntrack entry
}

// Apply is the new value of Dst.
func (s Set) Apply(dst, src uint32) uint32 {
	v := src&s.And ^ s.Xor
	if s.Shift < 0 {
		v >>= uint(-s.Shift)
	} else {
		v <<= uint(s.Shift)
	}
	return dst&s.Keep ^ v
}

// String is the change in plans.
func (s Set) String() string {
	v := fmt.Sprintf("(%s & %#x) ^ %#x", s.Src, s.And, s.Xor)
	if s.Shift < 0 {
		v = fmt.Sprintf("((%s) >> %d)", v, -s.Shift)
	} else if s.Shift > 0 {
		v = fmt.Sprintf("((%s) << %d)", v, s.Shift)
	}
	return fmt.Sprintf("%s = (%s & %#x) ^ %s", s.Dst, s.Dst, s.Keep, v)
}

// String is the action in plans.
func (a Action) String() string {
	switch a.Op {
	case Jump, Goto:
		return a.Op.String() + " " + a.Chain
	case Shim:
		s := "shim " + strings.Join(a.Shim, " ")
		for _, e := range a.Sets {
			s += "; " + e.String()
		}
		return s
	case Foreign:
		return "foreign: " + a.Reason
	}
	return a.Op.String()
}

// String names the kind.
func (o Op) String() string {
	return [...]string{"continue", "accept", "drop", "return", "jump", "goto", "shim", "foreign", "up"}[o]
}
