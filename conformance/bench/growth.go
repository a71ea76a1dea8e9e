package main

import (
	"errors"
	"time"

	"github.com/bpftables/bpftables/conformance/gen/shapes"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// What grows, each in rows of its own.
const (
	packetCost  = "packet"
	restoreCost = "restore"
)

var growthFirewalls = []string{legacy, nft, nftSet, ours}

var growthPart = &part{
	name: "growth", title: "Growth",
	about: `The rules of the first section, packets spread over all of them, from 10 to 1,000,000 rules: cost per packet, time and peak memory of one
restore. A firewall that would take more than a minute to load is left out from there on.`,
	firewalls: growthFirewalls, what: "of", show: timeAndMemory,
	measure: measureGrowth,
	plots: []plotted{
		{file: "packets.svg", title: "One packet", y: "ns per packet", value: cellTime, lines: linesOf(packetCost, growthFirewalls...)},
		{file: "restore.svg", title: "Restore", y: "ms", value: cellMillis, lines: linesOf(restoreCost, growthFirewalls...)},
		{file: "memory.svg", title: "Peak memory of the restore", y: "MB", value: cellMB, lines: linesOf(restoreCost, growthFirewalls...)},
	},
}

func measureGrowth(b *bench, r *result) error {
	all, err := b.firewalls(append([]string{none}, growthFirewalls...)...)
	if err != nil {
		return err
	}
	last := map[string]cell{}
	for _, n := range b.size.growth {
		same := newRules(shapes.Same, packet.IPv4, n)
		loads := r.add(restoreCost, n)
		load := func(f *firewall, rules *rules) (note string) {
			if f.load == nil {
				return f.attachNone(rules)
			}
			c := cell{Note: b.hopeless(last[f.title])}
			if c.Note == "" {
				c = f.peak(rules, b.size.limit)
			}
			loads.Cells[f.title], last[f.title] = c, c
			return c.Note
		}
		if err == nil {
			err = b.packets(r.add(packetCost, n), all, same, same.spread(b.size.spread), load)
		}
	}
	r.sort()
	return errors.Join(err, removeAll(all))
}

// hopeless says why ten times as many rules are not tried.
func (b *bench) hopeless(last cell) string {
	if last.Note != "" {
		return last.Note
	}
	if last.Time > b.size.limit/8 {
		return "would take more than " + b.size.limit.Truncate(time.Second).String() + " to load"
	}
	return ""
}

func linesOf(what string, titles ...string) (lines []lineOf) {
	for _, title := range titles {
		lines = append(lines, lineOf{what: what, firewall: title, label: title})
	}
	return lines
}
