package conformance_test

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/bpftables/bpftables/conformance/lab"
)

var everyStep = flag.Bool("every-step", false, "kill commands at every step, not only at the first and last of a name")

// killed is a command that is killed at each of its steps, one after the other.
type killed struct {
	args, stdin string
	set         func(*testing.T, *lab.Lab) // makes what is there before it
	mended      func(*testing.T, *lab.Lab) // looks at what is there after the next restore
	undo        string                     // takes back what the command does, which then comes once more; "": it does not
}

// Commands besides restore are killed at each step that they come to: the old or the new
// rules are enforced completely, other commands see them, and the next restore is whole.
func TestKilledSteps(t *testing.T) {
	needRoot(t)
	binary := buildBinary(t, "failpoints")
	set := func(t *testing.T, l *lab.Lab) { restore(t, binary, l.Host(), oldRules) }
	mended := func(t *testing.T, l *lab.Lab) { checkOrphans(t, binary, l.Host()) }
	for _, args := range []string{
		"flush --all -w 60", "flush -w 60",
		"iptables -w 60 -I INPUT -p udp --dport 1002 -j DROP",
		"iptables -w 60 -t nat -F",
		"iptables -w 60 -A INPUT -p udp --dport 11 -j LOG",
	} {
		t.Run(args, func(t *testing.T) { killed{args, "", set, mended, ""}.run(t, binary) })
	}
}

// What is new to a generation, its first target, table, or use of conntrack, comes in place, and the command is killed
// at each step: as with others, and the same command then succeeds, however far the first one came.
func TestKilledFirsts(t *testing.T) {
	needRoot(t)
	binary := buildBinary(t, "failpoints")
	const plain = "*filter\n-A INPUT -p udp -m udp --dport 7 -j DROP\nCOMMIT\n"
	mended := func(t *testing.T, l *lab.Lab) { checkOrphans(t, binary, l.Host()) }
	code := func(t *testing.T, l *lab.Lab) { restore(t, binary, l.Host(), plain) }
	rows := func(t *testing.T, l *lab.Lab) {
		command(t, l.Host(), "", binary, "iptables", "-w", "60", "-A", "INPUT", "-p", "udp", "--dport", "7", "-j", "DROP")
	}
	unmet := func(t *testing.T, l *lab.Lab) {
		code(t, l)
		for _, table := range []string{"filter", "raw"} {
			command(t, l.Host(), "", binary, "iptables", "-w", "60", "-t", table, "-N", "u")
		}
	}
	for rule, set := range map[string]func(*testing.T, *lab.Lab){
		"filter % u -m connlimit --connlimit-above 8 -j DROP":                   unmet,
		"raw % u -p udp --dport 69 -j CT --helper tftp":                         unmet,
		"filter % OUTPUT -p udp --dport 8 -j REJECT":                            code,
		"nat % PREROUTING -p udp --dport 1001 -j REDIRECT --to-ports 2002":      code,
		"filter % INPUT -p udp --dport 1001 -m conntrack --ctstate NEW -j DROP": rows,
		"raw % PREROUTING -p udp --dport 9 -j DROP":                             rows,
	} {
		one := func(letter string) string { return "iptables -w 60 -t " + strings.Replace(rule, "%", letter, 1) }
		t.Run(rule, func(t *testing.T) { killed{one("-A"), "", set, mended, one("-D")}.run(t, binary) })
	}
	const last = "INPUT -p udp --dport 1001 -m conntrack --ctstate NEW -j DROP"
	tracking := func(t *testing.T, l *lab.Lab) {
		rows(t, l)
		command(t, l.Host(), "", append([]string{binary}, strings.Fields("iptables -w 60 -A "+last)...)...)
	}
	t.Run("the last that tracks", func(t *testing.T) {
		killed{"iptables -w 60 -D " + last, "", tracking, mended, ""}.run(t, binary)
	})
}

// earlyOld and earlyNew differ in what the early stage drops.
const (
	earlyOld = `*filter
:FORWARD DROP [0:0]
-A INPUT -p udp -m udp --dport 7 -j DROP
COMMIT
`
	earlyNew = `*raw
-A PREROUTING -p udp -m udp --dport 9 -j DROP
COMMIT
*filter
:FORWARD ACCEPT [0:0]
-A INPUT -p tcp -m tcp --dport 22 -j DROP
COMMIT
`
)

// The early stage is attached, changed and left, and the command is killed at each step:
// packets meet the old or the new rules, and of an early stage that the next command does
// not want nothing is left at an interface.
func TestKilledEarlySteps(t *testing.T) {
	needRoot(t)
	binary := buildBinary(t, "failpoints")
	early := func(mode string, options ...string) func(*testing.T, *lab.Lab) {
		return func(t *testing.T, l *lab.Lab) {
			command(t, l.Host(), earlyOld, binary, "restore", "-w", "60", "--early", mode)
			for _, o := range options {
				command(t, l.Host(), earlyOld, binary, "restore", o, "-w", "60", "--early", mode)
			}
			status := string(command(t, l.Host(), "", binary, "status"))
			if on := mode != "off"; strings.Contains(status, "dropped") != on || strings.Contains(status, "all packets go up") {
				t.Fatalf("the early stage is not %s:\n%s", mode, status)
			}
		}
	}
	left := func(t *testing.T, l *lab.Lab) {
		command(t, l.Host(), earlyOld, binary, "restore", "-6", "-w", "60", "--early", "off")
		noEarly(t, l)
		checkOrphans(t, binary, l.Host())
	}
	for name, k := range map[string]killed{
		"attach at XDP":          {"restore -w 60 --early xdp", earlyNew, early("off"), left, ""},
		"another place":          {"restore -w 60 --early xdp", earlyNew, early("tcx"), left, ""},
		"detach one of families": {"restore -w 60 --early off", earlyNew, early("xdp", "-6"), left, ""},
		"flush":                  {"flush --all -w 60", "", early("xdp"), left, ""},
	} {
		t.Run(name, func(t *testing.T) { k.run(t, binary) })
	}
}

