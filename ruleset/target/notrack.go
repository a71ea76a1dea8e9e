package target

import (
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/pred"
)

var notrackKind = &ruleset.TargetKind{
	Name:     "NOTRACK",
	Families: ruleset.Both,
	Doc:      "do not track the connection of the packet",
	New:      func() ruleset.TargetBuilder { return &NoTrack{} },
}

// NoTrack is -j NOTRACK, another name for CT --notrack.
type NoTrack struct{ bare }

// Target gives the target that was built.
func (n *NoTrack) Target() ruleset.Target { return n }

// Word is the name after -j.
func (n *NoTrack) Word() string { return "NOTRACK" }

// Args is the text after -j.
func (n *NoTrack) Args() []string { return []string{"NOTRACK"} }

// List is the text of iptables -L.
func (n *NoTrack) List(ruleset.Names) string { return "NOTRACK" }

// ListName is the target of the kernel's rule, which iptables -L shows as target.
func (n *NoTrack) ListName() string { return "CT" }

// Check refuses other tables (net/netfilter/xt_CT.c).
func (n *NoTrack) Check(in *ruleset.Place) error { return in.OnlyAt(ruleset.PriorityRaw) }

// Lower gives the change.
func (n *NoTrack) Lower(*ruleset.Place) pred.Action { return pred.Doing(pred.NoTrack{}) }
