package match

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// rtKind is -m rt.
var rtKind = &ruleset.MatchKind{
	Name:     "rt",
	Families: ruleset.OnlyIPv6,
	Doc:      "the IPv6 routing header",
	Options: []ruleset.Option{
		{Name: "rt-type", NArgs: 1, Negate: true, Help: "type of the header"},
		{Name: "rt-segsleft", NArgs: 1, Negate: true, Help: "segments left, or range lo:hi"},
		{Name: "rt-len", NArgs: 1, Negate: true, Help: "length of the header in bytes"},
		{Name: "rt-0-res", Help: "the reserved field of type 0 is zero"},
		{Name: "rt-0-addrs", NArgs: 1, Help: "addresses of type 0, separated by commas"},
		{Name: "rt-0-not-strict", Help: "other addresses may stand between those of --rt-0-addrs"},
	},
	New: func() ruleset.MatchBuilder { return &rt{segsLeft: any32} },
}

// rtAddrMax is IP6T_RT_HOPS.
const rtAddrMax = 16

// rt is -m rt.
type rt struct {
	given
	kind       uint32
	negateKind bool
	segsLeft   range32
	length     uint32
	negateLen  bool
	addrs      []netip.Addr
}

// Set takes one option.
func (m *rt) Set(_ *ruleset.Env, option string, negate bool, args []string) (err error) {
	if err = m.once(option); err != nil {
		return err
	}
	switch option {
	case "rt-type":
		m.negateKind = negate
		m.kind, err = number32(option, args[0], 0)
	case "rt-segsleft":
		err = m.segsLeft.set(option, negate, args[0])
	case "rt-len":
		m.negateLen = negate
		m.length, err = number32(option, args[0], 0)
	case "rt-0-res":
		err = m.needKind0(option)
	case "rt-0-addrs":
		if err = m.needKind0(option); err == nil {
			err = m.parseAddrs(args[0])
		}
	case "rt-0-not-strict":
		if !m.given["rt-0-addrs"] {
			err = ruleset.InWords(fmt.Errorf("--rt-0-not-strict needs --rt-0-addrs before it"), "`--rt-0-addr ...' required before `--rt-0-not-strict'")
		}
	}
	return err
}

func (m *rt) needKind0(option string) error {
	if !m.given["rt-type"] || m.kind != 0 || m.negateKind {
		return ruleset.InWords(fmt.Errorf("--%s needs --rt-type 0 before it", option), "`--rt-type 0' required before `--%s'", option)
	}
	return nil
}

func (m *rt) parseAddrs(list string) error {
	for _, text := range strings.Split(list, ",") {
		a, ok := numericIPv6(text)
		if !ok {
			return ruleset.InWords(fmt.Errorf("--rt-0-addrs: %q is not an IPv6 address", text), "bad address: %s", text)
		}
		m.addrs = append(m.addrs, a)
	}
	if len(m.addrs) > rtAddrMax {
		return ruleset.InWords(fmt.Errorf("--rt-0-addrs: %d addresses given, at most %d allowed", len(m.addrs), rtAddrMax), "too many addresses specified")
	}
	return nil
}

// Done is called after the last option.
func (m *rt) Done(*ruleset.Env) error { return nil }

// Match gives the match itself.
func (m *rt) Match() ruleset.Match { return m }

// Word is "rt".
func (m *rt) Word() string { return "rt" }

// Args prints as rt_save() of libip6t_rt.c.
func (m *rt) Args() []string {
	args := []string{"-m", "rt"}
	if m.given["rt-type"] {
		args = append(append(args, bang(m.negateKind)...), "--rt-type", fmt.Sprint(m.kind))
	}
	args = append(args, m.segsLeft.args("--rt-segsleft")...)
	if m.given["rt-len"] {
		args = append(append(args, bang(m.negateLen)...), "--rt-len", fmt.Sprint(m.length))
	}
	if m.given["rt-0-res"] {
		args = append(args, "--rt-0-res")
	}
	if m.given["rt-0-addrs"] {
		list := make([]string, len(m.addrs))
		for i, a := range m.addrs {
			list[i] = addrText(a)
		}
		args = append(args, "--rt-0-addrs", strings.Join(list, ","))
	}
	if m.given["rt-0-not-strict"] {
		args = append(args, "--rt-0-not-strict")
	}
	return args
}

// ExactArgs has a negated range of all numbers, too: it matches nothing.
func (m *rt) ExactArgs() []string { return m.segsLeft.exact(m.Args(), "--rt-segsleft") }

// Check refuses what rt_mt6_check() refuses: a later --rt-type could not undo the
// first, options are used once.
func (m *rt) Check(*ruleset.Place) error { return nil }

// Eval is rt_mt6() of net/ipv6/netfilter/ip6t_rt.c.
func (m *rt) Eval(f *packet.Facts) pred.Answer {
	rh, a := extHeader(f, extRouting, 4)
	if a != pred.Yes {
		return a
	}
	switch {
	case !m.segsLeft.has(uint32(rh[3])),
		m.given["rt-len"] && (m.length == uint32(len(rh))) == m.negateLen,
		m.given["rt-type"] && (m.kind == uint32(rh[2])) == m.negateKind,
		m.given["rt-0-res"] && be32(rh[4:]) != 0:
		return pred.No
	}
	return pred.Bool(!m.given["rt-0-addrs"] || m.passes(rh[8:]))
}

// passes compares the addresses of the header with --rt-0-addrs: all of them in
// order, or, not strict, among others.
func (m *rt) passes(addrs []byte) bool {
	n, next := len(addrs)/16, 0
	for i := range n {
		a := netip.AddrFrom16([16]byte(addrs[16*i:]))
		switch {
		case next < len(m.addrs) && a == m.addrs[next]:
			next++
		case !m.given["rt-0-not-strict"]:
			return false
		}
	}
	return next == len(m.addrs)
}

// Lower gives the same in predicates.
func (m *rt) Lower(*ruleset.Place) pred.Pred {
	p := append(lowerExt(extRouting, 4), m.segsLeft.lower(extByte(3)))
	if m.given["rt-len"] {
		p = append(p, lowerExtLen(m.length, 8, 1, m.negateLen))
	}
	if m.given["rt-type"] {
		p = append(p, pred.Negated(pred.Eq(extByte(2), m.kind), m.negateKind))
	}
	if m.given["rt-0-res"] {
		p = append(p, pred.Eq(pred.Load{Base: pred.BaseExt, Off: 4, Width: 4}, 0))
	}
	if m.given["rt-0-addrs"] {
		p = append(p, pred.Hops6{Addrs: m.addrs, Loose: m.given["rt-0-not-strict"]})
	}
	return simplify(p)
}
