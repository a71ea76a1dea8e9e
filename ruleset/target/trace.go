package target

import (
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/pred"
)

var traceKind = &ruleset.TargetKind{
	Name:     "TRACE",
	Families: ruleset.Both,
	Doc:      "log every rule that netfilter matches the packet with from here on",
	New:      func() ruleset.TargetBuilder { return &Trace{} },
}

// Trace is -j TRACE.
type Trace struct{ bare }

// Target gives the target that was built.
func (t *Trace) Target() ruleset.Target { return t }

// Word is the name after -j.
func (t *Trace) Word() string { return "TRACE" }

// Args is the text after -j.
func (t *Trace) Args() []string { return []string{"TRACE"} }

// Check refuses other tables (net/netfilter/xt_TRACE.c).
func (t *Trace) Check(in *ruleset.Place) error { return in.OnlyAt(ruleset.PriorityRaw) }

// Lower gives the tracing.
func (t *Trace) Lower(*ruleset.Place) pred.Action { return pred.Doing(pred.Trace{}) }
