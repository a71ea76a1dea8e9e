package conformance_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/bpftables/bpftables/conformance/lab"
)

// The fail points of package engine/apply, in the order in which restore meets
// them; a first restore has nothing to carry over or to remove.
var (
	firstSteps = []string{"loaded", "state", "installed", "shims", "held", "conntrack", "activated"}
	steps      = append(firstSteps[:len(firstSteps):len(firstSteps)], "carried", "cleaned", "retired")
)

// The two rulesets differ in every part of a generation: BPF rules, shim rules,
// whole tables, and whether conntrack is needed.
const (
	oldRules = `*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A PREROUTING -p udp -m udp --dport 1001 -j REDIRECT --to-ports 2001
COMMIT
*mangle
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A PREROUTING -p udp -j MARK --set-xmark 0x1/0xffffffff
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -p tcp -m tcp --dport 22 -j REJECT --reject-with tcp-reset
-A INPUT -p udp -m udp --dport 7 -j DROP
-A OUTPUT -p udp -m udp --dport 8 -j REJECT --reject-with icmp-admin-prohibited
COMMIT
`
	newRules = `*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A PREROUTING -p udp -m udp --dport 1001 -j REDIRECT --to-ports 2002
COMMIT
*mangle
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A PREROUTING -p udp -j MARK --set-xmark 0x2/0xffffffff
COMMIT
*raw
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A PREROUTING -p udp -m udp --dport 9 -j DROP
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:LOGGED - [0:0]
:UNMET - [0:0]
-A INPUT -p tcp -m tcp --dport 22 -j DROP
-A INPUT -p udp -m udp --dport 7 -j LOGGED
-A INPUT -m conntrack --ctstate INVALID -j DROP
-A OUTPUT -p udp -m udp --dport 8 -j DROP
-A LOGGED -j LOG --log-prefix "seven "
-A LOGGED -j REJECT --reject-with icmp-host-prohibited
-A UNMET -m string --string x --algo bm --to 65535 -j DROP
COMMIT
`
)

// probes are packets of which each tells the rulesets apart in another part.
var probes = []string{
	"udp 198.18.0.2:5000 > 198.18.0.1:1001 in eth0",
	"udp 198.18.0.2:5001 > 198.18.0.1:9 in eth0",
	"udp 198.18.0.2:5002 > 198.18.0.1:7 in eth0",
	"tcp 198.18.0.2:5003 > 198.18.0.1:22 in eth0 flags syn",
	"udp 198.18.0.2:5004 > 198.18.1.2:53 in eth0",
	"@udp udp 198.18.0.1:5005 > 198.18.1.2:8",
}

// A restore that is killed at any step leaves the old or the new rules enforced
// completely, and the next command removes what it left.
func TestKilledRestore(t *testing.T) {
	needRoot(t)
	binary := buildBinary(t, "failpoints")
	old := observe(t, binary, oldRules)
	changed := observe(t, binary, newRules)
	if old == changed {
		t.Fatalf("the probes do not tell the rulesets apart:\n%s", old)
	}
	for _, step := range steps {
		t.Run(step, func(t *testing.T) {
			l := newLab(t, binary)
			restore(t, binary, l.Host(), oldRules)
			kill(t, binary, l.Host(), step, newRules)
			switch got := signature(t, l); got {
			case old, changed:
			default:
				t.Errorf("killed at %s: neither the old nor the new rules:\n%s", step, got)
			}
			restore(t, binary, l.Host(), newRules)
			if got := signature(t, l); got != changed {
				t.Errorf("the next restore: got\n%s\nwant\n%s", got, changed)
			}
			checkOrphans(t, binary, l.Host())
		})
	}
}

// Rules that stay keep their counters through a restore that is killed at any step
// and the command after it, in BPF and in a whole table of netfilter's.
func TestKilledRestoreKeepsCounters(t *testing.T) {
	needRoot(t)
	binary := buildBinary(t, "failpoints")
	counted := strings.NewReplacer(
		"-A PREROUTING -p udp -m udp --dport 1001", "[30:300] -A PREROUTING -p udp -m udp --dport 1001",
		"-A INPUT -p udp -m udp --dport 7 -j DROP", "[70:700] -A INPUT -p udp -m udp --dport 7 -j DROP",
	).Replace(oldRules)
	const more = "*nat\n-A OUTPUT -j ACCEPT\nCOMMIT\n*filter\n-I INPUT -p esp -j DROP\nCOMMIT\n"
	for _, step := range steps {
		t.Run(step, func(t *testing.T) {
			l := newLab(t, binary)
			command(t, l.Host(), counted, binary, "restore", "-w", "60", "-c")
			events(t, l, "udp 198.18.0.2:5002 > 198.18.0.1:7 in eth0")
			kill(t, binary, l.Host(), step, more, "-n", "--classifier", "code") // in no way in place
			events(t, l, "udp 198.18.0.2:5002 > 198.18.0.1:7 in eth0")
			for range 2 { // what the killed process left, and what the next one makes of it
				saved := string(command(t, l.Host(), "", binary, "save", "-c"))
				for _, want := range []string{
					"[72:756] -A INPUT -p udp -m udp --dport 7 -j DROP",
					"[30:300] -A PREROUTING -p udp -m udp --dport 1001 -j REDIRECT --to-ports 2001",
				} {
					if !strings.Contains(saved, "\n"+want+"\n") {
						t.Errorf("killed at %s: no %q in\n%s", step, want, saved)
					}
				}
				command(t, l.Host(), more, binary, "restore", "-w", "60", "-n")
			}
		})
	}
}

