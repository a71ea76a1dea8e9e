package match

import (
	"fmt"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// fragKind is -m frag.
var fragKind = &ruleset.MatchKind{
	Name:     "frag",
	Families: ruleset.OnlyIPv6,
	Doc:      "the IPv6 fragment header",
	Options: []ruleset.Option{
		{Name: "fragid", NArgs: 1, Negate: true, Help: "identification or range lo:hi"},
		{Name: "fraglen", NArgs: 1, Negate: true, Help: "not looked at by the kernel since Linux 2.6"},
		{Name: "fragres", Help: "the reserved fields are zero"},
		{Name: "fragfirst", Help: "it is the first fragment"},
		{Name: "fragmore", Help: "there are more fragments"},
		{Name: "fraglast", Help: "it is the last fragment"},
	},
	New: func() ruleset.MatchBuilder { return &frag{id: any32} },
}

// frag is -m frag.
type frag struct {
	given
	id        range32
	length    uint32
	negateLen bool
}

// Set takes one option.
func (m *frag) Set(_ *ruleset.Env, option string, negate bool, args []string) (err error) {
	if err = m.once(option); err != nil {
		return err
	}
	switch option {
	case "fragid":
		return m.id.set(option, negate, args[0])
	case "fraglen":
		m.negateLen = negate
		m.length, err = number32(option, args[0], 0)
	}
	return err
}

// Done refuses --fragmore with --fraglast.
func (m *frag) Done(*ruleset.Env) error { return m.notBoth("fragmore", "fraglast") }

// Match gives the match itself.
func (m *frag) Match() ruleset.Match { return m }

// Word is "frag".
func (m *frag) Word() string { return "frag" }

// Args prints as frag_save() of libip6t_frag.c.
func (m *frag) Args() []string {
	args := append([]string{"-m", "frag"}, m.id.args("--fragid")...)
	if m.given["fraglen"] {
		args = append(append(args, bang(m.negateLen)...), "--fraglen", fmt.Sprint(m.length))
	}
	for _, option := range []string{"fragres", "fragfirst", "fragmore", "fraglast"} {
		if m.given[option] {
			args = append(args, "--"+option)
		}
	}
	return args
}

// ExactArgs has a negated range of all numbers, too: it matches nothing.
func (m *frag) ExactArgs() []string { return m.id.exact(m.Args(), "--fragid") }

// Check refuses nothing.
func (m *frag) Check(*ruleset.Place) error { return nil }

// Eval is frag_mt6() of net/ipv6/netfilter/ip6t_frag.c.
func (m *frag) Eval(f *packet.Facts) pred.Answer {
	r := f.FindExt(extFragment)
	switch r.State {
	case packet.L4None:
		return pred.No
	case packet.L4Broken:
		return pred.Hotdrop
	}
	fh, ok := f.Bytes(r.Off, 8)
	if !ok {
		return pred.Hotdrop
	}
	off := be16(fh[2:])
	return pred.Bool(m.id.has(be32(fh[4:])) &&
		!(m.given["fragres"] && (fh[1] != 0 || off&6 != 0)) &&
		!(m.given["fragfirst"] && off&^7 != 0) &&
		!(m.given["fragmore"] && off&1 == 0) &&
		!(m.given["fraglast"] && off&1 != 0))
}

// Lower gives the same in predicates.
func (m *frag) Lower(*ruleset.Place) pred.Pred {
	off := pred.Load{Base: pred.BaseExt, Off: 2, Width: 2}
	p := pred.And{
		pred.FindExt{Header: extFragment, Hot: true},
		pred.HotdropIf{P: pred.Not{P: pred.Have{Base: pred.BaseExt, Len: 8}}},
		m.id.lower(pred.Load{Base: pred.BaseExt, Off: 4, Width: 4}),
	}
	if m.given["fragres"] {
		p = append(p, pred.Eq(extByte(1), 0), pred.Masked(off, 6, 0))
	}
	if m.given["fragfirst"] {
		p = append(p, pred.Masked(off, 0xfff8, 0))
	}
	if m.given["fragmore"] {
		p = append(p, pred.Masked(off, 1, 1))
	}
	if m.given["fraglast"] {
		p = append(p, pred.Masked(off, 1, 0))
	}
	return simplify(p)
}
