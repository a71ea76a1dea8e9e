package match

import (
	"cmp"
	"fmt"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// ahKind is -m ah of IPv4.
var ahKind = &ruleset.MatchKind{
	Name:     "ah",
	Protos:   []uint8{protoAH},
	Families: ruleset.OnlyIPv4,
	Doc:      "SPI of IPsec AH; needs -p ah",
	Options:  []ruleset.Option{{Name: "ahspi", NArgs: 1, Negate: true, Help: "SPI or range lo:hi"}},
	New:      func() ruleset.MatchBuilder { return &ah{spi: any32} },
}

// ah6Kind is -m ah of IPv6: there AH is an extension header.
var ah6Kind = &ruleset.MatchKind{
	Name:     "ah",
	Protos:   []uint8{protoAH},
	Families: ruleset.OnlyIPv6,
	Doc:      "SPI and length of an IPsec AH extension header",
	Options: []ruleset.Option{
		{Name: "ahspi", NArgs: 1, Negate: true, Help: "SPI or range lo:hi"},
		{Name: "ahlen", NArgs: 1, Negate: true, Help: "length of the header in bytes"},
		{Name: "ahres", Help: "the reserved field is zero"},
	},
	New: func() ruleset.MatchBuilder { return &ah6{spi: any32} },
}

// ah is -m ah of IPv4.
type ah struct {
	given
	spi range32
}

// Set takes one option.
func (m *ah) Set(_ *ruleset.Env, option string, negate bool, args []string) error {
	return cmp.Or(m.once(option), m.spi.set(option, negate, args[0]))
}

// Done is called after the last option.
func (m *ah) Done(*ruleset.Env) error { return nil }

// Match gives the match itself.
func (m *ah) Match() ruleset.Match { return m }

// Word is "ah".
func (m *ah) Word() string { return "ah" }

// Args prints as ah_save() of libipt_ah.c.
func (m *ah) Args() []string { return append([]string{"-m", "ah"}, m.spi.args("--ahspi")...) }

// ExactArgs has a negated range of all numbers, too: it matches nothing.
func (m *ah) ExactArgs() []string { return m.spi.exact(m.Args(), "--ahspi") }

// Check wants -p ah.
func (m *ah) Check(in *ruleset.Place) error { return needProtocol(in, protoAH) }

// Eval is ah_mt() of net/ipv4/netfilter/ipt_ah.c.
func (m *ah) Eval(f *packet.Facts) pred.Answer {
	header, a := l4Header(f, 12)
	if a != pred.Yes {
		return a
	}
	return pred.Bool(m.spi.has(be32(header[4:])))
}

// Lower gives the same in predicates.
func (m *ah) Lower(*ruleset.Place) pred.Pred {
	return simplify(append(lowerL4Header(12), m.spi.lower(pred.Load{Base: pred.BaseL4, Off: 4, Width: 4})))
}

// ah6 is -m ah of IPv6.
type ah6 struct {
	given
	spi       range32
	length    uint32 // 0: not asked
	negateLen bool
	reserved  bool
}

// Set takes one option.
func (m *ah6) Set(_ *ruleset.Env, option string, negate bool, args []string) (err error) {
	if err = m.once(option); err != nil {
		return err
	}
	switch option {
	case "ahspi":
		return m.spi.set(option, negate, args[0])
	case "ahlen":
		m.negateLen = negate
		m.length, err = number32(option, args[0], 0)
	case "ahres":
		m.reserved = true
	}
	return err
}

// Done is called after the last option.
func (m *ah6) Done(*ruleset.Env) error { return nil }

// Match gives the match itself.
func (m *ah6) Match() ruleset.Match { return m }

// Word is "ah".
func (m *ah6) Word() string { return "ah" }

// Args prints as ah_save() of libip6t_ah.c.
func (m *ah6) Args() []string {
	args := append([]string{"-m", "ah"}, m.spi.args("--ahspi")...)
	if m.length != 0 || m.negateLen {
		args = append(append(args, bang(m.negateLen)...), "--ahlen", fmt.Sprint(m.length))
	}
	if m.reserved {
		args = append(args, "--ahres")
	}
	return args
}

// ExactArgs has a negated range of all numbers, too: it matches nothing.
func (m *ah6) ExactArgs() []string { return m.spi.exact(m.Args(), "--ahspi") }

// Check refuses nothing: the kernel finds the header without -p.
func (m *ah6) Check(*ruleset.Place) error { return nil }

// Eval is ah_mt6() of net/ipv6/netfilter/ip6t_ah.c; a length of 0 is not asked,
// even when it is negated.
func (m *ah6) Eval(f *packet.Facts) pred.Answer {
	header, a := extHeader(f, protoAH, 12)
	if a != pred.Yes {
		return a
	}
	size := (uint32(header[1]) + 2) * 4
	return pred.Bool(m.spi.has(be32(header[4:])) &&
		(m.length == 0 || (m.length == size) != m.negateLen) &&
		!(m.reserved && be16(header[2:]) != 0))
}

// Lower gives the same in predicates.
func (m *ah6) Lower(*ruleset.Place) pred.Pred {
	p := append(lowerExt(protoAH, 12), m.spi.lower(pred.Load{Base: pred.BaseExt, Off: 4, Width: 4}))
	if m.length != 0 {
		p = append(p, lowerExtLen(m.length, 4, 2, m.negateLen))
	}
	if m.reserved {
		p = append(p, pred.Eq(pred.Load{Base: pred.BaseExt, Off: 2, Width: 2}, 0))
	}
	return simplify(p)
}