// noEarly looks for programs of ours at the interfaces.
func noEarly(t *testing.T, l *lab.Lab) {
	t.Helper()
	if shown := string(command(t, l.Host(), "", "ip", "-d", "link", "show")); strings.Contains(shown, "prog/xdp") {
		t.Errorf("an XDP program is left at an interface:\n%s", shown)
	}
	// Links are there as long as their pins, which are under these directories.
	pins := filepath.Join("/run/bpftables/bpf", namespaceOf(t, l))
	for _, dir := range []string{"early", "ipv4/early", "ipv6/early"} {
		if _, err := os.Stat(filepath.Join(pins, dir)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is left (%v)", dir, err)
		}
	}
}

func (k killed) run(t *testing.T, binary string) {
	l := newLab(t, binary)
	host := l.Host()
	seen := func() string { return signature(t, l) + rulesOf(t, binary, host) }
	k.set(t, l)
	before := seen()
	command(t, host, k.stdin, append([]string{binary}, strings.Fields(k.args)...)...)
	after := seen()
	command(t, host, newRules, binary, "restore", "-w", "60", "--early", "off")
	changed := seen()
	for _, step := range k.steps(t, binary, l) {
		// Tables that a restore does not name stay.
		command(t, host, "", binary, "flush", "--all", "-w", "60")
		k.set(t, l)
		if out := k.command(t, binary, host, step); !strings.Contains(out, died) {
			// What a flush leaves goes a little later where there is much to do: that can take steps of its own.
			if slices.Contains(k.steps(t, binary, l), step) {
				t.Fatalf("%s comes to its end before step %s: %s", k.args, step, out)
			}
			continue
		}
		if got := seen(); got != before && got != after {
			t.Errorf("killed at %s: neither the old nor the new rules:\n%s", step, got)
		}
		if k.undo != "" {
			_ = exec.Command("ip", append([]string{"netns", "exec", host, binary}, strings.Fields(k.undo)...)...).Run() // it may be there or not
			command(t, host, k.stdin, append([]string{binary}, strings.Fields(k.args)...)...)
			if got := seen(); got != after {
				t.Errorf("killed at %s: the same command once more: got\n%s\nwant\n%s", step, got, after)
			}
		}
		command(t, host, newRules, binary, "restore", "-w", "60", "--early", "off")
		if got := seen(); got != changed {
			t.Errorf("killed at %s: the next restore: got\n%s\nwant\n%s", step, got, changed)
		}
		k.mended(t, l)
		if t.Failed() {
			t.Fatalf("at %s", step)
		}
	}
}

// steps are those that the command comes to, by number. Of steps with the same name, which
// follow each other at one hook after the other, the first and the last are enough, unless
// all are asked for.
func (k killed) steps(t *testing.T, binary string, l *lab.Lab) (out []string) {
	t.Helper()
	command(t, l.Host(), "", binary, "flush", "--all", "-w", "60")
	k.set(t, l)
	first, last := map[string]bool{}, map[string]string{}
	var numbers, names []string
	for line := range strings.Lines(k.command(t, binary, l.Host(), "?")) {
		if rest, ok := strings.CutPrefix(line, "step "); ok {
			number, name, _ := strings.Cut(strings.TrimSpace(rest), " ")
			numbers, names = append(numbers, number), append(names, name)
			last[name] = number
		}
	}
	for i, name := range names {
		if *everyStep || !first[name] || last[name] == numbers[i] {
			out = append(out, numbers[i])
		}
		first[name] = true
	}
	if len(out) == 0 {
		t.Fatal("the command comes to no step")
	}
	t.Logf("%d of %d steps", len(out), len(names))
	return out
}

// rulesOf gives the rules that save prints, whatever the order of their tables; status works
// as well.
func rulesOf(t *testing.T, binary, netns string) string {
	t.Helper()
	command(t, netns, "", binary, "status")
	var out []string
	for line := range strings.Lines(string(command(t, netns, "", binary, "save"))) {
		if strings.HasPrefix(line, "-A ") {
			out = append(out, line)
		}
	}
	slices.Sort(out)
	return strings.Join(out, "")
}

// killedAt runs the command, which is killed at a step.
func (k killed) killedAt(t *testing.T, binary, netns, step string) {
	t.Helper()
	if out := k.command(t, binary, netns, step); !strings.Contains(out, died) {
		t.Fatalf("%s comes to its end before step %s: %s", k.args, step, out)
	}
}

// died is what a command says that is killed at a step.
const died = "killed at "

// command runs the command with a fail point, and gives what it prints.
func (k killed) command(t *testing.T, binary, netns, point string) string {
	t.Helper()
	cmd := exec.Command("ip", append([]string{"netns", "exec", netns, binary}, strings.Fields(k.args)...)...)
	cmd.Env = append(os.Environ(), "BPFTABLES_IPTABLES=legacy", "BPFTABLES_FAILPOINT="+point)
	cmd.Stdin = strings.NewReader(k.stdin)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL {
		return string(out)
	}
	if err != nil {
		t.Fatalf("%s with fail point %s: %v: %s", k.args, point, err, out)
	}
	return string(out)
}
