package match

import (
	"fmt"
	"math"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// quotaKind is -m quota (net/netfilter/xt_quota.c).
var quotaKind = &ruleset.MatchKind{
	Name:     "quota",
	Families: ruleset.Both,
	Doc:      "yes until so many bytes have passed",
	Options:  []ruleset.Option{{Name: "quota", NArgs: 1, Negate: true, Help: "bytes"}},
	New:      func() ruleset.MatchBuilder { return &quota{} },
}

// quota is -m quota.
type quota struct {
	given
	bytes  uint64
	negate bool
}

// Set takes one option.
func (m *quota) Set(_ *ruleset.Env, option string, negate bool, args []string) (err error) {
	if err = m.once(option); err != nil {
		return err
	}
	m.negate = negate
	m.bytes, err = number(option, args[0], 0, math.MaxUint64)
	return err
}

// Done is called after the last option.
func (m *quota) Done(*ruleset.Env) error { return m.need("quota") }

// Match gives the match itself.
func (m *quota) Match() ruleset.Match { return m }

// Word is "quota".
func (m *quota) Word() string { return "quota" }

// Args prints as quota_save() of libxt_quota.c: what was given, not what is left.
func (m *quota) Args() []string {
	return append(append([]string{"-m", "quota"}, bang(m.negate)...), "--quota", fmt.Sprint(m.bytes))
}

// Check refuses nothing.
func (m *quota) Check(*ruleset.Place) error { return nil }

// Eval is quota_mt(): a packet for which too little is left takes all of it.
func (m *quota) Eval(f *packet.Facts) pred.Answer {
	left := remembered(f.World, m, func() *uint64 { n := m.bytes; return &n })
	enough := *left >= uint64(f.Len)
	if enough {
		*left -= uint64(f.Len)
	} else {
		*left = 0
	}
	return answer(enough, m.negate)
}

// Lower gives the same in predicates.
func (m *quota) Lower(*ruleset.Place) pred.Pred {
	return pred.Negated(pred.Quota{Bytes: m.bytes, Key: stateKey{m}}, m.negate)
}
