package match

import (
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// connmarkKind is -m connmark, revision 1 (net/netfilter/xt_connmark.c).
var connmarkKind = &ruleset.MatchKind{
	Name:     "connmark",
	Families: ruleset.Both,
	Doc:      "the mark of the packet's connection",
	Options:  []ruleset.Option{{Name: "mark", NArgs: 1, Negate: true, Help: "value[/mask]: the mark, under the mask, is the value"}},
	New:      func() ruleset.MatchBuilder { return &connmark{} },
}

// connmark is -m connmark: mark with another subject.
type connmark struct{ mark }

// Match gives the match itself.
func (m *connmark) Match() ruleset.Match { return m }

// Word is "connmark".
func (m *connmark) Word() string { return "connmark" }

// NeedsConntrack says that the kernel's connection tracking has to run:
// connmark_mt_check() calls nf_ct_netns_get().
func (m *connmark) NeedsConntrack() bool { return true }

// Args prints as connmark_mt_save() of libxt_connmark.c.
func (m *connmark) Args() []string { return m.args("connmark") }

// Eval is connmark_mt(): without a connection the answer is no, negated or not.
func (m *connmark) Eval(f *packet.Facts) pred.Answer {
	return pred.Bool(f.Conn != nil && m.agrees(f.Conn.Mark))
}

// Lower gives the same in predicates.
func (m *connmark) Lower(*ruleset.Place) pred.Pred {
	return pred.And{pred.Eq(pred.FieldHasConn, 1), m.lower(pred.FieldCtMark)}
}
