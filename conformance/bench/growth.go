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
	about: `The rules of the first section, packets spread over all of them, from 10 to 1,000,000 rules: cost per packet, time and peak memory of the
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
		rules := newRules(shapes.Same, packet.IPv4, n)
		loads := r.add(restoreCost, n)
		b.say("restore, N = %d", n)
		for _, f := range all[1:] {
			if note := b.hopeless(last[f.title]); note != "" {
				loads.Cells[f.title] = cell{Note: note}
				continue
			}
			loads.Cells[f.title] = f.peak(rules, b.size.limit)
			if e := f.empty(packet.IPv4); err == nil {
				err = e
			}
		}
		for _, f := range all[1:] {
			last[f.title] = loads.Cells[f.title]
		}
		against := func(f *firewall) string { return loads.Cells[f.title].Note }
		if err == nil {
			err = b.packets(r.add(packetCost, n), all, rules, rules.spread(b.size.spread), against)
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
