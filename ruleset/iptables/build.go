package iptables

import (
	"fmt"
	"net/netip"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/match"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/target"
)

// jumpChain gives the user chain that a target jumps to.
func jumpChain(t ruleset.Target) (string, bool) {
	j, ok := t.(*target.Jump)
	if !ok {
		return "", false
	}
	return j.Chain, true
}

// builder makes rules of commands. Base options and targets without state are made
// once and shared by all rules that have them.
type builder struct {
	o        *Options
	argv     bool // for a command line
	protos   map[uint16]ruleset.Match
	ifaces   map[string]ruleset.Match
	verdicts map[string]ruleset.Target
	source   [1]match.AddrMask
	dest     [1]match.AddrMask
	rules    []ruleset.Rule  // made and not given out yet
	matches  []ruleset.Match // the same
	made     int             // rules so far
}

func newBuilder(o *Options) *builder {
	return &builder{o: o, protos: map[uint16]ruleset.Match{}, ifaces: map[string]ruleset.Match{},
		verdicts: map[string]ruleset.Target{}}
}

// addresses reads -s and -d. Without them there is one entry that stands for any.
func (b *builder) addresses(c *command) (src, dst []match.AddrMask, f *fault) {
	if src, f = b.addressList(c.source, c.options&optSource != 0, "-s", &b.source); f != nil {
		return nil, nil, f
	}
	if dst, f = b.addressList(c.dest, c.options&optDestination != 0, "-d", &b.dest); f != nil {
		return nil, nil, f
	}
	if (len(src) > 1 || len(dst) > 1) && c.inverted&(optSource|optDestination) != 0 {
		at := c.source.at
		if c.inverted&optDestination != 0 {
			at = c.dest.at
		}
		return nil, nil, &fault{at: at, thing: "!", what: "not allowed with several source or destination addresses",
			fix: "write one rule for each, or use -m set", said: saidUsage("! not allowed with multiple source or destination IP addresses")}
	}
	if c.bits == cmdReplace && len(src)*len(dst) != 1 {
		return nil, nil, &fault{at: c.at, thing: "-R", what: "several addresses would give several rules",
			fix: "give one source and one destination", said: saidUsage("Replacement rule does not specify a unique address")}
	}
	return src, dst, nil
}

// addressList reads -s or -d into room, if there is but one.
func (b *builder) addressList(a arg, given bool, option string, room *[1]match.AddrMask) ([]match.AddrMask, *fault) {
	room[0] = match.AddrMask{}
	if !given {
		return room[:], nil
	}
	if am, ok := plainAddress(b.o.Family, a.text); ok {
		room[0] = am
		return room[:], nil
	}
	list, err := match.ParseAddresses(b.o.Family, a.text, b.o.Resolver)
	if err != nil {
		return nil, &fault{at: a.at, thing: option, what: err.Error(), fix: spaceFix(a.text), said: saidOf("", option, err)}
	}
	return list, nil
}

// plainAddress reads the spelling that iptables-save prints, the quick way; ok is
// false for any other.
func plainAddress(family packet.Family, text string) (am match.AddrMask, ok bool) {
	p, err := netip.ParsePrefix(text)
	if err != nil || p.Bits() == 0 || p.Addr().BitLen() != family.Bits() || p.Addr().Zone() != "" {
		return am, false
	}
	if family == packet.IPv6 {
		var m [16]byte
		fillMask(m[:], p.Bits())
		return match.AddrMask{Addr: p.Masked().Addr(), Mask: netip.AddrFrom16(m)}, true
	}
	var m [4]byte
	fillMask(m[:], p.Bits())
	return match.AddrMask{Addr: p.Masked().Addr(), Mask: netip.AddrFrom4(m)}, true
}

func fillMask(m []byte, ones int) {
	for i := range m {
		n := max(0, min(8, ones-8*i))
		m[i] = ^byte(0xff >> n)
	}
}

