package main

import (
	"errors"

	"github.com/bpftables/bpftables/conformance/flood"
	"github.com/bpftables/bpftables/conformance/gen/shapes"
	"github.com/bpftables/bpftables/ruleset/packet"
)

const (
	establishedFlow = "established"
	newFlow         = "new"
)

var forwardPart = &part{
	name: "forward", title: "Forwarded packets",
	about: `The whole way of a UDP packet through a router: from the driver of one interface to that of another, where it ends. FORWARD has
` + "`-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`" + `, then N rules ` + "`-s A/32 -p udp --dport P -j ACCEPT`" + `, and the policy DROP.
"established": the connection has been answered; "new": it has not, and the last rule accepts the packet. "no rules": nothing at all, not
even connection tracking. The rules are loaded seven times; times and ratios are medians.`,
	firewalls: []string{none, legacy, nft, ours}, what: "connection", show: nanoseconds,
	ratios:  []ratio{versus(ours, legacy), versus(ours, nft)},
	measure: measureForward,
	targets: []target{
		atMost{what: establishedFlow, n: 15, ratio: versus(ours, legacy), most: 1}, atMost{what: establishedFlow, n: 1000, ratio: versus(ours, legacy), most: 1},
		atMost{what: newFlow, n: 15, ratio: versus(ours, legacy), most: 1}, atMost{what: newFlow, n: 1000, ratio: versus(ours, legacy), most: 1},
	},
}

func measureForward(b *bench, r *result) error {
	all, err := b.usual(none, legacy, nft, ours)
	for _, f := range all {
		if err == nil {
			err = f.host.Route()
		}
	}
	for _, n := range b.size.forward {
		for _, what := range []string{establishedFlow, newFlow} {
			if err == nil {
				rules, t := forwarded(n, what == establishedFlow)
				err = b.medians(r.add(what, n), all, rules, t)
			}
		}
	}
	return errors.Join(err, removeAll(all))
}

// forwarded are the rules of a router, and the packets of one connection through it.
func forwarded(n int, answered bool) (*rules, *traffic) {
	rules := newRules(shapes.Same, packet.IPv4, n, "ACCEPT")
	rules.Chain, rules.Before = "FORWARD", established
	t := rules.last()
	h := &t.headers[0]
	h.Dst, h.SrcPort, t.wire = flood.BeyondAddr, 4000, true
	if answered {
		h.SrcPort++ // the kernel remembers connections for longer than rules are loaded
		back := shapes.Header{Src: h.Dst, Dst: h.Src, Proto: h.Proto, SrcPort: h.DstPort, DstPort: h.SrcPort}
		raw, err := back.Packet(smallFrame(&back))
		if err != nil {
			panic(err) // a packet that cannot be: our own mistake
		}
		t.answer = raw
	}
	return rules, t
}
