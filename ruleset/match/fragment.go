package match

import (
	"fmt"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// fragmentMatch is -f.
type fragmentMatch struct{ negate bool }

// NewFragment makes -f: fragments other than the first. IPv4 only.
func NewFragment(negate bool) ruleset.Match { return &fragmentMatch{negate} }

// Word is "-f".
func (m *fragmentMatch) Word() string { return "-f" }

// Args is "-f" or "! -f".
func (m *fragmentMatch) Args() []string { return append(bang(m.negate), "-f") }

// Check refuses IPv6.
func (m *fragmentMatch) Check(in *ruleset.Place) error {
	if in.Family == packet.IPv6 {
		return fmt.Errorf("-f is not supported in IPv6; use -m frag instead")
	}
	return nil
}

// Eval asks for a fragment offset (ip_packet_match()).
func (m *fragmentMatch) Eval(f *packet.Facts) pred.Answer { return answer(f.IsFragment(), m.negate) }

// Lower gives one comparison.
func (m *fragmentMatch) Lower(*ruleset.Place) pred.Pred {
	return pred.Negated(pred.Eq(pred.FieldFragOff, 0), !m.negate)
}
