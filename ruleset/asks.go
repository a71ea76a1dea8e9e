package ruleset

import "github.com/bpftables/bpftables/ruleset/pred"

// What others have to know of a match or target beyond its predicates and effects is
// asked through these interfaces, never by its name.

// ConntrackUser is a match or target that may need the kernel's connection
// tracking, as its checkentry function says by calling nf_ct_netns_get().
type ConntrackUser interface {
	NeedsConntrack() bool
}

// TrackingUser is a match whose checkentry function makes the kernel keep more of connections.
type TrackingUser interface {
	TrackingKeeps() pred.Tracking
}

// HelperGiver is a target that may give connections a conntrack helper, which then
// expects more connections.
type HelperGiver interface {
	GivesHelper() bool
}

// OwnerAsker is a match that asks for user or group ids: they depend on the user
// namespace that the network namespace belongs to.
type OwnerAsker interface {
	AsksOwner() bool
}

// SYNAsker is a match that may make sure that a packet is a TCP SYN, as some targets
// want of their rule.
type SYNAsker interface {
	AsksSYN() bool
}

// SetKeeper is a match that keeps what it knows in a named set of its own, which all rules
// of a network namespace share that give the name.
type SetKeeper interface {
	KeepsSet() *Set
}

// KernelSetAsker is a match that asks a set of the kernel's ip_set, which has to be there.
type KernelSetAsker interface {
	KernelSet() string
}

// ControlGroupAsker is a match that may ask for a control group of cgroup2, which has to be there.
type ControlGroupAsker interface {
	ControlGroup() (path string, is bool)
}

// asks says whether a word answers yes to a question.
func asks[T any](word any, question func(T) bool) bool {
	w, is := word.(T)
	return is && question(w)
}

// AsksOwner says whether a match asks for user or group ids.
func AsksOwner(word any) bool { return asks(word, OwnerAsker.AsksOwner) }

// NeedsConntrack says whether a match or target needs connection tracking.
func NeedsConntrack(word any) bool { return asks(word, ConntrackUser.NeedsConntrack) }

// TrackingKept is what the kernel keeps of connections for a match.
func TrackingKept(word any) pred.Tracking {
	if m, is := word.(TrackingUser); is {
		return m.TrackingKeeps()
	}
	return 0
}

// GivesHelper says whether a target gives connections a conntrack helper.
func GivesHelper(word any) bool { return asks(word, HelperGiver.GivesHelper) }

// AsksSYN says whether a match makes sure that a packet is a TCP SYN.
func AsksSYN(word any) bool { return asks(word, SYNAsker.AsksSYN) }

// KeptSet is the set that a match keeps, as it declares it; nil when it keeps none.
func KeptSet(word any) *Set {
	if n, is := word.(SetKeeper); is {
		return n.KeepsSet()
	}
	return nil
}

// Remark is a match that every packet passes: it is for people.
type Remark interface{ IsRemark() bool }

// IsRemark says whether a rule does the same without a match.
func IsRemark(word any) bool { return asks(word, Remark.IsRemark) }

// AskedKernelSet is the set of the kernel's ip_set that a match asks; empty when it asks none.
func AskedKernelSet(word any) string {
	if m, is := word.(KernelSetAsker); is {
		return m.KernelSet()
	}
	return ""
}

// ControlGroupOf is the control group of cgroup2 that a match names; false: none.
func ControlGroupOf(m Match) (path string, is bool) {
	if g, can := m.(ControlGroupAsker); can {
		return g.ControlGroup()
	}
	return "", false
}
