package match

import (
	"cmp"
	"fmt"
	"math/bits"
	"net/netip"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// addrtypeKind is -m addrtype, revision 1 (net/netfilter/xt_addrtype.c).
var addrtypeKind = &ruleset.MatchKind{
	Name:     "addrtype",
	Families: ruleset.Both,
	Doc:      "what routing makes of the addresses: of this host, broadcast, multicast and so on",
	Options: []ruleset.Option{
		{Name: "src-type", NArgs: 1, Negate: true, Help: "types of the source, as LOCAL,BROADCAST"},
		{Name: "dst-type", NArgs: 1, Negate: true, Help: "types of the destination"},
		{Name: "limit-iface-in", Help: "an address of another interface than the incoming one is not LOCAL"},
		{Name: "limit-iface-out", Help: "an address of another interface than the outgoing one is not LOCAL"},
	},
	New: func() ruleset.MatchBuilder { return &addrtype{} },
}

// rtnNames are the address types, by number (RTN_*, include/uapi/linux/rtnetlink.h).
var rtnNames = []string{
	"UNSPEC", "UNICAST", "LOCAL", "BROADCAST", "ANYCAST", "MULTICAST", "BLACKHOLE", "UNREACHABLE", "PROHIBIT",
	"THROW", "NAT", "XRESOLVE",
}

// Address types by name.
const (
	rtnUnspec = iota
	rtnUnicast
	rtnLocal
	rtnBroadcast
	rtnAnycast
	rtnMulticast
	rtnBlackhole
	rtnUnreachable
	rtnProhibit
)

// rtnRouted are the types of IPv6 for which addrtype_mt6() looks a route up.
const rtnRouted = 1<<rtnLocal | 1<<rtnAnycast | 1<<rtnUnreachable

// addrtype is -m addrtype.
type addrtype struct {
	given
	family   packet.Family
	src, dst addrtypeSide
}

// addrtypeSide is what is asked of one address; mask 0: nothing.
type addrtypeSide struct {
	mask   uint16
	negate bool
}

// Set takes one option.
func (m *addrtype) Set(env *ruleset.Env, option string, negate bool, args []string) (err error) {
	m.family = env.Family
	if err = m.once(option); err != nil || len(args) == 0 {
		return err
	}
	side := &m.src
	if option == "dst-type" {
		side = &m.dst
	}
	side.negate = negate
	for _, name := range strings.Split(args[0], ",") {
		rtn := nameIn(rtnNames, name)
		if rtn < 0 {
			return ruleset.InWords(fmt.Errorf("--%s: %q is not one of %s", option, name, strings.Join(rtnNames, ", ")), "addrtype: bad type \"%s\"", name)
		}
		side.mask |= 1 << rtn
	}
	return nil
}

// Done is called after the last option.
func (m *addrtype) Done(*ruleset.Env) error {
	return cmp.Or(ruleset.InWords(m.needOneOf("src-type", "dst-type"), "addrtype: you must specify --src-type or --dst-type"), m.notBoth("limit-iface-in", "limit-iface-out"))
}

// Match gives the match itself.
func (m *addrtype) Match() ruleset.Match { return m }

// Word is "addrtype".
func (m *addrtype) Word() string { return "addrtype" }

// Args prints as addrtype_save_v1() of libxt_addrtype.c.
func (m *addrtype) Args() []string {
	args := []string{"-m", "addrtype"}
	args = append(args, m.src.args("--src-type")...)
	args = append(args, m.dst.args("--dst-type")...)
	for _, option := range []string{"limit-iface-in", "limit-iface-out"} {
		if m.given[option] {
			args = append(args, "--"+option)
		}
	}
	return args
}

func (s addrtypeSide) args(option string) []string {
	if s.mask == 0 {
		return nil
	}
	var names []string
	for rtn, name := range rtnNames {
		if s.mask>>rtn&1 != 0 {
			names = append(names, name)
		}
	}
	return append(bang(s.negate), option, strings.Join(names, ","))
}

// Check is addrtype_mt_checkentry_v1().
func (m *addrtype) Check(in *ruleset.Place) error {
	if m.given["limit-iface-out"] {
		if err := notAt(in, "limit-iface-out", packet.Prerouting, packet.Input); err != nil {
			return err
		}
	}
	if m.given["limit-iface-in"] {
		if err := notAt(in, "limit-iface-in", packet.Postrouting, packet.Output); err != nil {
			return err
		}
	}
	if m.family != packet.IPv6 {
		return nil
	}
	all := m.src.mask | m.dst.mask
	if all&(1<<rtnBlackhole|1<<rtnBroadcast) != 0 || m.src.mask|m.dst.mask >= 1<<rtnProhibit {
		return fmt.Errorf("IPv6 knows no address of type %s; leave the type out", rtnText(all&(1<<rtnBlackhole|1<<rtnBroadcast|^uint16(1<<rtnProhibit-1))))
	}
	return nil
}

func rtnText(mask uint16) string {
	return addrtypeSide{mask: mask}.args("")[1]
}

// Eval is addrtype_mt_v1().
func (m *addrtype) Eval(f *packet.Facts) pred.Answer {
	dev := ""
	switch {
	case m.given["limit-iface-in"]:
		dev = f.In.Name
	case m.given["limit-iface-out"]:
		dev = f.Out.Name
	}
	return pred.Bool(m.src.agrees(f, f.Src(), dev) && m.dst.agrees(f, f.Dst(), dev))
}

func (s addrtypeSide) agrees(f *packet.Facts, a netip.Addr, dev string) bool {
	switch {
	case s.mask == 0:
		return true
	case f.Family == packet.IPv6:
		return s.has6(f.World, a, dev) != s.negate
	}
	return (s.mask>>inetAddrType(f.World, a, dev)&1 != 0) != s.negate
}

// inetAddrType is __inet_dev_addr_type() (net/ipv4/fib_frontend.c). Without a table
// of local addresses there are those of the loopback interface.
func inetAddrType(w *packet.World, a netip.Addr, dev string) uint32 {
	switch {
	case a.IsUnspecified(), a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return rtnBroadcast
	case a.IsMulticast():
		return rtnMulticast
	case w.AddrTypes != nil:
		return uint32(bits.TrailingZeros32(w.AddrTypes(a, dev)))
	case a.IsLoopback():
		return rtnLocal
	}
	return rtnUnicast
}

// has6 is match_type6(): every type that lies in the address itself must hold, and
// one of those that a route decides.
func (s addrtypeSide) has6(w *packet.World, a netip.Addr, dev string) bool {
	is := func(rtn int) bool { return s.mask>>rtn&1 != 0 }
	if is(rtnMulticast) && !a.IsMulticast() || is(rtnUnspec) && !a.IsUnspecified() ||
		is(rtnUnicast) && (a.IsMulticast() || a.IsUnspecified() || a.Is4In6()) {
		return false
	}
	if s.mask&rtnRouted == 0 {
		return true
	}
	types := uint32(0)
	switch {
	case w.AddrTypes != nil:
		types = w.AddrTypes(a, dev)
	case a.IsLoopback():
		types = 1 << rtnLocal
	}
	return uint32(s.mask)&rtnRouted&types != 0
}

// Lower gives the same in predicates.
func (m *addrtype) Lower(*ruleset.Place) pred.Pred {
	var p pred.And
	if m.src.mask != 0 {
		p = append(p, pred.Negated(m.lowerSide(m.src.mask, pred.AddrSrc), m.src.negate))
	}
	if m.dst.mask != 0 {
		p = append(p, pred.Negated(m.lowerSide(m.dst.mask, pred.AddrDst), m.dst.negate))
	}
	return p
}

func (m *addrtype) lowerSide(mask uint16, of pred.AddrField) pred.Pred {
	routed := pred.AddrType{Of: of, Mask: mask, In: m.given["limit-iface-in"], Out: m.given["limit-iface-out"]}
	if m.family == packet.IPv4 {
		return routed
	}
	block := func(addr string, ones int) pred.Pred {
		return hostMask{bytes16(netip.MustParseAddr(addr)), prefixMask(ones)}.lower(of)
	}
	multicast, unspec := block("ff00::", 8), block("::", 128)
	var p pred.And
	if mask>>rtnMulticast&1 != 0 {
		p = append(p, multicast)
	}
	if mask>>rtnUnspec&1 != 0 {
		p = append(p, unspec)
	}
	if mask>>rtnUnicast&1 != 0 {
		p = append(p, pred.Not{P: pred.Or{multicast, unspec, block("::ffff:0:0", 96)}})
	}
	if routed.Mask &= rtnRouted; routed.Mask != 0 {
		routed.Six = true
		p = append(p, routed)
	}
	return p
}
