package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/bpftables/bpftables/conformance/gen/shapes"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// One command each, on top of N rules.
const (
	appendOne   = "append a rule"
	insertFirst = "insert a rule first"
	deleteOne   = "delete a rule"
	saveAll     = "save"
)

// changes are in the order in which they are run. The rule is none of the others.
var changes = []struct {
	what string
	args []string
}{
	{appendOne, []string{"-A", "INPUT"}},
	{deleteOne, []string{"-D", "INPUT"}},
	{insertFirst, []string{"-I", "INPUT"}},
}

var changed = []string{"-s", "203.0.113.7", "-p", "udp", "--dport", "53", "-j", "DROP"}

var updatesPart = &part{
	name: "updates", title: "One rule changes",
	about: `Time from start to end of one command with N rules in place: ` + "`-A`, `-I` and `-D` of one rule by `iptables-legacy`, `iptables-nft`" + ` and
` + "`bpftables iptables`" + `, and all rules printed by iptables-save and ` + "`bpftables save`" + `. The fastest of several, where one does not take seconds.`,
	firewalls: []string{legacy, nft, ours, served}, what: "command", show: timeAndMemory,
	ratios: []ratio{
		{heading: "iptables-legacy / bpftables", of: legacy, to: ours},
		{heading: "iptables-legacy / serve", of: legacy, to: served},
	},
	measure: measureUpdates,
	targets: updateTargets(full.updates),
}

func updateTargets(n int) (all []target) {
	for _, what := range []string{appendOne, insertFirst, deleteOne} {
		all = append(all,
			below{what: what, n: n, of: served, most: 2 * time.Millisecond},
			atLeast{what: what, n: n, ratio: ratio{of: legacy, to: served}, least: 100},
			atLeast{what: what, n: n, ratio: ratio{of: legacy, to: ours}, least: 1},
		)
	}
	return append(all, atLeast{what: saveAll, n: n, ratio: ratio{of: legacy, to: ours}, least: 2})
}

func measureUpdates(b *bench, r *result) error {
	all, err := b.firewalls(legacy, nft, ours, served)
	if err != nil {
		return err
	}
	n := b.size.updates
	rules := newRules(shapes.Same, packet.IPv4, n)
	rules.Before = established
	rows := map[string]*row{}
	for _, what := range []string{appendOne, insertFirst, deleteOne, saveAll} {
		rows[what] = r.add(what, n)
	}
	for _, f := range all {
		b.say("%s: changes of %d rules", f.title, n)
		_, note := f.apply(rules, b.size.limit)
		if note == "" {
			b.change(f, rows)
		}
		for _, row := range rows {
			if note != "" {
				row.Cells[f.title] = cell{Note: note}
			}
		}
	}
	return errors.Join(err, removeAll(all))
}

// change runs the commands until their time is used up.
func (b *bench) change(f *firewall, rows map[string]*row) {
	var spent time.Duration
	for i := 0; i < 100 && spent < 2*b.size.repeat; i++ {
		took := time.Duration(0)
		for _, c := range changes {
			took += b.once(f, rows[c.what], append(append(f.command(packet.IPv4), c.args...), changed...), nil)
		}
		if took == 0 { // nothing of it is there
			break
		}
		spent += took
		// The inserted rule goes, too, for the next round; that is no measurement. The
		// server does it where there is one: behind its back, it would have to read all anew.
		err := f.host.Do(func() error {
			_, err := f.process(append(append(f.command(packet.IPv4), "-D", "INPUT"), changed...), nil, nil, b.size.limit)
			return err
		})
		if err != nil {
			rows[deleteOne].Cells[f.title] = cell{Note: reason(err)}
			break
		}
	}
	for start := time.Now(); ; {
		if b.once(f, rows[saveAll], f.save(packet.IPv4), io.Discard) == 0 || time.Since(start) > b.size.repeat {
			break
		}
	}
}

// once measures a command, unless it has failed before; 0: there is no measurement.
func (b *bench) once(f *firewall, row *row, args []string, out io.Writer) time.Duration {
	c := row.Cells[f.title]
	if c.Note != "" {
		return 0
	}
	var wall time.Duration
	err := f.host.Do(func() (err error) {
		wall, err = f.process(args, nil, out, b.size.limit)
		return err
	})
	if err != nil {
		row.Cells[f.title] = cell{Note: reason(err)}
		return 0
	}
	row.Cells[f.title] = faster(c, cell{Time: wall})
	return wall
}

// below is a target: a command takes less than so long.
type below struct {
	what string
	n    int
	of   string
	most time.Duration
}

// judge says whether it is met.
func (t below) judge(r *result) (text string, met, known bool) {
	text = fmt.Sprintf("%s, %d rules: %s under %v", t.what, t.n, t.of, t.most)
	c := r.at(t.what, t.n, t.of)
	if c.Time == 0 {
		return text, false, false
	}
	return text + fmt.Sprintf(" (%s)", short(c.Time)), c.Time < t.most, true
}
