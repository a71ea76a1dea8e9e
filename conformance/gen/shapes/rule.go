package shapes

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// Protocol numbers that rules may name.
const (
	icmp   = 1
	tcp    = 6
	udp    = 17
	gre    = 47
	esp    = 50
	icmpv6 = 58
)

// Ports is a range of port numbers.
type Ports struct{ Low, High uint16 }

// AnyPort is the range that no rule needs to name.
var AnyPort = Ports{0, 65535}

// Has says whether the range has the port.
func (p Ports) Has(port uint16) bool { return p.Low <= port && port <= p.High }

func (p Ports) text() string {
	if p.Low == p.High {
		return fmt.Sprint(p.Low)
	}
	return fmt.Sprintf("%d:%d", p.Low, p.High)
}

// Rule is one rule. The zero value of a field, and AnyPort, ask for nothing.
type Rule struct {
	In       string
	Src, Dst netip.Prefix
	Proto    uint8
	SrcPorts Ports // TCP and UDP
	DstPorts Ports
	List     []Ports // further destination ports, as multiport has them
	Flags    *Flags  // TCP
	Type     *uint8  // ICMP and ICMPv6
	Not      Negations
	Target   string
}

// Flags is --tcp-flags.
type Flags struct{ Mask, Set uint8 }

// Negations are the parts of a rule that have a "!" in front.
type Negations struct{ In, Src, Dst, Proto, SrcPorts, DstPorts bool }

// Header is what a rule may ask about a packet.
type Header struct {
	In               string // an interface; "" where no rule asks
	Src, Dst         netip.Addr
	Proto            uint8
	SrcPort, DstPort uint16
	Flags            uint8 // TCP
	Type             uint8 // ICMP and ICMPv6
}

// Matches is what netfilter would say.
func (r *Rule) Matches(h *Header) bool {
	return (r.In == "" || r.matchesIn(h.In) != r.Not.In) &&
		(!r.Src.IsValid() || r.Src.Contains(h.Src) != r.Not.Src) &&
		(!r.Dst.IsValid() || r.Dst.Contains(h.Dst) != r.Not.Dst) &&
		(r.Proto == 0 || (h.Proto == r.Proto) != r.Not.Proto) &&
		(!r.hasPorts() || r.matchesPorts(h)) &&
		(r.Flags == nil || h.Flags&r.Flags.Mask == r.Flags.Set) &&
		(r.Type == nil || h.Type == *r.Type)
}

func (r *Rule) matchesIn(name string) bool {
	if start, ok := strings.CutSuffix(r.In, "+"); ok {
		return strings.HasPrefix(name, start)
	}
	return name == r.In
}

func (r *Rule) matchesPorts(h *Header) bool {
	if r.SrcPorts.Has(h.SrcPort) == r.Not.SrcPorts {
		return false
	}
	dst := r.DstPorts.Has(h.DstPort)
	for _, p := range r.List {
		dst = dst || p.Has(h.DstPort)
	}
	return dst != r.Not.DstPorts
}

// hasPorts says whether the rule may ask for ports.
func (r *Rule) hasPorts() bool { return (r.Proto == tcp || r.Proto == udp) && !r.Not.Proto }

// Text is the rule as iptables-save prints it, without its chain.
func (r *Rule) Text() string {
	var w []string
	add := func(not bool, words ...string) {
		if not {
			w = append(w, "!")
		}
		w = append(w, words...)
	}
	if r.Src.IsValid() {
		add(r.Not.Src, "-s", r.Src.String())
	}
	if r.Dst.IsValid() {
		add(r.Not.Dst, "-d", r.Dst.String())
	}
	if r.In != "" {
		add(r.Not.In, "-i", r.In)
	}
	if r.Proto != 0 {
		add(r.Not.Proto, "-p", protocolName(r.Proto))
	}
	w = append(w, r.transport()...)
	if r.Target != "" {
		w = append(w, "-j", r.Target)
	}
	return strings.Join(w, " ")
}

// transport is the part of the text behind -p.
func (r *Rule) transport() []string {
	var w []string
	option := func(not bool, name, value string) {
		if not {
			w = append(w, "!")
		}
		w = append(w, name, value)
	}
	listed := r.hasPorts() && len(r.List) > 0
	if r.hasPorts() {
		if r.SrcPorts != AnyPort {
			option(r.Not.SrcPorts, "--sport", r.SrcPorts.text())
		}
		if r.DstPorts != AnyPort && !listed {
			option(r.Not.DstPorts, "--dport", r.DstPorts.text())
		}
	}
	if r.Flags != nil {
		w = append(w, "--tcp-flags", flagNames(r.Flags.Mask), flagNames(r.Flags.Set))
	}
	if r.Type != nil {
		name := map[uint8]string{icmp: "--icmp-type", icmpv6: "--icmpv6-type"}[r.Proto]
		option(false, name, fmt.Sprint(*r.Type))
	}
	if len(w) > 0 {
		w = append([]string{"-m", protocolMatch(r.Proto)}, w...)
	}
	if listed {
		words := []string{r.DstPorts.text()}
		for _, p := range r.List {
			words = append(words, p.text())
		}
		w = append(w, "-m", "multiport")
		option(r.Not.DstPorts, "--dports", strings.Join(words, ","))
	}
	return w
}

// protocolName is how iptables-save prints a protocol.
func protocolName(proto uint8) string {
	switch proto {
	case icmpv6:
		return "ipv6-icmp"
	case gre:
		return "gre"
	case esp:
		return "esp"
	}
	return protocolMatch(proto)
}

// protocolMatch is the word after -m.
func protocolMatch(proto uint8) string {
	switch proto {
	case icmp:
		return "icmp"
	case tcp:
		return "tcp"
	case udp:
		return "udp"
	case icmpv6:
		return "icmp6"
	}
	return fmt.Sprint(proto)
}

func flagNames(bits uint8) string {
	var names []string
	for i, n := range []string{"FIN", "SYN", "RST", "PSH", "ACK", "URG"} {
		if bits>>i&1 != 0 {
			names = append(names, n)
		}
	}
	if len(names) == 0 {
		return "NONE"
	}
	return strings.Join(names, ",")
}

// Packet is a packet with this header, from the IP header on, and as much payload as takes
// it to so many bytes.
func (h *Header) Packet(size int) ([]byte, error) {
	family := packet.IPv4
	if h.Src.Is6() {
		family = packet.IPv6
	}
	s := packet.NewSpec(family, h.Proto)
	s.Src, s.Dst, s.SrcPort, s.DstPort = h.Src, h.Dst, h.SrcPort, h.DstPort
	s.Flags = h.Flags
	if h.Proto == icmp || h.Proto == icmpv6 {
		s.Type = h.Type
	}
	raw, err := s.Build()
	if err != nil || len(raw) >= size {
		return raw, err
	}
	s.Payload = make([]byte, size-len(raw))
	return s.Build()
}
