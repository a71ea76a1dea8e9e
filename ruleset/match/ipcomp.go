package match

import (
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// ipcompKind is -m ipcomp.
var ipcompKind = &ruleset.MatchKind{
	Name:     "ipcomp",
	Protos:   []uint8{protoIPComp},
	Families: ruleset.Both,
	Doc:      "CPI of IPComp; needs -p ipcomp",
	Options: []ruleset.Option{
		{Name: "ipcompspi", NArgs: 1, Negate: true, Help: "CPI or range lo:hi"},
		{Name: "compres", Help: "not looked at by the kernel"},
	},
	New: func() ruleset.MatchBuilder { return &ipcomp{} },
}

// ipcomp is -m ipcomp. Without --ipcompspi it asks for 0: libxt_ipcomp.c sets no
// default.
type ipcomp struct {
	given
	spi range32
}

// Set takes one option.
func (m *ipcomp) Set(_ *ruleset.Env, option string, negate bool, args []string) error {
	if err := m.once(option); err != nil || option == "compres" {
		return err
	}
	return m.spi.set(option, negate, args[0])
}

// Done is called after the last option.
func (m *ipcomp) Done(*ruleset.Env) error { return nil }

// Match gives the match itself.
func (m *ipcomp) Match() ruleset.Match { return m }

// Word is "ipcomp".
func (m *ipcomp) Word() string { return "ipcomp" }

// Args prints as comp_save() of libxt_ipcomp.c.
func (m *ipcomp) Args() []string {
	args := append([]string{"-m", "ipcomp"}, m.spi.args("--ipcompspi")...)
	if m.given["compres"] {
		args = append(args, "--compres")
	}
	return args
}

// ExactArgs has a range of all CPIs, too: without one, 0 is asked for.
func (m *ipcomp) ExactArgs() []string {
	if !m.spi.full() {
		return nil
	}
	return append(append(m.Args(), bang(m.spi.negate)...), "--ipcompspi", m.spi.text())
}

// Check wants -p ipcomp.
func (m *ipcomp) Check(in *ruleset.Place) error { return needProtocol(in, protoIPComp) }

// Eval is comp_mt() of net/netfilter/xt_ipcomp.c.
func (m *ipcomp) Eval(f *packet.Facts) pred.Answer {
	header, a := l4Header(f, 4)
	if a != pred.Yes {
		return a
	}
	return pred.Bool(m.spi.has(uint32(be16(header[2:]))))
}

// Lower gives the same in predicates.
func (m *ipcomp) Lower(*ruleset.Place) pred.Pred {
	return simplify(append(lowerL4Header(4), m.spi.lower(pred.Load{Base: pred.BaseL4, Off: 2, Width: 2})))
}
