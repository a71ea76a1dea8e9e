package match

import (
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// rpfilterKind is -m rpfilter (net/ipv4/netfilter/ipt_rpfilter.c, ip6t_rpfilter.c).
var rpfilterKind = &ruleset.MatchKind{
	Name:     "rpfilter",
	Families: ruleset.Both,
	Doc:      "a reply to the packet would leave by the interface it came in on",
	Options: []ruleset.Option{
		{Name: "loose", Help: "by any interface"},
		{Name: "validmark", Help: "look the route up with the mark of the packet"},
		{Name: "accept-local", Help: "sources of this host are allowed"},
		{Name: "invert", Help: "yes for packets that fail"},
	},
	New: func() ruleset.MatchBuilder { return &rpfilter{flags{"rpfilter", rpfilterFlags, nil}} },
}

var rpfilterFlags = []string{"loose", "validmark", "accept-local", "invert"}

// rpfilter is -m rpfilter.
type rpfilter struct{ flags }

// Match gives the match itself.
func (m *rpfilter) Match() ruleset.Match { return m }

// Check is rpfilter_check() and the hook of rpfilter_mt_reg.
func (m *rpfilter) Check(in *ruleset.Place) error {
	if err := in.OnlyAt(ruleset.PriorityRaw, ruleset.PriorityMangle); err != nil {
		return err
	}
	return onlyAt(in, packet.Prerouting)
}

// how is the way in which the route is looked for.
func (m *rpfilter) how() packet.ReversePath {
	return packet.ReversePath{Loose: m.given["loose"], ByMark: m.given["validmark"], AcceptLocal: m.given["accept-local"]}
}

// Eval asks the world.
func (m *rpfilter) Eval(f *packet.Facts) pred.Answer {
	return answer(pred.ReversePathOf(f.World, m.how()), m.given["invert"])
}

// Lower gives the same in predicates.
func (m *rpfilter) Lower(*ruleset.Place) pred.Pred {
	return pred.Negated(pred.ReversePath{ReversePath: m.how()}, m.given["invert"])
}
