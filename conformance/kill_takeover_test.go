package conformance_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/conformance/lab"
)

// A takeover and a give-back that are killed at any step leave the same rules enforced,
// by netfilter, by us, or by both; and the next ones complete them.
func TestKilledTakeover(t *testing.T) {
	needRoot(t)
	binary := buildBinary(t, "failpoints")
	for _, variant := range []string{"iptables-legacy", "iptables-nft"} {
		want := observeTool(t, binary, variant)
		taken := func(t *testing.T, l *lab.Lab) { noRules(t, l, variant); checkOrphans(t, binary, l.Host()) }
		held := func(t *testing.T, l *lab.Lab) { load(t, l, variant) }
		given := func(t *testing.T, l *lab.Lab) { notOurs(t, l, binary, variant) }
		ours := func(t *testing.T, l *lab.Lab) {
			load(t, l, variant)
			command(t, l.Host(), "", binary, "takeover", "-w", "60")
		}
		t.Run(variant+"/takeover", func(t *testing.T) {
			killed{args: "takeover -w 60", set: held, mended: taken}.handsOver(t, binary, variant, want)
		})
		t.Run(variant+"/give-back", func(t *testing.T) {
			killed{args: "give-back -w 60", set: ours, mended: given}.handsOver(t, binary, variant, want)
		})
	}
}

// ownSteps are the names of the fail points of package compat/takeover.
var ownSteps = regexp.MustCompile(`^(remembered|enforced|removed|giving|given|loaded-)`)

// handsOver kills a command that hands rules over at its own steps, and at each fourth of those
// on the way; at all with -every-step.
func (k killed) handsOver(t *testing.T, binary, variant, want string) {
	l := newLab(t, binary)
	k.set(t, l)
	var points []string
	for line := range strings.Lines(k.command(t, binary, l.Host(), "?")) {
		number, name, ok := strings.Cut(strings.TrimSpace(strings.TrimPrefix(line, "step ")), " ")
		if ok && strings.HasPrefix(line, "step ") && (*everyStep || ownSteps.MatchString(name) || len(points)%4 == 0) {
			points = append(points, number+" "+name)
		} else if ok {
			points = append(points, "")
		}
	}
	for _, point := range points {
		step, name, ok := strings.Cut(point, " ")
		if !ok {
			continue
		}
		command(t, l.Host(), "", binary, "flush", "--all", "-w", "60")
		flushTool(t, l, variant)
		k.set(t, l)
		k.killedAt(t, binary, l.Host(), step)
		expect(t, l, want, "killed at "+point)
		command(t, l.Host(), "", append([]string{binary}, strings.Fields(k.args)...)...)
		expect(t, l, want, "completed after "+name)
		k.mended(t, l)
		if t.Failed() {
			t.Fatalf("at %s", point)
		}
	}
}

// flushTool empties all tables of a tool of netfilter's.
func flushTool(t *testing.T, l *lab.Lab, variant string) {
	t.Helper()
	var text strings.Builder
	for _, table := range []string{"raw", "mangle", "nat", "filter"} {
		fmt.Fprintf(&text, "*%s\nCOMMIT\n", table)
	}
	command(t, l.Host(), text.String(), variant+"-restore")
	for _, chain := range []string{"INPUT", "FORWARD", "OUTPUT"} {
		command(t, l.Host(), "", variant, "-P", chain, "ACCEPT")
	}
}

// notOurs looks whether netfilter has the rules, and we nothing.
func notOurs(t *testing.T, l *lab.Lab, binary, variant string) {
	t.Helper()
	if status := string(command(t, l.Host(), "", binary, "status")); !strings.Contains(status, "ipv4: nothing of ours is enforced") {
		t.Errorf("after give-back:\n%s", status)
	}
	if saved := string(command(t, l.Host(), "", variant+"-save")); strings.Contains(saved, "bpftables") || !strings.Contains(saved, "LOGGED") {
		t.Errorf("netfilter has:\n%s", saved)
	}
}

func load(t *testing.T, l *lab.Lab, variant string) {
	t.Helper()
	command(t, l.Host(), newRules, variant+"-restore")
}

func observeTool(t *testing.T, binary, variant string) string {
	l := newLab(t, binary)
	none := signature(t, l)
	load(t, l, variant)
	got := signature(t, l)
	if got == none {
		t.Fatal("the probes do not tell the rules from none")
	}
	return got
}

func expect(t *testing.T, l *lab.Lab, want, when string) {
	t.Helper()
	if got := signature(t, l); got != want {
		t.Errorf("%s:\n%s\nwant\n%s", when, got, want)
	}
}

// noRules looks whether a tool of netfilter's holds rules that are not ours.
func noRules(t *testing.T, l *lab.Lab, variant string) {
	t.Helper()
	for _, line := range strings.Split(string(command(t, l.Host(), "", variant+"-save")), "\n") {
		if strings.HasPrefix(line, "-A ") && !strings.Contains(line, "bpftables") {
			t.Errorf("netfilter still has: %s", line)
		}
	}
}
