package match

import (
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// lengthKind is -m length.
var lengthKind = &ruleset.MatchKind{
	Name:     "length",
	Families: ruleset.Both,
	Doc:      "the length of the packet with its IP header",
	Options:  []ruleset.Option{{Name: "length", NArgs: 1, Negate: true, Help: "bytes or range lo:hi"}},
	New:      func() ruleset.MatchBuilder { return &length{} },
}

// length is -m length.
type length struct {
	given
	lo, hi uint16
	negate bool
}

// Set takes one option.
func (m *length) Set(_ *ruleset.Env, option string, negate bool, args []string) error {
	if err := m.once(option); err != nil {
		return err
	}
	v, n, err := numberRange(option, args[0], 65535)
	m.lo, m.hi, m.negate = uint16(v[0]), uint16(v[1]), negate
	if n == 1 {
		m.hi = m.lo
	}
	return err
}

// Done wants --length.
func (m *length) Done(*ruleset.Env) error { return m.need("length") }

// Match gives the match itself.
func (m *length) Match() ruleset.Match { return m }

// Word is "length".
func (m *length) Word() string { return "length" }

// Args prints as length_save() of libxt_length.c.
func (m *length) Args() []string {
	return append([]string{"-m", "length"}, portRange{m.lo, m.hi, m.negate}.args("--length")...)
}

// Check refuses nothing.
func (m *length) Check(*ruleset.Place) error { return nil }

// Eval is length_mt() and length_mt6() of net/netfilter/xt_length.c: of a packet
// that segmentation offload will split, the length of the whole counts.
func (m *length) Eval(f *packet.Facts) pred.Answer {
	return answer(uint32(m.lo) <= f.Len && f.Len <= uint32(m.hi), m.negate)
}

// Lower gives one comparison.
func (m *length) Lower(*ruleset.Place) pred.Pred {
	return pred.Negated(pred.In(pred.FieldLen, uint32(m.lo), uint32(m.hi)), m.negate)
}
