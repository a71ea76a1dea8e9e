package conformance_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"github.com/bpftables/bpftables/conformance/lab"
)

// namespaceOf is the number of the lab's host among our directories.
func namespaceOf(t *testing.T, l *lab.Lab) string {
	t.Helper()
	return strings.TrimSpace(string(command(t, l.Host(), "", "stat", "-L", "-c", "%i", "/proc/self/ns/net")))
}

// A link that somebody has detached is no link, though its pin is there: the next change
// puts it back.
func TestDetachedLinks(t *testing.T) {
	needRoot(t)
	binary := buildBinary(t, "")
	l := newLab(t, binary)
	restore(t, binary, l.Host(), oldRules)
	want := signature(t, l)
	pins, err := filepath.Glob("/run/bpftables/bpf/" + namespaceOf(t, l) + "/ipv4/links/*")
	if err != nil || len(pins) == 0 {
		t.Fatalf("links: %v, %v", pins, err)
	}
	for _, pin := range pins {
		one, err := link.LoadPinnedLink(pin, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := one.Detach(); err != nil {
			t.Fatal(err)
		}
		one.Close()
	}
	command(t, l.Host(), "", binary, "iptables", "-w", "60", "-t", "security", "-N", "other")
	if got := signature(t, l); got != want {
		t.Errorf("after a change: got\n%s\nwant\n%s", got, want)
	}
}

// Files of rules that are enforced are removed: status says so, a restore is whole, and
// after a flush of all nothing of ours stops a packet.
func TestRemovedFiles(t *testing.T) {
	needRoot(t)
	binary := buildBinary(t, "")
	open := observe(t, binary, "*filter\nCOMMIT\n")
	want := observe(t, binary, newRules)
	l := newLab(t, binary)
	remove := func() {
		t.Helper()
		number := namespaceOf(t, l)
		for _, dir := range []string{"/run/bpftables/" + number, "/run/bpftables/bpf/" + number} {
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
		}
	}
	restore(t, binary, l.Host(), oldRules)
	remove()
	if status := string(command(t, l.Host(), "", binary, "status")); strings.Contains(status, "ipv4: nothing of ours") {
		t.Errorf("status: %s", status)
	}
	restore(t, binary, l.Host(), newRules)
	if got := signature(t, l); got != want {
		t.Errorf("a restore: got\n%s\nwant\n%s", got, want)
	}
	remove()
	command(t, l.Host(), "", binary, "flush", "--all", "-w", "60")
	if got := signature(t, l); got != open {
		t.Errorf("flush --all: got\n%s\nwant\n%s", got, open)
	}
}

// Pins are removed, and with them the programs: all commands say that the rules are not enforced,
// and the next change puts them back as they are in the state, whatever it is about.
func TestRemovedPins(t *testing.T) {
	needRoot(t)
	binary := buildBinary(t, "")
	l := newLab(t, binary)
	restore(t, binary, l.Host(), oldRules)
	want, rules := signature(t, l), rulesOf(t, binary, l.Host())
	for _, held := range []bool{false, true, false} {
		let := func() {}
		if held {
			let = holdLinks(t, l)
		}
		removePins(t, l)
		if held {
			// The programs behind the links go when the kernel gets to it; then packets are dropped.
			for line := range strings.Lines(signature(t, l)) {
				if !strings.Contains(want, line) {
					t.Errorf("with links that are held: %s, which is not among\n%s", line, want)
				}
			}
		}
		if status := string(command(t, l.Host(), "", binary, "status")); !strings.Contains(status, "ipv4: the rules are not enforced any more") && !strings.Contains(status, "ipv4: rules are enforced whose files") {
			t.Errorf("status: %s", status)
		}
		if out, err := exec.Command("ip", "netns", "exec", l.Host(), binary, "save").CombinedOutput(); err == nil {
			t.Errorf("save: %s", out)
		}
		command(t, l.Host(), "", binary, "iptables", "-w", "60", "-t", "security", "-P", "OUTPUT", "ACCEPT")
		if got := signature(t, l); got != want {
			t.Fatalf("after a change: got\n%s\nwant\n%s", got, want)
		}
		if got := rulesOf(t, binary, l.Host()); got != rules {
			t.Errorf("the rules are\n%s\nand were\n%s", got, rules)
		}
		checkOrphans(t, binary, l.Host())
		let()
		if got := signature(t, l); got != want {
			t.Fatalf("without what was held: got\n%s\nwant\n%s", got, want)
		}
	}
	// What was to be removed does not come back.
	command(t, l.Host(), "", binary, "flush", "--all", "-w", "60")
	none := signature(t, l)
	restore(t, binary, l.Host(), oldRules)
	command(t, l.Host(), "", binary, "flush", "-w", "60")
	removePins(t, l)
	command(t, l.Host(), "", binary, "iptables", "-w", "60", "-t", "raw", "-N", "other")
	if got := rulesOf(t, binary, l.Host()); got != "" {
		t.Errorf("rules that were flushed: %s", got)
	}
	removePins(t, l)
	command(t, l.Host(), "", binary, "flush", "--all", "-w", "60")
	if got := signature(t, l); got != none {
		t.Errorf("flush --all: got\n%s\nwant\n%s", got, none)
	}
}

// holdLinks opens the links of the lab's host, so that they stay without their pins, and gives
// what lets them go.
func holdLinks(t *testing.T, l *lab.Lab) (let func()) {
	t.Helper()
	pins, err := filepath.Glob("/run/bpftables/bpf/" + namespaceOf(t, l) + "/ipv4/links/*")
	if err != nil || len(pins) == 0 {
		t.Fatalf("links: %v, %v", pins, err)
	}
	var held []link.Link
	for _, pin := range pins {
		one, err := link.LoadPinnedLink(pin, nil)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, one)
	}
	return func() {
		for _, one := range held {
			one.Close()
		}
	}
}

