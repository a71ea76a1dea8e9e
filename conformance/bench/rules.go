package main

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"

	"github.com/bpftables/bpftables/conformance/flood"
	"github.com/bpftables/bpftables/conformance/gen/shapes"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// The seeds of rules and packets.
const (
	ruleSeed   = 20
	packetSeed = 21
)

// rules are what a firewall is to load.
type rules struct {
	*shapes.Ruleset
	shapes.Frame
	kind  shapes.Kind
	whole string // the text of something else than these rules
}

// stateful is how most rulesets of hosts begin.
var stateful = []string{
	"-i lo -j ACCEPT",
	"-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
	"-m conntrack --ctstate INVALID -j DROP",
}

// established is the one rule with connection tracking.
var established = []string{"-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"}

// newRules makes n rules of a kind that drop, the policy accepts.
func newRules(kind shapes.Kind, family packet.Family, n int, targets ...string) *rules {
	set, err := shapes.New(shapes.Options{Kind: kind, Family: family, Rules: n, Seed: ruleSeed, Targets: targets})
	if err != nil {
		panic(err) // a kind that is not there: our own mistake
	}
	r := &rules{Ruleset: set, kind: kind, Frame: shapes.Frame{Policy: "ACCEPT"}}
	if len(targets) > 0 && targets[0] == "ACCEPT" {
		r.Policy = "DROP"
	}
	return r
}

func (r *rules) text() string {
	if r.whole != "" {
		return r.whole
	}
	return r.Ruleset.Text(r.Frame)
}

// accept says whether the rules accept.
func (r *rules) accept() bool { return r.Rules[0].Target == "ACCEPT" }

// nftSet is the ruleset with one nft set instead of all rules; "" where one set does not
// say the same.
func (r *rules) nftSet() string {
	if r.kind != shapes.Same || r.accept() || len(r.Before) > 0 || r.Family != packet.IPv4 {
		return ""
	}
	var b strings.Builder
	b.WriteString("table ip bench {\nset rules {\ntype ipv4_addr . inet_service\nelements = {\n")
	for i := range r.Rules {
		fmt.Fprintf(&b, "%s . %d,\n", r.Rules[i].Src.Addr(), r.Rules[i].DstPorts.Low)
	}
	b.WriteString("}\n}\nchain in {\ntype filter hook input priority filter; policy accept;\n")
	b.WriteString("ip saddr . udp dport @rules counter drop\n}\n}\n")
	return b.String()
}

// ipset is the same with an ipset instead of all rules, and one rule.
func (r *rules) ipset() (set, text string) {
	if r.kind != shapes.Sources || r.accept() || r.Family != packet.IPv4 {
		return "", ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "create rules hash:ip maxelem %d\n", max(65536, len(r.Rules)))
	for i := range r.Rules {
		fmt.Fprintf(&b, "add rules %s\n", r.Rules[i].Src.Addr())
	}
	one := shapes.Ruleset{Family: r.Family}
	frame := r.Frame
	frame.Before = append(append([]string{}, r.Before...), "-m set --match-set rules src -j DROP")
	return b.String(), one.Text(frame)
}

// ten is the same kind of rules and traffic at the smallest N.
func (r *rules) ten(t *traffic) (*rules, *traffic) {
	few := newRules(r.kind, r.Family, smallest)
	if len(t.headers) == 1 {
		return few, few.last()
	}
	return few, few.spread(len(t.headers))
}

// traffic is what is fed, in turn.
type traffic struct {
	headers []shapes.Header
	wire    bool
	fresh   bool   // connection tracking is emptied before each turn
	answer  []byte // what comes back after the first packets; nothing: connections stay NEW
}

// last is one packet for the last rule.
func (r *rules) last() *traffic {
	h := r.DrawFor(len(r.Rules)-1, rand.New(rand.NewPCG(packetSeed, 1)))
	return &traffic{headers: []shapes.Header{r.toHost(h)}}
}

// spread is n packets for rules that are drawn.
func (r *rules) spread(n int) *traffic {
	rnd := rand.New(rand.NewPCG(packetSeed, 2))
	t := &traffic{}
	for range n {
		t.headers = append(t.headers, r.toHost(r.Draw(rnd)))
	}
	return t
}

// toHost sends packets to the host's own address, unless rules ask for others.
func (r *rules) toHost(h shapes.Header) shapes.Header {
	if r.kind == shapes.Same || r.kind == shapes.Sources {
		h.Dst = netip.MustParseAddr(flood.Address4)
		if r.Family == packet.IPv6 {
			h.Dst = netip.MustParseAddr(flood.Address6)
		}
	}
	return h
}

// smallFrame is the IP length of packets that fill a frame of 64 bytes, one of 80 with
// IPv6: the stack has nothing to cut off.
func smallFrame(h *shapes.Header) int {
	if h.Src.Is6() {
		return 66
	}
	return 50
}

// packets are the packets of the headers.
func (t *traffic) packets() (all [][]byte, err error) {
	for i := range t.headers {
		raw, err := t.headers[i].Packet(smallFrame(&t.headers[i]))
		if err != nil {
			return nil, err
		}
		all = append(all, raw)
	}
	return all, nil
}

// expected is how often each rule counts, and at the end how often the policy, when so many
// packets have been fed.
func (r *rules) expected(t *traffic, sent uint64) []uint64 {
	out := make([]uint64, len(r.Rules)+1)
	n := uint64(len(t.headers))
	for i := range t.headers {
		times := sent / n
		if uint64(i) < sent%n {
			times++
		}
		first := r.First(&t.headers[i])
		if first < 0 {
			first = len(r.Rules)
		}
		out[first] += times
	}
	return out
}
