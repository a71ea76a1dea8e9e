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

// A rule with a target that its table does not have yet is put in place: netfilter gets a rule
// more, and the generation stays. A process that is killed between the two leaves what was there, and
// the next command has all of it right.
func TestTargetsInPlace(t *testing.T) {
	needRoot(t)
	binary := buildBinary(t, "failpoints")
	l := newLab(t, binary)
	var rules strings.Builder
	rules.WriteString("*nat\n")
	for i := range 40 {
		fmt.Fprintf(&rules, "-A PREROUTING -p udp -m udp --dport %d -j REDIRECT --to-ports %d\n", 100+i, 2000+i%5)
	}
	restore(t, binary, l.Host(), rules.String()+"COMMIT\n")
	add := func(i int) []string {
		return []string{"iptables", "-w", "60", "-t", "nat", "-A", "PREROUTING", "-p", "udp", "--dport", fmt.Sprint(200 + i), "-j", "REDIRECT", "--to-ports", fmt.Sprint(2100 + i)}
	}
	source := 5000
	redirected := func(when string, port, to int) {
		t.Helper()
		source++
		got := events(t, l, fmt.Sprintf("udp 198.18.0.2:%d > 198.18.0.1:%d in eth0", source, port))
		if want := fmt.Sprintf("198.18.0.1:%d", to); !strings.Contains(got, "input in eth0 mark 0x0 ct none: udp") || !strings.Contains(got, want+"\n") {
			t.Errorf("%s: port %d does not become %d: %s", when, port, to, got)
		}
	}
	generation := func() string {
		t.Helper()
		status := string(command(t, l.Host(), "", binary, "status"))
		if !strings.Contains(status, "netfilter's part is unchanged") {
			t.Errorf("status: %s", status)
		}
		_, rest, _ := strings.Cut(status, "ipv4: generation ")
		number, _, _ := strings.Cut(rest, ",")
		return number
	}
	first := generation()
	for i := range 3 { // of the numbers with three bits
		command(t, l.Host(), "", append([]string{binary}, add(i)...)...)
		if now := generation(); now != first {
			t.Errorf("target %d: generation %s, not %s", i, now, first)
		}
		redirected("added", 200+i, 2100+i)
		redirected("before", 104+i, 2000+(4+i)%5)
	}
	command(t, l.Host(), "", append([]string{binary}, add(3)...)...)
	redirected("one bit more", 203, 2103)
	cmd := exec.Command("ip", append([]string{"netns", "exec", l.Host(), binary}, add(4)...)...)
	cmd.Env = append(os.Environ(), "BPFTABLES_IPTABLES=legacy", "BPFTABLES_FAILPOINT=extended")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("not killed: %v\n%s", err, out)
	}
	redirected("killed", 203, 2103)
	if got := events(t, l, "udp 198.18.0.2:4999 > 198.18.0.1:204 in eth0"); !strings.Contains(got, "198.18.0.1:204\n") {
		t.Errorf("killed: the rule is there: %s", got)
	}
	command(t, l.Host(), "", append([]string{binary}, add(5)...)...)
	generation()
	redirected("the next command", 205, 2105)
	command(t, l.Host(), "", append([]string{binary}, add(4)...)...)
	redirected("once more", 204, 2104)
	redirected("once more", 100, 2000)
}
