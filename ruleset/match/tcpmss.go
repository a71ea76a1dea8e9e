package match

import (
	"fmt"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// tcpmssKind is -m tcpmss.
var tcpmssKind = &ruleset.MatchKind{
	Name:     "tcpmss",
	Families: ruleset.Both,
	Doc:      "the MSS option of TCP; needs -p tcp",
	Options:  []ruleset.Option{{Name: "mss", NArgs: 1, Negate: true, Help: "maximum segment size or range lo:hi"}},
	New:      func() ruleset.MatchBuilder { return &tcpmss{} },
}

// tcpmss is -m tcpmss.
type tcpmss struct {
	given
	lo, hi uint16
	negate bool
}

// Set takes one option.
func (m *tcpmss) Set(_ *ruleset.Env, option string, negate bool, args []string) error {
	if err := m.once(option); err != nil {
		return err
	}
	v, n, err := numberRange(option, args[0], 65535)
	if err != nil {
		return err
	}
	m.lo, m.hi, m.negate = uint16(v[0]), uint16(v[1]), negate
	if n == 1 {
		m.hi = m.lo
	}
	if m.hi < m.lo {
		return ruleset.InWords(fmt.Errorf("--mss: the range %q is upside down; write %d:%d", args[0], m.hi, m.lo), "tcpmss: invalid range given")
	}
	return nil
}

// Done wants --mss.
func (m *tcpmss) Done(*ruleset.Env) error { return m.need("mss") }

// Match gives the match itself.
func (m *tcpmss) Match() ruleset.Match { return m }

// Word is "tcpmss".
func (m *tcpmss) Word() string { return "tcpmss" }

// Args prints as tcpmss_save() of libxt_tcpmss.c.
func (m *tcpmss) Args() []string {
	return append([]string{"-m", "tcpmss"}, portRange{m.lo, m.hi, m.negate}.args("--mss")...)
}

// Check wants -p tcp.
func (m *tcpmss) Check(in *ruleset.Place) error { return needProtocol(in, protoTCP) }

// Eval is tcpmss_mt() of net/netfilter/xt_tcpmss.c; it does not ask whether the
// packet is a fragment.
func (m *tcpmss) Eval(f *packet.Facts) pred.Answer { return pred.Eval(m.Lower(nil), f) }

// Lower gives one TCPMSS.
func (m *tcpmss) Lower(*ruleset.Place) pred.Pred {
	return pred.Negated(pred.TCPMSS{Lo: m.lo, Hi: m.hi}, m.negate)
}
