package conformance

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/conformance/lab"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// controlGroups are a control group for this process, and some below it.
type controlGroups struct {
	root string // where cgroup2 is mounted
	top  string
}

func newControlGroups(t *testing.T) controlGroups {
	t.Helper()
	g := controlGroups{root: t.TempDir(), top: fmt.Sprintf("bpftables-%d", os.Getpid())}
	if err := unix.Mount("none", g.root, "cgroup2", 0, ""); err != nil {
		cannot(t, fmt.Errorf("cgroup2: %w", err))
	}
	t.Cleanup(func() {
		if err := unix.Unmount(g.root, 0); err != nil {
			t.Error(err)
		}
	})
	g.make(t, "a/b/c", "d", "ab")
	return g
}

// make makes groups, and takes them away with all between when the test is over.
func (g controlGroups) make(t *testing.T, paths ...string) {
	t.Helper()
	for _, p := range paths {
		if err := os.MkdirAll(g.path(p), 0o755); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			for ; p != "."; p = filepath.Dir(p) {
				_ = os.Remove(g.path(p))
			}
			_ = os.Remove(g.path(""))
		})
	}
}

func (g controlGroups) path(p string) string { return filepath.Join(g.root, g.top, p) }

// enter moves this process into a group; what it gives moves it back to the root.
func (g controlGroups) enter(t *testing.T, p string) func() {
	t.Helper()
	move := func(to string) {
		if err := os.WriteFile(filepath.Join(to, "cgroup.procs"), []byte(fmt.Sprint(os.Getpid())), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	home := "/"
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		if path, is := strings.CutPrefix(line, "0::"); is {
			home = path
		}
	}
	move(g.path(p))
	return func() { move(filepath.Join(g.root, home)) }
}

func (g controlGroups) rules() string {
	var b strings.Builder
	b.WriteString("*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:unmet - [0:0]\n")
	for _, p := range []string{"", "/a", "/a/", "//a//b", "/a/b/c", "/d", "/ab"} {
		for _, not := range []string{"", "! "} {
			fmt.Fprintf(&b, "-A OUTPUT -p udp -m cgroup %s--path %s%s\n", not, g.top, p)
			fmt.Fprintf(&b, "-A INPUT -m cgroup %s--path %s%s\n", not, g.top, p)
		}
	}
	fmt.Fprintf(&b, "-A OUTPUT -m cgroup --path /\n-A OUTPUT -m cgroup ! --path /\n-A OUTPUT -p udp -m cgroup --path %s/a/b -j DROP\n-A unmet -m cgroup --path %s/d\n", g.top, g.top)
	return b.String() + "COMMIT\n"
}

// TestControlGroups sends from sockets of groups of cgroup2, which are found at OUTPUT, and from none.
func TestControlGroups(t *testing.T) {
	needRoot(t)
	a, err := ours()
	if err != nil {
		t.Fatal(err)
	}
	g := newControlGroups(t)
	if why, err := leftToNetfilter(CorpusFile{Name: "groups", Text: []byte(g.rules())}); err != nil || why != nil {
		t.Fatalf("left to netfilter: %v %v", why, err)
	}
	want, got := g.run(t, lab.Legacy{}), g.run(t, a)
	diffs, counted := compareSaved(want, got)
	for _, d := range diffs {
		t.Errorf("%s", d)
	}
	if counted < 20 {
		t.Errorf("%d rules counted something", counted)
	}
}

// run sends a packet from each group. A socket stays in the group in which it was made.
func (g controlGroups) run(t *testing.T, a lab.Applier) saved {
	t.Helper()
	l, err := lab.New(lab.Options{Interfaces: []string{"eth0", "eth1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	defer a.Clear(l.Host())
	if err := a.Apply(l.Host(), packet.IPv4, []byte(g.rules())); err != nil {
		t.Fatal(err)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for _, p := range []string{"", "a", "a/b", "a/b/c", "d", "ab"} {
		back := g.enter(t, p)
		for _, text := range []string{"@udp udp 198.18.0.1:5000 > 198.18.1.2:9", "@tcp tcp 198.18.0.1:5000 > 198.18.1.2:9", "udp 198.18.0.50:5000 > 198.18.0.1:9 in eth0"} {
			one, err := lab.Parse(packet.IPv4, text)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := l.Send(one); err != nil {
				t.Fatal(err)
			}
		}
		back()
	}
	text, err := a.Save(l.Host(), packet.IPv4, true)
	if err != nil {
		t.Fatal(err)
	}
	return readSaved(string(text))
}

// TestControlGroupsMissing wants rules refused that name a group which is not there, as by iptables-legacy, wherever
// they stand; rules that are there do not hinder a change of others when their group is gone.
func TestControlGroupsMissing(t *testing.T) {
	needRoot(t)
	a, err := ours()
	if err != nil {
		t.Fatal(err)
	}
	g := newControlGroups(t)
	l, err := lab.New(lab.Options{Interfaces: []string{"eth0"}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	defer a.Clear(l.Host())
	for _, side := range []lab.Applier{lab.Legacy{}, a} {
		for _, rule := range []string{
			"-A OUTPUT -m cgroup --path " + g.top + "/nobody", "-A unmet -m cgroup --path " + g.top + "/nobody", "-A OUTPUT -m cgroup ! --path " + g.top + "/a/../d",
			"-A OUTPUT -m cgroup --path " + g.top + "/./a", "-A OUTPUT -m cgroup --path " + g.top + "/a/cgroup.procs",
		} {
			if err := side.Apply(l.Host(), packet.IPv4, []byte("*filter\n:unmet - [0:0]\n"+rule+"\nCOMMIT\n")); err == nil {
				t.Errorf("%T takes %s", side, rule)
			}
		}
		if err := side.Clear(l.Host()); err != nil {
			t.Error(err)
		}
	}
	rule := []byte("*filter\n-A OUTPUT -p udp -m cgroup --path " + g.top + "/d -j DROP\nCOMMIT\n")
	if err := a.Apply(l.Host(), packet.IPv4, rule); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(g.path("d")); err != nil {
		t.Fatal(err)
	}
	command := func(args ...string) ([]byte, error) {
		return exec.Command("ip", append([]string{"netns", "exec", l.Host(), a.(lab.Command).Path}, args...)...).CombinedOutput()
	}
	for _, args := range []string{"iptables -t mangle -A PREROUTING -p udp -m string --string x --algo bm -j DROP", "iptables -A OUTPUT -m owner --uid-owner 7 -j ACCEPT", "iptables -D OUTPUT 2"} {
		if text, err := command(strings.Fields(args)...); err != nil {
			t.Errorf("%s: %v: %s", args, err, text)
		}
	}
	if text, err := command("save"); err != nil || !strings.Contains(string(text), g.top+"/d\" -j DROP") {
		t.Errorf("the rule is not there any more: %v\n%s", err, text)
	}
	if a.Apply(l.Host(), packet.IPv4, rule) == nil {
		t.Error("a rule is taken again whose group is gone")
	}
}
