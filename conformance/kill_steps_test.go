package conformance_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// mostSteps is beyond the number of steps of any command.
const mostSteps = 200

// Commands besides restore are killed at each step that they come to, one after the other:
// the old or the new rules are enforced completely, and the next restore is whole.
func TestKilledSteps(t *testing.T) {
	needRoot(t)
	binary := buildBinary(t, "failpoints")
	before, changed := observe(t, binary, oldRules), observe(t, binary, newRules)
	for _, args := range []string{
		"flush --all -w 60", "flush -w 60",
		"iptables -w 60 -I INPUT -p udp --dport 1002 -j DROP",
		"iptables -w 60 -t nat -F",
		"iptables -w 60 -A INPUT -p udp --dport 11 -j LOG",
	} {
		t.Run(args, func(t *testing.T) {
			l := newLab(t, binary)
			restore(t, binary, l.Host(), oldRules)
			command(t, l.Host(), "", append([]string{binary}, strings.Fields(args)...)...)
			after := signature(t, l)
			for step := 1; ; step++ {
				if step == mostSteps {
					t.Fatalf("no end after %d steps", step)
				}
				// Tables that a restore does not name stay.
				command(t, l.Host(), "", binary, "flush", "--all", "-w", "60")
				restore(t, binary, l.Host(), oldRules)
				if !killedAt(t, binary, l.Host(), step, args) {
					if step == 1 {
						t.Error("the command comes to no step")
					}
					return
				}
				if got := signature(t, l); got != before && got != after {
					t.Errorf("killed at step %d: neither the old nor the new rules:\n%s", step, got)
				}
				restore(t, binary, l.Host(), newRules)
				if got := signature(t, l); got != changed {
					t.Errorf("killed at step %d: the next restore: got\n%s\nwant\n%s", step, got, changed)
				}
			}
		})
	}
}

// killedAt runs a command that is killed at its step of a number; false: it ended before.
func killedAt(t *testing.T, binary, netns string, step int, args string) bool {
	t.Helper()
	cmd := exec.Command("ip", append([]string{"netns", "exec", netns, binary}, strings.Fields(args)...)...)
	cmd.Env = append(os.Environ(), "BPFTABLES_IPTABLES=legacy", fmt.Sprintf("BPFTABLES_FAILPOINT=#%d", step))
	out, err := cmd.CombinedOutput()
	if err == nil {
		return false
	}
	var exit *exec.ExitError
	if status, ok := syscall.WaitStatus(0), errors.As(err, &exit); ok {
		status = exit.Sys().(syscall.WaitStatus)
		if status.Signal() == syscall.SIGKILL {
			return true
		}
	}
	t.Fatalf("%s, to be killed at step %d: %v: %s", args, step, err, out)
	return false
}
