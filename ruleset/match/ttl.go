package match

import (
	"cmp"
	"fmt"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// ttlKind is -m ttl.
var ttlKind = hopLimitKind("ttl", ruleset.OnlyIPv4, "the time to live of IPv4", 8)

// hopLimitKind describes ttl and hl, which differ in names and in the place of the
// byte.
func hopLimitKind(word string, families ruleset.Families, doc string, off uint16) *ruleset.MatchKind {
	return &ruleset.MatchKind{
		Name:     word,
		Families: families,
		Doc:      doc,
		Options: []ruleset.Option{
			{Name: word + "-eq", NArgs: 1, Negate: true, Help: "equal to the number"},
			{Name: word + "-lt", NArgs: 1, Help: "less than the number"},
			{Name: word + "-gt", NArgs: 1, Help: "greater than the number"},
			{Name: word, NArgs: 1, Negate: true, Help: "the same as --" + word + "-eq"},
		},
		New: func() ruleset.MatchBuilder { return &hopLimit{word: word, off: off} },
	}
}

// hopLimit is -m ttl and -m hl.
type hopLimit struct {
	given
	word   string
	off    uint16
	option string // the one that was given last
	limit  uint8
	negate bool
}

// Set takes one option.
func (m *hopLimit) Set(_ *ruleset.Env, option string, negate bool, args []string) error {
	if option == m.word {
		option += "-eq"
	}
	if err := m.once(option); err != nil {
		return err
	}
	v, err := number(option, args[0], 0, 255)
	m.option, m.limit, m.negate = option, uint8(v), negate
	return err
}

// Done wants one option.
func (m *hopLimit) Done(*ruleset.Env) error {
	if m.option == "" {
		err := fmt.Errorf("one of --%s-eq, --%s-lt, --%s-gt is needed", m.word, m.word, m.word)
		if m.word == "ttl" {
			return ruleset.InWords(err, "TTL match: You must specify one of `--ttl-eq', `--ttl-lt', `--ttl-gt")
		}
		return ruleset.InWords(err, "HL match: You must specify one of `--hl-eq', `--hl-lt', `--hl-gt'")
	}
	return cmp.Or(m.notBoth(m.word+"-lt", m.word+"-eq"), m.notBoth(m.word+"-lt", m.word+"-gt"), m.notBoth(m.word+"-gt", m.word+"-eq"))
}

// Match gives the match itself.
func (m *hopLimit) Match() ruleset.Match { return m }

// Word is "ttl" or "hl".
func (m *hopLimit) Word() string { return m.word }

// Args prints as ttl_save() of libipt_ttl.c and hl_save() of libip6t_hl.c.
func (m *hopLimit) Args() []string {
	return append(append([]string{"-m", m.word}, bang(m.negate)...), "--"+m.option, fmt.Sprint(m.limit))
}

// Check refuses nothing.
func (m *hopLimit) Check(*ruleset.Place) error { return nil }

// Eval is ttl_mt() and hl_mt6() of net/netfilter/xt_hl.c.
func (m *hopLimit) Eval(f *packet.Facts) pred.Answer {
	have := f.Raw[m.off]
	switch m.option[len(m.word):] {
	case "-lt":
		return pred.Bool(have < m.limit)
	case "-gt":
		return pred.Bool(have > m.limit)
	}
	return answer(have == m.limit, m.negate)
}

// Lower gives one comparison.
func (m *hopLimit) Lower(*ruleset.Place) pred.Pred {
	have, limit := pred.Load{Base: pred.BaseL3, Off: m.off, Width: 1}, uint32(m.limit)
	switch m.option[len(m.word):] {
	case "-lt":
		return pred.Not{P: pred.In(have, limit, 255)}
	case "-gt":
		return pred.Not{P: pred.In(have, 0, limit)}
	}
	return pred.Negated(pred.Eq(have, limit), m.negate)
}
