package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/bpftables/bpftables/conformance/gen/shapes"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// oneByOne is bpftables with rules that single commands have made, a moment ago.
const oneByOne = "bpftables, just changed"

var justChangedPart = &part{
	name: "justchanged", title: "Packets through a chain that was just changed",
	about: `A dropped packet as in the first section, with INPUT as a restore of the whole file leaves it, and with the same rules after N single commands ` + "`-A`" + `,
without a server. The rules are loaded seven times; times are medians.`,
	firewalls: []string{none, ours, oneByOne}, what: "chain", show: nanoseconds,
	ratios:  []ratio{versus(oneByOne, ours)},
	measure: measureJustChanged,
	targets: []target{more{what: justChanged, of: oneByOne, than: ours, most: 100 * time.Nanosecond}},
}

const justChanged = "INPUT"

func measureJustChanged(b *bench, r *result) error {
	all, err := b.firewalls(none, ours, oneByOne)
	if err != nil {
		return err
	}
	for _, n := range b.size.justChanged {
		if err == nil {
			rules := newRules(shapes.Same, packet.IPv4, n)
			err = b.medians(r.add(justChanged, n), all, rules, rules.last())
		}
	}
	return errors.Join(err, removeAll(all))
}

// oneByOne is the program that is given rules one by one.
func (b *bench) oneByOne() *firewall {
	f := b.bpftables()
	f.load = func(r *rules) []step {
		var steps []step
		for i := range r.Rules {
			rule := &r.Rules[i]
			args := append(f.command(r.Family), "-A", "INPUT", "-s", rule.Src.String(), "-p", "udp", "--dport", fmt.Sprint(rule.DstPorts.Low), "-j", rule.Target)
			steps = append(steps, step{args: args})
		}
		return steps
	}
	return f
}

// more is a target: at most so many nanoseconds more than another, at every N.
type more struct {
	what, of, than string
	most           time.Duration
}

func (t more) judge(r *result) (text string, met, known bool) {
	text = fmt.Sprintf("%s: %s at most %v more than %s at every N", t.what, t.of, t.most, t.than)
	worst := time.Duration(-1 << 62)
	for _, row := range r.beginning(t.what) {
		if of, than := row.Cells[t.of].Time, row.Cells[t.than].Time; of > 0 && than > 0 {
			worst, known = max(worst, of-than), true
		}
	}
	if known {
		text += fmt.Sprintf(" (worst: %v)", worst)
	}
	return text, worst <= t.most, known
}
