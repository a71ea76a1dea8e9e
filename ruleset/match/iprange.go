package match

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// iprangeKind is -m iprange, revision 1.
var iprangeKind = &ruleset.MatchKind{
	Name:     "iprange",
	Families: ruleset.Both,
	Doc:      "ranges of addresses",
	Options: []ruleset.Option{
		{Name: "src-range", NArgs: 1, Negate: true, Help: "source address, or range from-to"},
		{Name: "dst-range", NArgs: 1, Negate: true, Help: "destination address, or range from-to"},
	},
	New: func() ruleset.MatchBuilder { return &iprange{} },
}

// iprange is -m iprange.
type iprange struct {
	given
	src, dst addrRange
}

type addrRange struct {
	lo, hi netip.Addr
	negate bool
}

// Set takes one option.
func (m *iprange) Set(env *ruleset.Env, option string, negate bool, args []string) (err error) {
	if err = m.once(option); err != nil {
		return err
	}
	to := &m.src
	if option == "dst-range" {
		to = &m.dst
	}
	to.negate = negate
	from, until, isRange := strings.Cut(args[0], "-")
	if !isRange {
		until = from
	}
	if to.lo, err = rangeEnd(env, option, from); err == nil {
		to.hi, err = rangeEnd(env, option, until)
	}
	if err == nil && to.hi.Less(to.lo) {
		env.Warning("xt_iprange: range %s-%s is reversed and will never match", from, until)
	}
	return err
}

func rangeEnd(env *ruleset.Env, option, text string) (a netip.Addr, err error) {
	ok := false
	if env.Family == packet.IPv6 {
		a, ok = numericIPv6(text)
	} else {
		a, ok = numericIPv4(text, false)
	}
	if !ok {
		return a, ruleset.InWordsOf(fmt.Errorf("--%s: %q is not an %s address", option, text, env.Family), "Bad value for \"--%s\" option: \"%s\"", option, text)
	}
	return a, nil
}

// Done wants one option.
func (m *iprange) Done(*ruleset.Env) error {
	return ruleset.InWords(m.needOneOf("src-range", "dst-range"), "iprange match: You must specify `--src-range' or `--dst-range'")
}

// Match gives the match itself.
func (m *iprange) Match() ruleset.Match { return m }

// Word is "iprange".
func (m *iprange) Word() string { return "iprange" }

// Args prints as iprange_mt4_save() and iprange_mt6_save() of libxt_iprange.c.
func (m *iprange) Args() []string {
	args := []string{"-m", "iprange"}
	if m.given["src-range"] {
		args = append(args, m.src.args("--src-range")...)
	}
	if m.given["dst-range"] {
		args = append(args, m.dst.args("--dst-range")...)
	}
	return args
}

func (r addrRange) args(option string) []string {
	return append(bang(r.negate), option, addrText(r.lo)+"-"+addrText(r.hi))
}

// has compares numbers; a range that is upside down holds nothing.
func (r addrRange) has(a netip.Addr) bool {
	return (r.lo.Compare(a) <= 0 && a.Compare(r.hi) <= 0) != r.negate
}

// Check refuses nothing.
func (m *iprange) Check(*ruleset.Place) error { return nil }

// Eval is iprange_mt4() and iprange_mt6() of net/netfilter/xt_iprange.c.
func (m *iprange) Eval(f *packet.Facts) pred.Answer {
	return pred.Bool((!m.given["src-range"] || m.src.has(f.Src())) && (!m.given["dst-range"] || m.dst.has(f.Dst())))
}

// Lower gives the same in predicates.
func (m *iprange) Lower(*ruleset.Place) pred.Pred {
	var p pred.And
	if m.given["src-range"] {
		p = append(p, m.src.lower(pred.AddrSrc))
	}
	if m.given["dst-range"] {
		p = append(p, m.dst.lower(pred.AddrDst))
	}
	return simplify(p)
}

func (r addrRange) lower(of pred.AddrField) pred.Pred {
	return pred.Negated(pred.AddrRange{Of: of, Lo: bytes16(r.lo), Hi: bytes16(r.hi)}, r.negate)
}
