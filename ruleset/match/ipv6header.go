package match

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// ipv6headerKind is -m ipv6header.
var ipv6headerKind = &ruleset.MatchKind{
	Name:     "ipv6header",
	Families: ruleset.OnlyIPv6,
	Doc:      "which extension headers an IPv6 packet has",
	Options: []ruleset.Option{
		{Name: "header", NArgs: 1, Negate: true, Help: "names such as hop,dst,route,frag,auth,esp,none,prot, separated by commas"},
		{Name: "soft", Help: "the packet may have others too"},
	},
	New: func() ruleset.MatchBuilder { return &ipv6header{} },
}

// ipv6header is -m ipv6header.
type ipv6header struct {
	given
	mask   uint8
	names  string // as iptables-save prints them
	negate bool
}

// Bits of the headers (include/uapi/linux/netfilter_ipv6/ip6t_ipv6header.h).
const (
	hdrProto = 1
	hdrNone  = 2
	hdrESP   = 4
	hdrAH    = 8
	hdrFrag  = 16
	hdrRoute = 32
	hdrDst   = 64
	hdrHop   = 128
	protoRaw = 255
	extESP   = protoESP
	extAuth  = protoAH
)

// header6s are the headers in the order in which they are printed, each with the
// name that is printed where /etc/protocols has none.
var header6s = []struct {
	number, bit uint8
	names       []string
}{
	{extHopByHop, hdrHop, []string{"hop-by-hop", "hop", "0"}},
	{extDestination, hdrDst, []string{"dst", "60"}},
	{extRouting, hdrRoute, []string{"route", "43"}},
	{extFragment, hdrFrag, []string{"frag", "44"}},
	{extAuth, hdrAH, []string{"auth", "51"}},
	{extESP, hdrESP, []string{"esp", "50"}},
	{extNone, hdrNone, []string{"none", "59"}},
	{protoRaw, hdrProto, []string{"protocol", "prot", "255"}},
}

// Set takes one option.
func (m *ipv6header) Set(env *ruleset.Env, option string, negate bool, args []string) error {
	if err := m.once(option); err != nil || option == "soft" {
		return err
	}
	m.negate = negate
	for _, name := range splitList(args[0]) {
		bit, ok := header6Bit(env, name)
		if !ok {
			return ruleset.InWords(fmt.Errorf("--header: unknown header %q; give hop, dst, route, frag, auth, esp, none or prot", name), "unknown header `%s' specified", name)
		}
		m.mask |= bit
	}
	if m.mask == 0 {
		return ruleset.InWords(fmt.Errorf("--header: no header named; give hop, dst, route, frag, auth, esp, none or prot"), "ip6t_ipv6header: cannot parse header names")
	}
	m.names = header6Names(env, m.mask)
	return nil
}

// header6Bit asks /etc/protocols first, as name_to_proto() of libip6t_ipv6header.c.
func header6Bit(env *ruleset.Env, name string) (uint8, bool) {
	number, known := uint8(0), false
	if env.Resolve != nil {
		number, known = env.Resolve.Protocol(name)
	}
	for _, h := range header6s {
		if known && h.number == number {
			return h.bit, true
		}
		for _, n := range h.names {
			if !known && n == name {
				return h.bit, true
			}
		}
	}
	return 0, false
}

func header6Names(env *ruleset.Env, mask uint8) string {
	var names []string
	for _, h := range header6s {
		if mask&h.bit == 0 {
			continue
		}
		name := h.names[0]
		if env.Resolve != nil && h.number != 0 {
			if n, ok := env.Resolve.ProtocolName(h.number); ok {
				name = n
			}
		}
		names = append(names, name)
	}
	return strings.Join(names, ",")
}

// Done wants --header.
func (m *ipv6header) Done(*ruleset.Env) error { return m.need("header") }

// Match gives the match itself.
func (m *ipv6header) Match() ruleset.Match { return m }

// Word is "ipv6header".
func (m *ipv6header) Word() string { return "ipv6header" }

// Args prints as ipv6header_save() of libip6t_ipv6header.c.
func (m *ipv6header) Args() []string {
	args := append(append([]string{"-m", "ipv6header"}, bang(m.negate)...), "--header", m.names)
	if m.given["soft"] {
		args = append(args, "--soft")
	}
	return args
}

// ExactArgs has the names that ip6tables itself knows.
func (m *ipv6header) ExactArgs() []string {
	own := header6Names(&ruleset.Env{}, m.mask)
	if own == m.names {
		return nil
	}
	args := m.Args()
	args[slices.Index(args, "--header")+1] = own
	return args
}

// Check refuses nothing.
func (m *ipv6header) Check(*ruleset.Place) error { return nil }

// Eval is ipv6header_mt6() of net/ipv6/netfilter/ip6t_ipv6header.c. Soft and
// negated means: none of them.
func (m *ipv6header) Eval(f *packet.Facts) pred.Answer {
	have, ok := headers6(f)
	switch {
	case !ok:
		return pred.No
	case m.given["soft"] && m.negate:
		return pred.Bool(have&m.mask == 0)
	case m.given["soft"]:
		return pred.Bool(have&m.mask == m.mask)
	}
	return answer(have == m.mask, m.negate)
}

// headers6 collects the headers that a packet has; ok is false when one is cut.
func headers6(f *packet.Facts) (have uint8, ok bool) {
	next, off := f.Raw[6], 40
	for isExt6(next) {
		if next == extNone {
			return have | hdrNone, true
		}
		hp, ok := f.Bytes(off, 2)
		if !ok {
			return 0, false
		}
		if next == extESP {
			return have | hdrESP, true
		}
		size := (int(hp[1]) + 1) * 8
		switch next {
		case extFragment:
			size = 8
		case extAuth:
			size = (int(hp[1]) + 2) * 4
		}
		have |= bitOfHeader6(next)
		next, off = hp[0], off+size
		if off > len(f.Raw) {
			break
		}
	}
	if next != extNone && next != extESP {
		have |= hdrProto
	}
	return have, true
}

// isExt6 is nf_ip6_ext_hdr(): ESP counts here.
func isExt6(next uint8) bool { return next != protoRaw && bitOfHeader6(next) != 0 }

func bitOfHeader6(number uint8) uint8 {
	for _, h := range header6s {
		if h.number == number {
			return h.bit
		}
	}
	return 0
}

// Lower gives the same as a predicate.
func (m *ipv6header) Lower(*ruleset.Place) pred.Pred {
	return pred.Headers6{Mask: m.mask, Soft: m.given["soft"], Negate: m.negate}
}
