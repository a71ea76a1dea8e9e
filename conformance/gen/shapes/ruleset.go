package shapes

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// Kind is the shape of a ruleset.
type Kind string

// The kinds.
const (
	Same    Kind = "same"    // one source, UDP, one port each
	Sources Kind = "sources" // one source each
	ACL     Kind = "acl"
	FW      Kind = "fw"
	IPC     Kind = "ipc"
)

// Options say what ruleset to make.
type Options struct {
	Kind    Kind
	Family  packet.Family
	Rules   int
	Seed    uint64
	Targets []string // drawn from for each rule; DROP alone if there are none
}

// Ruleset is one chain of rules.
type Ruleset struct {
	Family packet.Family
	Rules  []Rule
}

// New makes a ruleset.
func New(o Options) (*Ruleset, error) {
	set := &Ruleset{Family: o.Family}
	if len(o.Targets) == 0 {
		o.Targets = []string{"DROP"}
	}
	switch o.Kind {
	case Same, Sources:
		for i := range o.Rules {
			r := Rule{Src: host(o.Family, i), SrcPorts: AnyPort, DstPorts: AnyPort}
			if o.Kind == Same {
				port := uint16(1024 + i%60000)
				r.Proto, r.DstPorts = udp, Ports{port, port}
			}
			set.Rules = append(set.Rules, r)
		}
	default:
		p, ok := profiles[o.Kind]
		if !ok {
			return nil, fmt.Errorf("shapes: %q: no such kind of ruleset; there are same, sources, acl, fw and ipc", o.Kind)
		}
		set.Rules = newMixer(p, o).rules(o.Rules)
	}
	r := rand.New(rand.NewPCG(o.Seed, 2))
	for i := range set.Rules {
		set.Rules[i].Target = o.Targets[r.IntN(len(o.Targets))]
	}
	return set, nil
}

// Frame is what is around the rules in their chain: each rule as it follows "-A INPUT".
type Frame struct {
	Chain         string // FORWARD; "" is INPUT
	Policy        string
	Before, After []string
}

// Text is the ruleset in a chain of the table filter.
func (s *Ruleset) Text(f Frame) string {
	var b strings.Builder
	chain := cmp.Or(f.Chain, "INPUT")
	b.WriteString("*filter\n")
	for _, name := range []string{"INPUT", "FORWARD", "OUTPUT"} {
		policy := "ACCEPT"
		if name == chain {
			policy = f.Policy
		}
		fmt.Fprintf(&b, ":%s %s [0:0]\n", name, policy)
	}
	line := func(text string) { b.WriteString("-A " + chain + " " + text + "\n") }
	for _, text := range f.Before {
		line(text)
	}
	for i := range s.Rules {
		line(s.Rules[i].Text())
	}
	for _, text := range f.After {
		line(text)
	}
	b.WriteString("COMMIT\n")
	return b.String()
}

// First is the first rule that matches, -1 for none.
func (s *Ruleset) First(h *Header) int {
	for i := range s.Rules {
		if s.Rules[i].Matches(h) {
			return i
		}
	}
	return -1
}

// Draw is a packet for a rule that is drawn. An earlier rule may match it, too.
func (s *Ruleset) Draw(r *rand.Rand) Header { return s.DrawFor(r.IntN(len(s.Rules)), r) }

// DrawFor is a packet for one rule. If the rule cannot match, such as with all
// addresses negated, the packet does not.
func (s *Ruleset) DrawFor(i int, r *rand.Rand) Header {
	rule := &s.Rules[i]
	var h Header
	for range 16 { // negations are met by trying again
		h = s.draw(rule, r)
		if rule.Matches(&h) {
			break
		}
	}
	return h
}

func (s *Ruleset) draw(rule *Rule, r *rand.Rand) Header {
	h := Header{
		In:  strings.Replace(rule.In, "+", "0", 1),
		Src: s.address(rule.Src, rule.Not.Src, r), Dst: s.address(rule.Dst, rule.Not.Dst, r),
		Proto: rule.Proto,
	}
	if rule.Not.In {
		h.In = "other0"
	}
	if h.Proto == 0 || rule.Not.Proto {
		h.Proto = s.protocols()[r.IntN(3)]
	}
	src, dst := AnyPort, AnyPort
	if rule.hasPorts() {
		src = rule.SrcPorts
		dst = append([]Ports{rule.DstPorts}, rule.List...)[r.IntN(1+len(rule.List))]
	}
	switch h.Proto {
	case tcp, udp:
		h.SrcPort, h.DstPort = src.draw(rule.Not.SrcPorts, r), dst.draw(rule.Not.DstPorts, r)
	case icmp, icmpv6:
		h.Type = s.echo()
	}
	if h.Proto == tcp {
		h.Flags = packet.FlagSYN
	}
	if rule.Flags != nil {
		h.Flags = rule.Flags.Set | uint8(r.IntN(64))&^rule.Flags.Mask
	}
	if rule.Type != nil {
		h.Type = *rule.Type
	}
	return h
}

// address is one inside a prefix, or anywhere.
func (s *Ruleset) address(p netip.Prefix, not bool, r *rand.Rand) netip.Addr {
	if !p.IsValid() || not {
		p = space(s.Family)
	}
	return fill(p, r)
}

// fill is an address of the prefix.
func fill(p netip.Prefix, r *rand.Rand) netip.Addr {
	b := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(b)*8; bit++ {
		if r.IntN(2) == 1 {
			b[bit/8] |= 0x80 >> (bit % 8)
		}
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// draw is a port of the range, or outside; its ends come up often.
func (p Ports) draw(not bool, r *rand.Rand) uint16 {
	if not {
		return []uint16{p.Low - 1, p.High + 1, uint16(r.IntN(65536))}[r.IntN(3)]
	}
	switch n := int(p.High) - int(p.Low) + 1; r.IntN(4) {
	case 0:
		return p.Low
	case 1:
		return p.High
	default:
		return p.Low + uint16(r.IntN(n))
	}
}

// protocols are those of packets for rules that do not say.
func (s *Ruleset) protocols() []uint8 {
	if s.Family == packet.IPv6 {
		return []uint8{tcp, udp, icmpv6}
	}
	return []uint8{tcp, udp, icmp}
}

// echo is the type of an echo request.
func (s *Ruleset) echo() uint8 {
	if s.Family == packet.IPv6 {
		return 128
	}
	return 8
}

// space is where all addresses are.
func space(f packet.Family) netip.Prefix {
	if f == packet.IPv6 {
		return netip.MustParsePrefix("2001:db8::/32")
	}
	return netip.MustParsePrefix("198.18.0.0/15")
}

// host is the prefix of one address; with i below 131,072 each is another.
func host(f packet.Family, i int) netip.Prefix {
	p := space(f)
	b := p.Addr().AsSlice()
	n := len(b)
	i++
	b[n-1], b[n-2] = byte(i), byte(i>>8)
	if f == packet.IPv6 {
		b[n-3] = byte(i >> 16)
	} else {
		b[n-3] |= byte(i >> 16 & 1)
	}
	a, _ := netip.AddrFromSlice(b)
	return netip.PrefixFrom(a, n*8)
}