// A first restore that is killed leaves nothing or everything.
func TestKilledFirstRestore(t *testing.T) {
	needRoot(t)
	binary := buildBinary(t, "failpoints")
	changed := observe(t, binary, newRules)
	for _, step := range firstSteps {
		t.Run(step, func(t *testing.T) {
			l := newLab(t, binary)
			none := signature(t, l)
			kill(t, binary, l.Host(), step, newRules)
			if got := signature(t, l); got != none && got != changed {
				t.Errorf("killed at %s: neither no rules nor the new ones:\n%s", step, got)
			}
			restore(t, binary, l.Host(), newRules)
			checkOrphans(t, binary, l.Host())
		})
	}
}

// observe gives the signature of a ruleset in a lab of its own.
func observe(t *testing.T, binary, rules string) string {
	t.Helper()
	l := newLab(t, binary)
	restore(t, binary, l.Host(), rules)
	return signature(t, l)
}

// signature is what becomes of the probes.
func signature(t *testing.T, l *lab.Lab) string {
	t.Helper()
	if err := l.ForgetConnections(); err != nil { // NAT remembers its own
		t.Fatal(err)
	}
	var b strings.Builder
	for _, text := range probes {
		fmt.Fprintf(&b, "%s\n%s\n", text, events(t, l, text))
	}
	return b.String()
}

// checkOrphans looks for parts of generations that are not live.
func checkOrphans(t *testing.T, binary, netns string) {
	t.Helper()
	status := string(command(t, netns, "", binary, "status"))
	_, rest, ok := strings.Cut(status, "ipv4: generation ")
	if !ok {
		t.Fatalf("no generation is live:\n%s", status)
	}
	live, _, _ := strings.Cut(rest, ",")
	for _, table := range []string{"nat", "mangle", "raw", "filter"} {
		saved := string(command(t, netns, "", "iptables-legacy-save", "-t", table))
		for _, line := range strings.Split(saved, "\n") {
			if strings.Contains(line, "bpftables") && !strings.Contains(line, "bpftables"+live) && !strings.Contains(line, "gen-"+live+"/") {
				t.Errorf("netfilter still has: %s", line)
			}
		}
	}
	inode := string(command(t, netns, "", "stat", "-L", "-c", "%i", "/proc/self/ns/net"))
	dir := filepath.Join("/run/bpftables", strings.TrimSpace(inode), "ipv4")
	states, err := filepath.Glob(filepath.Join(dir, "state-*"))
	if err != nil || len(states) == 0 {
		t.Errorf("states: %v, want one (%v)", states, err)
	}
	for _, path := range states {
		if name := filepath.Base(path); name != "state-"+live+".db" && name != "state-"+live+".log" {
			t.Errorf("%s is left", name)
		}
	}
	pins := string(command(t, netns, "", "ls", filepath.Join("/run/bpftables/bpf", strings.TrimSpace(inode), "ipv4")))
	for _, name := range strings.Fields(pins) {
		if strings.HasPrefix(name, "gen-") && name != "gen-"+live {
			t.Errorf("pins of %s are left", name)
		}
	}
}

func restore(t *testing.T, binary, netns, rules string) {
	t.Helper()
	command(t, netns, rules, binary, "restore", "-w", "60")
}

// kill runs a restore, with options, that is killed at a step.
func kill(t *testing.T, binary, netns, step, rules string, options ...string) {
	t.Helper()
	cmd := exec.Command("ip", append([]string{"netns", "exec", netns, binary, "restore", "-w", "60"}, options...)...)
	cmd.Env = append(os.Environ(), "BPFTABLES_IPTABLES=legacy", "BPFTABLES_FAILPOINT="+step)
	cmd.Stdin = strings.NewReader(rules)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("restore with fail point %s: %v\n%s", step, err, out)
	}
}

func command(t *testing.T, netns, stdin string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("ip", append([]string{"netns", "exec", netns}, args...)...)
	cmd.Env = append(os.Environ(), "BPFTABLES_IPTABLES=legacy")
	cmd.Stdin = strings.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, &stderr)
	}
	return out
}

func newLab(t *testing.T, binary string) *lab.Lab {
	t.Helper()
	l, err := lab.New(lab.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		command(t, l.Host(), "", binary, "flush", "--all", "-w", "60")
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// buildBinary compiles the command with build tags, unless it was compiled for the machine that
// the test runs on: BPFTABLES names the command, BPFTABLES_FAILPOINTS that with fail points.
func buildBinary(t *testing.T, tags string) string {
	t.Helper()
	given := map[string]string{"": "BPFTABLES", "failpoints": "BPFTABLES_FAILPOINTS"}[tags]
	if path := os.Getenv(given); path != "" {
		return path
	}
	path := filepath.Join(t.TempDir(), "bpftables")
	cmd := exec.Command("go", "build", "-tags", tags, "-o", path, "../cmd/bpftables")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		cannot(t, "this test needs root")
	}
}

// cannot skips a test, or fails it where everything has to be there.
func cannot(t *testing.T, why any) {
	t.Helper()
	if os.Getenv("REQUIRE_KERNEL") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}
