package match

import (
	"fmt"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// mhKind is -m mh.
var mhKind = &ruleset.MatchKind{
	Name:     "mh",
	Protos:   []uint8{protoMH},
	Families: ruleset.OnlyIPv6,
	Doc:      "type of a Mobile IPv6 mobility header; needs -p mh",
	Options:  []ruleset.Option{{Name: "mh-type", NArgs: 1, Negate: true, Help: "type or range lo:hi, by number or name"}},
	New:      func() ruleset.MatchBuilder { return &mh{hi: 255} },
}

// mh is -m mh.
type mh struct {
	given
	lo, hi uint8
	negate bool
}

var mhNames = []struct {
	name string
	kind uint8
}{
	{"binding-refresh-request", 0}, {"brr", 0}, {"home-test-init", 1}, {"hoti", 1}, {"careof-test-init", 2}, {"coti", 2},
	{"home-test", 3}, {"hot", 3}, {"careof-test", 4}, {"cot", 4}, {"binding-update", 5}, {"bu", 5},
	{"binding-acknowledgement", 6}, {"ba", 6}, {"binding-error", 7}, {"be", 7},
}

// Set takes one option.
func (m *mh) Set(_ *ruleset.Env, option string, negate bool, args []string) (err error) {
	if err = m.once(option); err != nil {
		return err
	}
	m.negate = negate
	from, to, isRange := strings.Cut(args[0], ":")
	if !isRange {
		m.lo, err = mhType(args[0])
		m.hi = m.lo
		return err
	}
	if from != "" {
		if m.lo, err = mhType(from); err != nil {
			return err
		}
	}
	if to != "" {
		if m.hi, err = mhType(to); err != nil {
			return err
		}
	}
	if m.lo > m.hi {
		return ruleset.InWords(fmt.Errorf("--mh-type: the range %q is upside down; write %d:%d", args[0], m.hi, m.lo), "Invalid MH type range (min > max)")
	}
	return nil
}

// mhType reads a name, of which the first that begins so counts unless one is equal,
// or a number (name_to_type() of libip6t_mh.c).
func mhType(text string) (uint8, error) {
	found := -1
	for i, n := range mhNames {
		if len(text) <= len(n.name) && strings.EqualFold(n.name[:len(text)], text) && (found < 0 || len(text) == len(n.name)) {
			found = i
		}
	}
	if found >= 0 {
		return mhNames[found].kind, nil
	}
	v, err := number("mh-type", text, 0, 255)
	return uint8(v), err
}

// Done is called after the last option.
func (m *mh) Done(*ruleset.Env) error { return nil }

// Match gives the match itself.
func (m *mh) Match() ruleset.Match { return m }

// Word is "mh".
func (m *mh) Word() string { return "mh" }

// Args prints as mh_save() of libip6t_mh.c.
func (m *mh) Args() []string {
	args := []string{"-m", "mh"}
	if m.lo == 0 && m.hi == 255 {
		return args
	}
	return append(args, portRange{uint16(m.lo), uint16(m.hi), m.negate}.args("--mh-type")...)
}

// Check wants -p mh.
func (m *mh) Check(in *ruleset.Place) error { return needProtocol(in, protoMH) }

// Eval is mh_mt6() of net/ipv6/netfilter/ip6t_mh.c: a header that something
// follows is dropped.
func (m *mh) Eval(f *packet.Facts) pred.Answer {
	header, a := l4Header(f, 6)
	switch {
	case a != pred.Yes:
		return a
	case header[0] != extNone:
		return pred.Hotdrop
	}
	return answer(m.lo <= header[2] && header[2] <= m.hi, m.negate)
}

// Lower gives the same in predicates.
func (m *mh) Lower(*ruleset.Place) pred.Pred {
	p := append(lowerL4Header(6), pred.HotdropIf{P: pred.Not{P: pred.Eq(l4Byte(0), extNone)}})
	return append(p, pred.Negated(pred.In(l4Byte(2), uint32(m.lo), uint32(m.hi)), m.negate))
}