func removePins(t *testing.T, l *lab.Lab) {
	t.Helper()
	if err := os.RemoveAll("/run/bpftables/bpf/" + namespaceOf(t, l)); err != nil {
		t.Fatal(err)
	}
}

// The change that puts rules back is killed at each of its steps: the next one does.
func TestKilledRevival(t *testing.T) {
	needRoot(t)
	binary := buildBinary(t, "failpoints")
	l := newLab(t, binary)
	set := func(t *testing.T, l *lab.Lab) {
		restore(t, binary, l.Host(), oldRules)
		removePins(t, l)
	}
	k := killed{args: "iptables -w 60 -t security -N other", set: set}
	restore(t, binary, l.Host(), oldRules)
	want := signature(t, l)
	for _, step := range []string{"remembered", "loaded", "state renamed", "linked", "link pinned", "held", "conntrack", "revived", "cleaned"} {
		command(t, l.Host(), "", binary, "flush", "--all", "-w", "60")
		set(t, l)
		k.killedAt(t, binary, l.Host(), step)
		command(t, l.Host(), "", binary, "iptables", "-w", "60", "-t", "security", "-P", "OUTPUT", "ACCEPT")
		if got := signature(t, l); got != want {
			t.Fatalf("killed at %s, after the next change: got\n%s\nwant\n%s", step, got, want)
		}
		checkOrphans(t, binary, l.Host())
	}
}

// All files are removed, and what is left of the rules stops packets: nothing but a restore or a
// flush of all opens what the rules had closed.
func TestRemovedEverything(t *testing.T) {
	needRoot(t)
	binary := buildBinary(t, "")
	l := newLab(t, binary)
	restore(t, binary, l.Host(), oldRules)
	removePins(t, l)
	if err := os.RemoveAll("/run/bpftables/" + namespaceOf(t, l)); err != nil {
		t.Fatal(err)
	}
	left := signature(t, l)
	for _, args := range []string{"iptables -w 60 -t raw -N other", "restore -w 60 -n", "flush -w 60", "give-back -w 60", "takeover -w 60"} {
		cmd := exec.Command("ip", append([]string{"netns", "exec", l.Host(), binary}, strings.Fields(args)...)...)
		cmd.Stdin = strings.NewReader("*filter\n-A INPUT -p esp -j DROP\nCOMMIT\n")
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "a restore replaces them") {
			t.Errorf("%s: %v: %s", args, err, out)
		}
		if got := signature(t, l); got != left {
			t.Errorf("%s: got\n%s\nwant\n%s", args, got, left)
		}
	}
	want := observe(t, binary, newRules)
	restore(t, binary, l.Host(), newRules)
	if got := signature(t, l); got != want {
		t.Errorf("a restore: got\n%s\nwant\n%s", got, want)
	}
	checkOrphans(t, binary, l.Host())
}

// Another version of bpftables has made what is enforced, with maps and a state that this one
// does not know: a restore replaces it, and until it does, packets meet it.
func TestOtherVersion(t *testing.T) {
	needRoot(t)
	binary := buildBinary(t, "failpoints")
	l := newLab(t, binary)
	old := observe(t, binary, oldRules)
	want := observe(t, binary, newRules)
	other := func(t *testing.T, l *lab.Lab) {
		restore(t, binary, l.Host(), oldRules)
		number := namespaceOf(t, l)
		states, err := filepath.Glob("/run/bpftables/" + number + "/ipv4/state-*.db")
		if err != nil || len(states) != 1 {
			t.Fatalf("states: %v, %v", states, err)
		}
		otherLayout(t, states[0])
		otherMap(t, "/run/bpftables/bpf/"+number+"/ipv4/progs")
	}
	k := killed{args: "restore -w 60", stdin: newRules, set: other}
	for _, step := range []string{"set aside", "maps pinned", "linked", "held", "activated", "cleaned", "stray detached", ""} {
		command(t, l.Host(), "", binary, "flush", "--all", "-w", "60")
		other(t, l)
		if got := signature(t, l); got != old {
			t.Fatalf("before: got\n%s\nwant\n%s", got, old)
		}
		if step != "" {
			k.killedAt(t, binary, l.Host(), step)
			if got := signature(t, l); got != old && got != want && !bothEnforced(got, old, want) {
				t.Errorf("killed at %s: neither ruleset is enforced, and packets arrive that one of both drops:\n%s", step, got)
			}
		}
		restore(t, binary, l.Host(), newRules)
		if got := signature(t, l); got != want {
			t.Fatalf("killed at %q, the next restore: got\n%s\nwant\n%s", step, got, want)
		}
		checkOrphans(t, binary, l.Host())
	}
}

func otherLayout(t *testing.T, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[8]++
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func otherMap(t *testing.T, path string) {
	t.Helper()
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.ProgramArray, KeySize: 4, ValueSize: 4, MaxEntries: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.Pin(path + "~"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+"~", path); err != nil {
		t.Fatal(err)
	}
}

// bothEnforced says that no probe arrived which one of two rulesets drops: while both are
// enforced, a packet must pass both.
func bothEnforced(got, old, changed string) bool {
	for _, probe := range probes {
		arrives := func(all string) bool {
			_, rest, _ := strings.Cut(all, probe+"\n")
			for _, next := range probes {
				rest, _, _ = strings.Cut(rest, next+"\n")
			}
			return strings.Contains(rest, "input in") || strings.Contains(rest, "forward in")
		}
		if arrives(got) && !(arrives(old) && arrives(changed)) {
			return false
		}
	}
	return true
}
