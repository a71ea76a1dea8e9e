package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/bpftables/bpftables/conformance/gen/shapes"
	"github.com/bpftables/bpftables/ruleset/packet"
)

const (
	statefulHost = "stateful, policy DROP"
	plainRule    = "last of N rules"
)

// raw and net compare iptables-legacy with bpftables: how many times faster it is.
var (
	rawEarly = ratio{heading: "iptables-legacy / early XDP, raw", of: legacy, to: early}
	netEarly = ratio{heading: "net of the floor", of: legacy, to: early, lessFloor: empty}
)

var wirePart = &part{
	name: "wire", title: "Dropped packets on the wire: the early stage",
	about: `Frames arrive through the driver of the interface, native XDP included. "stateful, policy DROP": lo, RELATED,ESTABLISHED and INVALID
as usual, then N rules ` + "`-s A/32 -p udp --dport P -j ACCEPT`" + `; a new connection that none of them matches is dropped by the policy.
"last of N rules": N rules that drop, no connection tracking. The floor is an XDP program of two instructions that drops everything.`,
	firewalls: []string{empty, legacy, nft, earlyOff, early}, what: "ruleset", show: nanoseconds,
	ratios:  []ratio{versus(earlyOff, legacy), rawEarly, netEarly},
	measure: measureWire,
	targets: []target{
		atLeast{what: statefulHost, n: 1, ratio: rawEarly, least: 2},
		atLeast{what: statefulHost, n: 1, ratio: netEarly, least: 4},
		atLeast{what: statefulHost, n: 10000, ratio: rawEarly, least: 80},
		atMost{what: plainRule, n: 1, ratio: versus(earlyOff, legacy), most: 1}, atMost{what: plainRule, n: 10, ratio: versus(earlyOff, legacy), most: 1},
		netCost{what: statefulHost, n: 10000, of: early, floor: empty, most: 160 * time.Nanosecond},
	},
}

func measureWire(b *bench, r *result) error {
	all, err := b.usual(empty, legacy, nft, earlyOff, early)
	if err != nil {
		return errors.Join(err, removeAll(all))
	}
	for _, n := range b.size.wire {
		if err == nil {
			rules := newRules(shapes.Same, packet.IPv4, n)
			t := rules.last()
			t.wire = true
			err = b.wired(r.add(plainRule, n), all, rules, t)
		}
		if err == nil {
			// One rule more, whose packet no other matches.
			more := newRules(shapes.Same, packet.IPv4, n+1, "ACCEPT")
			t := more.last()
			t.wire = true
			more.Rules, more.Before = more.Rules[:n], stateful
			err = b.wired(r.add(statefulHost, n), all, more, t)
		}
	}
	r.sort()
	return errors.Join(err, removeAll(all))
}

// wired measures several times where the firewalls are close.
func (b *bench) wired(row *row, all []*firewall, r *rules, t *traffic) error {
	if row.N <= closeRules {
		return b.medians(row, all, r, t)
	}
	return b.packets(row, all, r, t, b.loading)
}

// netCost is a target: what a packet costs beyond a floor.
type netCost struct {
	what      string
	n         int
	of, floor string
	most      time.Duration
}

// judge says whether it is met.
func (t netCost) judge(r *result) (text string, met, known bool) {
	text = fmt.Sprintf("%s, N = %d: %s less %s at most %d ns", t.what, t.n, t.of, t.floor, t.most.Nanoseconds())
	cost, floor := r.at(t.what, t.n, t.of).Time, r.at(t.what, t.n, t.floor).Time
	if cost == 0 || floor == 0 {
		return text, false, false
	}
	return text + fmt.Sprintf(" (%d ns)", (cost-floor).Nanoseconds()), cost-floor <= t.most, true
}
