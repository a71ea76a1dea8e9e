package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/bpftables/bpftables/conformance/gen/shapes"
	"github.com/bpftables/bpftables/ruleset/packet"
)

const restoring = "restore"

var loadsPart = &part{
	name: "loads", title: "Restore",
	about: `Time from start to end of the restore command into an empty namespace (the fastest of several), and the
largest peak of its resident memory, with N rules ` + "`-s A/32 -p udp --dport P -j DROP`" + ` and the conntrack rule. With
` + "`bpftables serve`" + `, the peak is that of the command and the server together.`,
	firewalls: []string{legacy, nft, ours, served}, what: "", show: timeAndMemory,
	ratios: []ratio{
		{heading: "iptables-legacy / bpftables", of: legacy, to: ours},
		{heading: "iptables-legacy / serve", of: legacy, to: served},
	},
	measure: func(b *bench, r *result) error {
		all, err := b.firewalls(legacy, nft, ours, served)
		if err != nil {
			return err
		}
		for _, n := range b.size.loads {
			rules := newRules(shapes.Same, packet.IPv4, n)
			rules.Before = established
			b.say("restore of %d rules", n)
			if err == nil {
				err = b.restores(r.add(restoring, n), all, rules)
			}
		}
		return errors.Join(err, removeAll(all))
	},
	targets: []target{
		atLeast{what: restoring, n: 10000, ratio: ratio{of: legacy, to: ours}, least: 5},
		atLeast{what: restoring, n: 40000, ratio: ratio{of: legacy, to: ours}, least: 5},
		atLeast{what: restoring, n: 160000, ratio: ratio{of: legacy, to: ours}, least: 5},
		atLeast{what: restoring, n: 20, ratio: ratio{of: legacy, to: ours}, least: 0.5},
		memory{what: restoring, n: 10000, most: 2}, memory{what: restoring, n: 40000, most: 2}, memory{what: restoring, n: 160000, most: 2},
	},
}

// restores loads the rules into empty namespaces, the firewalls in turns.
func (b *bench) restores(row *row, all []*firewall, r *rules) error {
	spent := map[string]time.Duration{}
	for range 5 {
		for _, f := range all {
			c := row.Cells[f.title]
			if c.Note != "" || spent[f.title] >= b.size.repeat {
				continue
			}
			now := f.peak(r, b.size.limit)
			spent[f.title] += now.Time
			row.Cells[f.title] = faster(c, now)
			if err := f.empty(r.Family); err != nil {
				return err
			}
		}
	}
	return nil
}

// faster has the least time and the largest memory of two measurements.
func faster(a, b cell) cell {
	if b.Note != "" {
		return b
	}
	if a.Time == 0 || b.Time < a.Time {
		a.Time = b.Time
	}
	a.KiB = max(a.KiB, b.KiB)
	return a
}

// memory is a target: at most so many times iptables-legacy's peak, and below that of
// iptables-nft where it was measured.
type memory struct {
	what string
	n    int
	most float64
}

// judge says whether it is met.
func (m memory) judge(r *result) (text string, met, known bool) {
	text = fmt.Sprintf("%s, N = %d, peak memory: at most %g times iptables-legacy's, and below iptables-nft's", m.what, m.n, m.most)
	l, n, o := r.at(m.what, m.n, legacy).KiB, r.at(m.what, m.n, nft).KiB, r.at(m.what, m.n, ours).KiB
	if l == 0 || o == 0 {
		return text, false, false
	}
	text += fmt.Sprintf(" (%.2f times; %d MB", float64(o)/float64(l), mega(o))
	if n > 0 {
		text += fmt.Sprintf(", iptables-nft %d MB", mega(n))
	}
	return text + ")", float64(o) <= m.most*float64(l) && (n == 0 || o < n), true
}
