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
	for i := range 15 { // 5 targets become 20: numbers with two bits more; the next one has a chain of its own
		command(t, l.Host(), "", append([]string{binary}, add(i)...)...)
		if now := generation(); now != first {
			t.Errorf("target %d: generation %s, not %s", i, now, first)
		}
		redirected("added", 200+i, 2100+i)
		redirected("before", 104+i, 2000+(4+i)%5)
	}
	killed := func(point string, i int) {
		t.Helper()
		cmd := exec.Command("ip", append([]string{"netns", "exec", l.Host(), binary}, add(i)...)...)
		cmd.Env = append(os.Environ(), "BPFTABLES_IPTABLES=legacy", "BPFTABLES_FAILPOINT="+point)
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Fatalf("%s: not killed: %v\n%s", point, err, out)
		}
		redirected(point, 212, 2112)
		source++
		if got := events(t, l, fmt.Sprintf("udp 198.18.0.2:%d > 198.18.0.1:%d in eth0", source, 200+i)); !strings.Contains(got, fmt.Sprintf("198.18.0.1:%d\n", 200+i)) {
			t.Errorf("%s: the rule is there: %s", point, got)
		}
	}
	killed("match programs added", 20)
	killed("extended", 21)
	command(t, l.Host(), "", append([]string{binary}, add(22)...)...)
	generation()
	redirected("the next command", 222, 2122)
	command(t, l.Host(), "", append([]string{binary}, add(21)...)...)
	redirected("once more", 221, 2121)
	redirected("once more", 100, 2000)
}
