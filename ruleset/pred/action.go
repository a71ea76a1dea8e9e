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
	Terminal bool     // Shim: the target ends the traversal
	Sets     []Set    // Shim: what later rules of the traversal will see changed
	NoTrack  bool     // Shim: later rules see the packet as UNTRACKED
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
)

// Set is a change of a mark: Dst = (Src & And) ^ Xor, with Keep the bits of the old
// Dst that stay: Dst = (Dst & Keep) ^ ((Src & And) ^ Xor).
type Set struct {
	Dst, Src       Field // FieldMark or FieldCtMark
	Keep, And, Xor uint32
	NeedConn       bool // nothing happens without a conntrack entry
}

// String is the action in plans.
func (a Action) String() string {
	switch a.Op {
	case Jump, Goto:
		return a.Op.String() + " " + a.Chain
	case Shim:
		s := "shim " + strings.Join(a.Shim, " ")
		for _, e := range a.Sets {
			s += fmt.Sprintf("; %s = (%s & %#x) ^ (%s & %#x) ^ %#x", e.Dst, e.Dst, e.Keep, e.Src, e.And, e.Xor)
		}
		return s
	case Foreign:
		return "foreign: " + a.Reason
	}
	return a.Op.String()
}

// String names the kind.
func (o Op) String() string {
	return [...]string{"continue", "accept", "drop", "return", "jump", "goto", "shim", "foreign"}[o]
}
