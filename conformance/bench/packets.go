package main

import (
	"errors"

	"github.com/bpftables/bpftables/conformance/gen/shapes"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// nftMost is up to how many rules iptables-nft is asked: beyond, one packet takes
// more than a millisecond.
const nftMost = 10000

const (
	byLast = "last rule"
	byAll  = "all rules"
)

var packetsPart = &part{
	name: "packets", title: "Packets dropped by one of N rules of the same shape",
	about: `Nanoseconds for the whole way of a received UDP packet into a host, until it is dropped in INPUT. The ruleset is
N rules ` + "`-s A/32 -p udp --dport P -j DROP`" + `. "last rule": the last one matches; "all rules": 65,536 packets, each for a
rule that is drawn. "no rules": a BPF program of two instructions at the hook drops. "nft set": one rule,
` + "`ip saddr . udp dport @rules counter drop`" + `, and a set of N elements. "bpftables, N = 10": the same with 10 rules, in turn
with the others. All rules are loaded several times: where programs and maps come to lie makes a difference of some percent.`,
	firewalls: []string{none, legacy, nft, nftSet, ours, oursTen}, what: "dropped by", show: nanoseconds,
	ratios: []ratio{versus(ours, legacy), versus(ours, nftSet), overTen},
	measure: func(b *bench, r *result) error {
		all, err := b.firewalls(none, legacy, nft, nftSet, ours, oursTen)
		if err != nil {
			return err
		}
		for _, n := range b.size.rules {
			rules := newRules(shapes.Same, packet.IPv4, n)
			last, spread := r.add(byLast, n), r.add(byAll, n)
			for range b.size.reloads {
				if err == nil {
					err = b.again(last, all, rules, rules.last())
				}
				if err == nil {
					err = b.again(spread, all, rules, rules.spread(b.size.spread))
				}
			}
		}
		r.sort()
		return errors.Join(err, removeAll(all))
	},
	targets: []target{
		growing{what: []string{byLast}, most: 1.1, upTo: 100000},
	},
}

var mixedPart = &part{
	name: "mixed", title: "Packets dropped by mixed rulesets",
	about: `The same with rulesets like access lists (acl), firewalls (fw) and IP chains (ipc): nested prefixes of many lengths, classes of
port ranges and protocols, distributed roughly as ClassBench does (conformance/gen/shapes). 65,536 packets, each for a rule that is drawn;
an earlier rule may match it, too. With up to 1,000 rules, each rule's counter has been compared with a linear reference.`,
	firewalls: []string{none, legacy, ours, oursTen}, what: "ruleset", show: nanoseconds,
	ratios: []ratio{versus(ours, legacy), overTen},
	plots: []plotted{{
		file: "mixed.svg", title: "One packet, mixed rulesets, IPv4", y: "ns per packet", value: cellTime,
		lines: mixedLines(legacy, ours),
	}},
	measure: measureMixed,
	targets: []target{
		growing{what: mixedNames(), most: 1.5, upTo: 10000},
		growing{what: mixedNames(), most: 2.5, from: 10001, upTo: 100000},
		ahead{what: mixedNames(), of: ours, to: legacy},
	},
}

var mixedKinds = []shapes.Kind{shapes.ACL, shapes.FW, shapes.IPC}

func mixedName(kind shapes.Kind, family packet.Family) string {
	return string(kind) + map[packet.Family]string{packet.IPv4: " IPv4", packet.IPv6: " IPv6"}[family]
}

func mixedNames() (names []string) {
	for _, family := range []packet.Family{packet.IPv4, packet.IPv6} {
		for _, kind := range mixedKinds {
			names = append(names, mixedName(kind, family))
		}
	}
	return names
}

func mixedLines(titles ...string) (lines []lineOf) {
	for _, title := range titles {
		for _, kind := range mixedKinds {
			lines = append(lines, lineOf{what: mixedName(kind, packet.IPv4), firewall: title, label: title + ", " + string(kind)})
		}
	}
	return lines
}

// closeRules is up to how many rules the firewalls are so close that rules are loaded several
// times.
const closeRules = 100

func measureMixed(b *bench, r *result) error {
	all, err := b.firewalls(none, legacy, ours, oursTen)
	if err != nil {
		return err
	}
	for _, family := range []packet.Family{packet.IPv4, packet.IPv6} {
		numbers := b.size.mixed
		if family == packet.IPv6 {
			numbers = b.size.rules6
		}
		for _, kind := range mixedKinds {
			for _, n := range numbers {
				rules := newRules(kind, family, n)
				sum := r.add(mixedName(kind, family), n)
				for i := 0; i < b.size.reloads && (i == 0 || n <= closeRules); i++ {
					if err == nil {
						err = b.again(sum, all, rules, rules.spread(b.size.spread))
					}
				}
			}
		}
	}
	return errors.Join(err, removeAll(all))
}
