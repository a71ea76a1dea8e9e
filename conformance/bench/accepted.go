package main

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/conformance/gen/shapes"
	"github.com/bpftables/bpftables/ruleset/packet"
)

const (
	tracked   = "conntrack first"
	untracked = "no conntrack"
)

var acceptedPart = &part{
	name: "accepted", title: "Accepted packets",
	about: `The same way, but the last of N rules ` + "`-s A/32 -p udp --dport P -j ACCEPT`" + ` matches, the policy is DROP, and the packet
ends at a socket whose buffer is full. "conntrack first": ` + "`-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`" + ` comes before,
and the packet is NEW. Real rulesets have 18 rules in the median. "no rules": nothing at all.`,
	firewalls: []string{none, legacy, nft, ours}, what: "connection tracking", show: nanoseconds,
	ratios:  []ratio{versus(ours, legacy), versus(ours, nft)},
	measure: measureAccepted,
	targets: []target{
		atMost{what: tracked, n: 18, ratio: versus(ours, legacy), most: 1.05},
	},
}

func measureAccepted(b *bench, r *result) error {
	all, err := b.firewalls(none, legacy, nft, ours)
	if err != nil {
		return err
	}
	for _, what := range []string{untracked, tracked} {
		for _, n := range b.size.accepted {
			rules := newRules(shapes.Same, packet.IPv4, n, "ACCEPT")
			if what == tracked {
				rules.Before = established
			}
			if err == nil {
				err = b.acceptedRow(r.add(what, n), all, rules)
			}
		}
	}
	return errors.Join(err, removeAll(all))
}

func (b *bench) acceptedRow(row *row, all []*firewall, rules *rules) (err error) {
	t := rules.last()
	for _, f := range all {
		sock, e := f.fullSocket(t.headers[0].DstPort)
		if e != nil {
			return e
		}
		defer unix.Close(sock)
	}
	return b.packets(row, all, rules, t, b.loading)
}
