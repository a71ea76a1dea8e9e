package conformance_test

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/bpftables/bpftables/conformance/lab"
)

// The fail points that takeover and give-back meet: those of package compat/takeover, and
// of package engine/apply on the way.
var (
	takeSteps = append(append([]string{"remembered"}, firstSteps...), "enforced", "removed")
	giveSteps = append([]string{"giving", "given", "left"}, steps...)
)

// A takeover and a give-back that are killed at any step leave the same rules enforced,
// by netfilter, by us, or by both; and the next ones complete them.
func TestKilledTakeover(t *testing.T) {
	needRoot(t)
	binary := buildBinary(t, "failpoints")
	for _, variant := range []string{"iptables-legacy", "iptables-nft"} {
		take, give := takeSteps, append([]string{"loaded-nft"}, giveSteps...)
		if variant == "iptables-legacy" { // its tables are removed one after the other
			take = append([]string{"removed-raw", "removed-mangle", "removed-nat", "removed-filter"}, takeSteps...)
			give = append([]string{"loaded-legacy"}, giveSteps...)
		}
		want := ""
		t.Run(variant, func(t *testing.T) { want = observeTool(t, binary, variant) })
		if want == "" {
			continue
		}
		for _, step := range take {
			t.Run(variant+"/takeover/"+step, func(t *testing.T) {
				l := newLab(t, binary)
				load(t, l, variant)
				killCommand(t, binary, l.Host(), step, "takeover")
				expect(t, l, want, "killed at "+step)
				command(t, l.Host(), "", binary, "takeover", "-w", "60")
				expect(t, l, want, "taken over then")
				noRules(t, l, variant)
				checkOrphans(t, binary, l.Host())
			})
		}
		for _, step := range give {
			t.Run(variant+"/give-back/"+step, func(t *testing.T) {
				l := newLab(t, binary)
				load(t, l, variant)
				command(t, l.Host(), "", binary, "takeover", "-w", "60")
				killCommand(t, binary, l.Host(), step, "give-back")
				expect(t, l, want, "killed at "+step)
				command(t, l.Host(), "", binary, "give-back", "-w", "60")
				expect(t, l, want, "given back then")
				if status := string(command(t, l.Host(), "", binary, "status")); !strings.Contains(status, "ipv4: nothing of ours is enforced") {
					t.Errorf("after give-back:\n%s", status)
				}
				if saved := string(command(t, l.Host(), "", variant+"-save")); strings.Contains(saved, "bpftables") || !strings.Contains(saved, "LOGGED") {
					t.Errorf("netfilter has:\n%s", saved)
				}
			})
		}
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

// killCommand runs a command of ours that is killed at a step.
func killCommand(t *testing.T, binary, netns, step string, args ...string) {
	t.Helper()
	cmd := exec.Command("ip", append([]string{"netns", "exec", netns, binary}, append(args, "-w", "60")...)...)
	cmd.Env = append(os.Environ(), "BPFTABLES_IPTABLES=legacy", "BPFTABLES_FAILPOINT="+step)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("%v with fail point %s: %v\n%s", args, step, err, out)
	}
}
