package match

import (
	"bytes"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// helperKind is -m helper (net/netfilter/xt_helper.c).
var helperKind = &ruleset.MatchKind{
	Name:     "helper",
	Families: ruleset.Both,
	Doc:      "the connection belongs to one that a conntrack helper follows, as ftp",
	Options:  []ruleset.Option{{Name: "helper", NArgs: 1, Negate: true, Help: "name of the helper, as ftp or ftp-2121"}},
	New:      func() ruleset.MatchBuilder { return &helper{} },
}

// helper is -m helper.
type helper struct {
	given
	name   string
	negate bool
}

// Set takes one option.
func (m *helper) Set(_ *ruleset.Env, option string, negate bool, args []string) error {
	m.name, m.negate = cut(args[0], 29), negate
	return m.once(option)
}

// Done is called after the last option.
func (m *helper) Done(*ruleset.Env) error { return m.need("helper") }

// Match gives the match itself.
func (m *helper) Match() ruleset.Match { return m }

// Word is "helper".
func (m *helper) Word() string { return "helper" }

// NeedsConntrack says that the kernel's connection tracking has to run:
// helper_mt_check() calls nf_ct_netns_get().
func (m *helper) NeedsConntrack() bool { return true }

// Args has the name without quotes.
func (m *helper) Args() []string {
	return append(append([]string{"-m", "helper"}, bang(m.negate)...), "--helper", m.name)
}

// Text prints as helper_save() of libxt_helper.c.
func (m *helper) Text() string { return quoteLast(m.Args()) }

// quoteLast joins arguments of which the last is quoted by need.
func quoteLast(args []string) string {
	args[len(args)-1] = ruleset.Quoted(args[len(args)-1])
	return strings.Join(args, " ")
}

// Check refuses nothing.
func (m *helper) Check(*ruleset.Place) error { return nil }

// Eval is helper_mt(): the name of the helper is what the name that is given begins with.
func (m *helper) Eval(f *packet.Facts) pred.Answer {
	has := ""
	if f.Conn != nil {
		has = f.Conn.MasterHelper
	}
	return answer(has != "" && (m.name == "" || strings.HasPrefix(m.name, has)), m.negate)
}

// Lower gives the same in predicates.
func (m *helper) Lower(*ruleset.Place) pred.Pred {
	all := [16]byte(bytes.Repeat([]byte{0xff}, 16))
	if m.name == "" {
		return pred.Negated(pred.Not{P: pred.Name{Of: pred.NameHelper, Mask: all}}, m.negate)
	}
	var any pred.Or
	for n := 1; n <= len(m.name) && n < 16; n++ {
		name := pred.Name{Of: pred.NameHelper, Mask: all}
		copy(name.Value[:], m.name[:n])
		any = append(any, name)
	}
	return pred.Negated(any, m.negate)
}
