package target

import (
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/pred"
)

var checksumKind = &ruleset.TargetKind{
	Name:     "CHECKSUM",
	Families: ruleset.Both,
	Doc:      "compute the checksum of a packet that lacks it",
	Options:  []ruleset.Option{{Name: "checksum-fill", Help: "fill the checksum in"}},
	New:      func() ruleset.TargetBuilder { return &Checksum{} },
}

// Checksum is -j CHECKSUM.
type Checksum struct{ used }

// Set takes --checksum-fill.
func (c *Checksum) Set(_ *ruleset.Env, option string, negate bool, _ []string) error {
	return c.once(option, negate)
}

// Done asks for --checksum-fill.
func (c *Checksum) Done(*ruleset.Env) error { return c.need("checksum-fill") }

// Target gives the target that was built.
func (c *Checksum) Target() ruleset.Target { return c }

// Word is the name after -j.
func (c *Checksum) Word() string { return "CHECKSUM" }

// Args is the text after -j.
func (c *Checksum) Args() []string { return []string{"CHECKSUM", "--checksum-fill"} }

// List is the text of iptables -L.
func (c *Checksum) List(ruleset.Names) string { return "CHECKSUM fill" }

// Check refuses other tables (net/netfilter/xt_CHECKSUM.c).
func (c *Checksum) Check(in *ruleset.Place) error { return in.OnlyAt(ruleset.PriorityMangle) }

// Lower gives the change of the packet.
func (c *Checksum) Lower(*ruleset.Place) pred.Action { return pred.Doing(pred.FillChecksum{}) }
