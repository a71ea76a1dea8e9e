package match

import (
	"cmp"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// espKind is -m esp.
var espKind = &ruleset.MatchKind{
	Name:     "esp",
	Protos:   []uint8{protoESP},
	Families: ruleset.Both,
	Doc:      "SPI of IPsec ESP; needs -p esp",
	Options:  []ruleset.Option{{Name: "espspi", NArgs: 1, Negate: true, Help: "SPI or range lo:hi"}},
	New:      func() ruleset.MatchBuilder { return &esp{spi: any32} },
}

// esp is -m esp.
type esp struct {
	given
	spi range32
}

// Set takes one option.
func (m *esp) Set(_ *ruleset.Env, option string, negate bool, args []string) error {
	return cmp.Or(m.once(option), m.spi.set(option, negate, args[0]))
}

// Done is called after the last option.
func (m *esp) Done(*ruleset.Env) error { return nil }

// Match gives the match itself.
func (m *esp) Match() ruleset.Match { return m }

// Word is "esp".
func (m *esp) Word() string { return "esp" }

// Args prints as esp_save() of libxt_esp.c.
func (m *esp) Args() []string { return append([]string{"-m", "esp"}, m.spi.args("--espspi")...) }

// ExactArgs has a negated range of all numbers, too: it matches nothing.
func (m *esp) ExactArgs() []string { return m.spi.exact(m.Args(), "--espspi") }

// Check wants -p esp.
func (m *esp) Check(in *ruleset.Place) error { return needProtocol(in, protoESP) }

// Eval is esp_mt() of net/netfilter/xt_esp.c.
func (m *esp) Eval(f *packet.Facts) pred.Answer {
	eh, a := l4Header(f, 8)
	if a != pred.Yes {
		return a
	}
	return pred.Bool(m.spi.has(be32(eh)))
}

// Lower gives the same in predicates.
func (m *esp) Lower(*ruleset.Place) pred.Pred {
	return simplify(append(lowerL4Header(8), m.spi.lower(pred.Load{Base: pred.BaseL4, Off: 0, Width: 4})))
}
