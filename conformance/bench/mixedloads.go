package main

import (
	"errors"

	"github.com/bpftables/bpftables/ruleset/packet"
)

var mixedLoadsPart = &part{
	name: "mixedloads", title: "Restore of mixed rulesets",
	about: `The same with rulesets like access lists, firewalls and IP chains, as above: most of them are looked up in trees, whose layout takes
more than that of tables.`,
	firewalls: []string{legacy, ours}, what: "ruleset", show: timeAndMemory,
	ratios:  []ratio{{heading: "iptables-legacy / bpftables", of: legacy, to: ours}},
	measure: measureMixedLoads,
	targets: mixedLoadTargets(),
}

// mixedLoadTargets are those of every mixed ruleset.
func mixedLoadTargets() (out []target) {
	for _, what := range mixedNames() {
		for _, n := range []int{10000, 100000} {
			out = append(out, atLeast{what: what, n: n, ratio: ratio{of: legacy, to: ours}, least: 2})
		}
		out = append(out, memory{what: what, n: 100000, most: 2})
	}
	return out
}

func measureMixedLoads(b *bench, r *result) error {
	all, err := b.firewalls(legacy, ours)
	if err != nil {
		return err
	}
	for _, family := range []packet.Family{packet.IPv4, packet.IPv6} {
		for _, kind := range mixedKinds {
			for _, n := range b.size.mixedLoads {
				b.say("restore of %d rules, %s", n, mixedName(kind, family))
				if err == nil {
					err = b.restores(r.add(mixedName(kind, family), n), all, newRules(kind, family, n))
				}
			}
		}
	}
	return errors.Join(err, removeAll(all))
}