// rule makes the rule of a command for one source and one destination. The target
// stays as the command has it.
func (b *builder) rule(c *command, src, dst match.AddrMask) *ruleset.Rule {
	r := b.newRule()
	r.Counters, r.Goto = c.counters, c.gotoSet
	n := len(c.words)
	for _, bit := range [...]int{optSource, optDestination, optProtocol, optIn, optOut, optFragment} {
		if c.options&bit != 0 {
			n++
		}
	}
	if n == 0 {
		return r
	}
	r.Matches = b.newMatches(n)
	add := func(m ruleset.Match) {
		if m != nil {
			r.Matches = append(r.Matches, m)
		}
	}
	if c.options&optSource != 0 && asks(src, c.inverted&optSource != 0) {
		add(match.NewSource(src.Addr, src.Mask, c.inverted&optSource != 0))
	}
	if c.options&optDestination != 0 && asks(dst, c.inverted&optDestination != 0) {
		add(match.NewDestination(dst.Addr, dst.Mask, c.inverted&optDestination != 0))
	}
	if c.options&optIn != 0 {
		add(b.iface(c.in.text, c.inverted&optIn != 0, "-i", match.NewIn))
	}
	if c.options&optOut != 0 {
		add(b.iface(c.out.text, c.inverted&optOut != 0, "-o", match.NewOut))
	}
	if c.options&optProtocol != 0 {
		add(b.protocol(c.proto, c.inverted&optProtocol != 0))
	}
	if c.options&optFragment != 0 {
		add(match.NewFragment(c.inverted&optFragment != 0))
	}
	for _, w := range c.words {
		add(w.match.Match())
	}
	return r
}

// together is how many rules of a long text lie in one piece of memory.
const together = 64

// newRule gives an empty rule. The more rules there were, the more are made at once.
func (b *builder) newRule() *ruleset.Rule {
	if len(b.rules) == 0 {
		b.rules = make([]ruleset.Rule, min(together, 1+b.made))
	}
	r := &b.rules[0]
	b.rules = b.rules[1:]
	b.made++
	return r
}

// newMatches gives room for n matches.
func (b *builder) newMatches(n int) []ruleset.Match {
	if len(b.matches) < n {
		b.matches = make([]ruleset.Match, n*min(together, b.made))
	}
	room := b.matches[:0:n]
	b.matches = b.matches[n:]
	return room
}

// asks says whether an address asks anything: all of them do not, unless negated.
func asks(a match.AddrMask, negate bool) bool {
	return negate || !a.Mask.IsUnspecified()
}

func (b *builder) iface(name string, negate bool, option string, make func(string, bool) (ruleset.Match, error)) ruleset.Match {
	key := option + name
	if negate {
		key = "!" + key
	}
	m, ok := b.ifaces[key]
	if !ok {
		m, _ = make(name, negate) // the name was checked when it was read
		b.ifaces[key] = m
	}
	return m
}

// protocol gives -p; "-p all" asks nothing, but in IPv6 the kernel looks for the
// transport header nevertheless (IP6T_F_PROTO, ip6_packet_match()).
func (b *builder) protocol(proto uint8, negate bool) ruleset.Match {
	if proto == 0 && b.o.Family == packet.IPv4 {
		return nil
	}
	key := uint16(proto)
	if negate {
		key |= 1 << 8
	}
	m, ok := b.protos[key]
	if !ok {
		m = match.NewProtocol(proto, negate, b.o.Resolver)
		b.protos[key] = m
	}
	return m
}

// target makes what -j or -g of a command names; chain finds the chains that are
// there.
func (b *builder) target(c *command, chain func(string) *chainEdit) (ruleset.Target, *fault) {
	name := c.jump.text
	if name == "" {
		return nil, nil
	}
	if to := chain(name); to != nil {
		if to.policy != "" {
			return nil, &fault{at: c.jump.at, thing: name, what: "cannot jump to a built-in chain", fix: "move its rules to a user chain", kernel: true,
				said: saidRules(saidInvalid).onNFT(SaidByKernel, "%s failed (Operation not supported): rule in chain %s", placedBy(c.bits), c.chain.text)}
		}
		return to.jumpHere(), nil
	}
	switch {
	case c.target != nil && len(c.target.options) == 0 && standardTarget(name):
		t, ok := b.verdicts[name]
		if !ok {
			t = c.target.target.Target()
			b.verdicts[name] = t
		}
		return t, nil
	case c.target != nil:
		return c.target.target.Target(), nil
	case c.gotoSet:
		return nil, &fault{at: c.jump.at, thing: "-g", what: fmt.Sprintf("%q is not a chain", name), fix: b.declare(name),
			said: saidUsage("goto '%s' is not a chain", name).onNFT(SaidOfUsage, "Chain '%s' does not exist", name)}
	}
	fix := spaceFix(name)
	if fix == "" {
		fix = b.declare(name)
	}
	return nil, &fault{at: c.jump.at, thing: name, what: "no such target or chain", fix: fix,
		said: saidUsage("Couldn't load target `%s':No such file or directory\n", name).onNFT(SaidOfUsage, "Chain '%s' does not exist", name)}
}

func (b *builder) declare(chain string) string {
	if b.argv {
		return "a chain must be created before it is named, with -N " + chain
	}
	return fmt.Sprintf("a chain must be created before it is named, with \":%s - [0:0]\"", chain)
}
