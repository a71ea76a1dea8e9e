package conformance_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A rule that iptables-save prints in a form that cannot be read again, as 25 comments of
// apostrophes get too long by their backslashes, is kept as it was read: it survives other
// changes.
func TestUnreadableRuleIsKept(t *testing.T) {
	needRoot(t)
	binary := buildBinary(t, "")
	l := newLab(t, binary)
	comments := strings.Repeat(" -m comment --comment "+strings.Repeat("'", 250), 25)
	restore(t, binary, l.Host(), "*filter\n-A INPUT"+comments+" -j DROP\nCOMMIT\n")
	before := string(command(t, l.Host(), "", binary, "list", "-n"))
	command(t, l.Host(), "", binary, "iptables", "-w", "60", "-I", "FORWARD", "-s", "192.0.2.1", "-j", "DROP")
	command(t, l.Host(), "", binary, "iptables", "-w", "60", "-D", "FORWARD", "1")
	if after := string(command(t, l.Host(), "", binary, "list", "-n")); after != before {
		t.Errorf("the rules are now\n%s\nand were\n%s", after, before)
	}
	checkOrphans(t, binary, l.Host())
}

// A state that was damaged is refused with what would do, and that does: a restore replaces the
// rules that it was of, which are enforced until then.
func TestDamagedState(t *testing.T) {
	needRoot(t)
	binary := buildBinary(t, "")
	l := newLab(t, binary)
	restore(t, binary, l.Host(), oldRules)
	inode := strings.TrimSpace(string(command(t, l.Host(), "", "stat", "-L", "-c", "%i", "/proc/self/ns/net")))
	bases, err := filepath.Glob("/run/bpftables/" + inode + "/ipv4/state-*.db")
	if err != nil || len(bases) != 1 {
		t.Fatalf("states: %v, %v", bases, err)
	}
	data, err := os.ReadFile(bases[0])
	if err != nil {
		t.Fatal(err)
	}
	data[40] ^= 1 // of the head: what a restore replaces it need not read
	if err := os.WriteFile(bases[0], data, 0o600); err != nil {
		t.Fatal(err)
	}
	old := signature(t, l)
	for arg, args := range map[string][]string{
		"save": {"save"}, "restore -n": {"restore", "-n", "-w", "60"}, "iptables -A": {"iptables", "-w", "60", "-A", "INPUT"},
	} {
		cmd := exec.Command("ip", append([]string{"netns", "exec", l.Host(), binary}, args...)...)
		cmd.Stdin = strings.NewReader(newRules)
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "flush --all") {
			t.Errorf("%s: %v: %s", arg, err, out)
		}
	}
	if got := signature(t, l); got != old {
		t.Errorf("with a damaged state: got\n%s\nwant\n%s", got, old)
	}
	want := observe(t, binary, newRules)
	restore(t, binary, l.Host(), newRules)
	if got := signature(t, l); got != want {
		t.Errorf("a restore: got\n%s\nwant\n%s", got, want)
	}
	checkOrphans(t, binary, l.Host())
}
