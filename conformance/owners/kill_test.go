package owners

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/bpftables/bpftables/conformance/lab"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// mostSteps is beyond the number of steps of a change.
const mostSteps = 300

// TestOwnerKilledSteps kills fence at each step that a change of both families comes to, one
// after the other. Of each family packets meet all old rules or all new ones; when the next
// command, of the other owner, has run, so they do of both: rules, and elements of sets.
func TestOwnerKilledSteps(t *testing.T) {
	h := newHost(t, "failpoints")
	old, anew := small(1002, 0), small(1007, 1)
	h.load(anew, iptablesRules)
	newMet, newRules := h.met(), h.rules()
	for step := 1; ; step++ {
		if step == mostSteps {
			t.Fatalf("no end after %d steps", step)
		}
		inside(t, h.ours, old, h.fence, "apply")
		oldMet, oldRules := h.met(), h.rules()
		if oldMet == newMet || oldRules == newRules {
			t.Fatal("the rules do not differ")
		}
		if !h.killed(step, anew) {
			if step == 1 {
				t.Error("the change comes to no step")
			}
			return
		}
		for i, f := range []string{"ipv4", "ipv6"} {
			if now := h.met()[i]; now != oldMet[i] && now != newMet[i] && !betweenElements(now, oldMet[i], newMet[i]) {
				t.Errorf("killed at step %d: %s: neither the old nor the new rules:\n%s", step, f, now)
			}
		}
		h.iptables(iptablesRules)
		met, rules := h.met(), h.rules()
		if !(met == oldMet && rules == oldRules) && !(met == newMet && rules == newRules) {
			t.Errorf("killed at step %d: after the next command:\n%s\n%s", step, strings.Join(met[:], "\n"), rules)
		}
	}
}

// met is what becomes of some packets, by family: the two ports in which the rules differ, and
// senders of which one set has some and the other has others.
func (h *host) met() (out [2]string) {
	h.Helper()
	for i, family := range []packet.Family{packet.IPv4, packet.IPv6} {
		for _, text := range packets(family) {
			if !strings.Contains(text, ":1001 in") && !strings.Contains(text, ":1002 in") && !strings.Contains(text, ":1007 in") {
				continue
			}
			p, err := lab.Parse(family, text)
			if err != nil {
				h.Fatal(err)
			}
			out[i] += text + ": " + strings.ReplaceAll(seen(h.T, h.ours, p), "\n", "; ") + "\n"
		}
	}
	return out
}

// betweenElements says whether packets meet the new rules, while elements of sets are on
// their way: each packet fares as with the old elements or as with the new ones.
func betweenElements(now, old, anew string) bool {
	lines, before, after := strings.Split(now, "\n"), strings.Split(old, "\n"), strings.Split(anew, "\n")
	if len(lines) != len(before) || len(lines) != len(after) {
		return false
	}
	for i, l := range lines {
		if l != before[i] && l != after[i] {
			return false
		}
	}
	return true
}

// killed runs a change that is killed at its step of a number; false: it ended before.
func (h *host) killed(step int, rules string) bool {
	h.Helper()
	_, err := try(h.ours, []string{fmt.Sprintf("BPFTABLES_FAILPOINT=#%d", step)}, rules, h.fence, "apply")
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL) {
		h.Fatalf("step %d: %v", step, err)
	}
	return err != nil
}
