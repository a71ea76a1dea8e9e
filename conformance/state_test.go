package conformance_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A rule whose text could not be read back from the state is refused, and the old
// rules go on: 25 comments of apostrophes fit into a line of iptables-restore, but not
// with the backslashes that iptables-save prints.
func TestUnreadableRuleIsRefused(t *testing.T) {
	needRoot(t)
	binary := buildBinary(t, "")
	l := newLab(t, binary)
	restore(t, binary, l.Host(), oldRules)
	before := string(command(t, l.Host(), "", binary, "list", "-n"))
	comments := strings.Repeat(" -m comment --comment "+strings.Repeat("'", 250), 25)
	cmd := exec.Command("ip", "netns", "exec", l.Host(), binary, "restore", "-w", "60")
	cmd.Stdin = strings.NewReader("*filter\n-A INPUT" + comments + " -j DROP\nCOMMIT\n")
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "cannot be stored") {
		t.Errorf("%v: %s", err, out)
	}
	if after := string(command(t, l.Host(), "", binary, "list", "-n")); after != before {
		t.Errorf("the rules are now\n%s\nand were\n%s", after, before)
	}
	checkOrphans(t, binary, l.Host())
}

// A state that was damaged is refused with what would do, and that does.
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
	data[len(data)/2] ^= 1
	if err := os.WriteFile(bases[0], data, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, arg := range []string{"save", "restore"} {
		cmd := exec.Command("ip", "netns", "exec", l.Host(), binary, arg)
		cmd.Stdin = strings.NewReader(newRules)
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "flush --all") {
			t.Errorf("%s: %v: %s", arg, err, out)
		}
	}
	command(t, l.Host(), "", binary, "flush", "--all", "-w", "60")
	restore(t, binary, l.Host(), newRules)
	checkOrphans(t, binary, l.Host())
}
