package commands

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/bpftables/bpftables/conformance/gen"
	"github.com/bpftables/bpftables/conformance/lab"
	"github.com/bpftables/bpftables/ruleset/packet"
)

var (
	long     = flag.Bool("long", false, "many commands")
	seed     = flag.Int64("seed", 1, "of rulesets, commands and packets")
	commands = flag.Int("commands", 0, "how many, for each run; 0: what fits")
	program  = flag.String("bpftables", "", "the program; built from this tree by default")
)

var interfaces = []string{"eth0", "eth1", "wlan0"}

// prepare builds the program, and keeps the lock and the server of the host out of it.
func prepare(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("REQUIRE_KERNEL") != "" {
			t.Fatal("needs root")
		}
		t.Skip("needs root")
	}
	dir := t.TempDir()
	t.Setenv("XTABLES_LOCKFILE", filepath.Join(dir, "lock"))
	t.Setenv("BPFTABLES_SERVE", filepath.Join(dir, "socket"))
	t.Setenv("BPFTABLES_IPTABLES", "legacy")
	if *program != "" {
		return *program
	}
	return build(t, dir)
}

func build(t *testing.T, dir string, options ...string) string {
	t.Helper()
	args := append([]string{"build", "-o", dir + "/"}, options...)
	cmd := exec.Command("go", append(args, "../../cmd/bpftables", "../../cmd/xtables-bpf-multi")...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return filepath.Join(dir, "bpftables")
}

// side is one host and the commands of its firewall.
type side struct {
	lab  *lab.Lab
	rule []string // begins a command for single rules
	load []string // begins a batch
	save []string
}

// duo is the reference and the firewall under test.
type duo struct {
	*testing.T
	family    packet.Family
	program   string
	ref, ours side
	env       []string // of commands of ours
	said      []string // all commands
	errors    string   // of the last command
	loose     bool     // any exit code but 0 is as good as another
}

func newDuo(t *testing.T, family packet.Family, program string, routes []lab.Route) *duo {
	d := &duo{T: t, family: family, program: program}
	tool, six := "iptables", []string(nil)
	if family == packet.IPv6 {
		tool, six = "ip6tables", []string{"-6"}
	}
	d.ref = side{rule: []string{tool + "-legacy", "-w"}, load: []string{tool + "-legacy-restore", "-w"}, save: []string{tool + "-legacy-save", "-c"}}
	d.ours = side{
		rule: []string{program, tool, "-w"}, load: append([]string{program, "restore", "-w"}, six...),
		save: append([]string{program, "save", "-c"}, six...),
	}
	for _, s := range []*side{&d.ref, &d.ours} {
		l, err := lab.New(lab.Options{Interfaces: interfaces, Routes: routes})
		if err != nil {
			t.Fatal(err)
		}
		s.lab = l
		t.Cleanup(func() {
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() { d.run(&d.ours, "", program, "flush", "--all", "-w") })
	return d
}

// run runs a command in the host of a side.
func (d *duo) run(s *side, stdin string, args ...string) (out string, code int) {
	d.Helper()
	cmd := exec.Command("ip", append([]string{"netns", "exec", s.lab.Host()}, args...)...)
	cmd.Env = append(os.Environ(), d.env...)
	cmd.Stdin = strings.NewReader(stdin)
	var said, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		code = exit.ExitCode()
	case err != nil:
		d.Fatal(err)
	}
	if code < 0 {
		d.Fatalf("%v: %v\n%s\n%s", args, err, &errs, d.history())
	}
	d.errors = errs.String()
	return said.String(), code
}

// both runs a command on both sides: the exit codes must be the same.
func (d *duo) both(stdin string, of func(*side) []string, args ...string) {
	d.Helper()
	d.said = append(d.said, strings.Join(args, " ")+" "+strings.Join(d.env, " ")+"\n"+stdin)
	out, want := d.run(&d.ref, stdin, append(of(&d.ref), args...)...)
	printed, got := d.run(&d.ours, stdin, append(of(&d.ours), args...)...)
	if d.loose && want != 0 && got != 0 {
		got = want
	}
	if got != want || printed != out {
		d.Fatalf("%v\n%s: exit code %d, want %d; output\n%s\nwant\n%s\nerrors\n%s\nafter\n%s", args, stdin, got, want, printed, out, d.errors, d.history())
	}
}

func (d *duo) single(args ...string) {
	d.Helper()
	d.both("", func(s *side) []string { return slices.Clone(s.rule) }, args...)
}

func (d *duo) batch(text string, options ...string) {
	d.Helper()
	d.both(text, func(s *side) []string { return slices.Clone(s.load) }, options...)
}

var comment = regexp.MustCompile(`(?m)^#.*\n`)

func (d *duo) saved(s *side) string {
	d.Helper()
	out, code := d.run(s, "", s.save...)
	if code != 0 {
		d.Fatalf("save: exit code %d after\n%s", code, d.history())
	}
	return comment.ReplaceAllString(out, "")
}

// compare wants the same rules and counters on both sides; iptables prints the table first that
// was used last.
func (d *duo) compare() {
	d.Helper()
	want, got := byTable(d.saved(&d.ref)), byTable(d.saved(&d.ours))
	if got != want {
		d.Fatalf("saved\n%s\nafter\n%s", difference(got, want), d.history())
	}
}

func byTable(text string) string {
	parts := strings.SplitAfter(text, "COMMIT\n")
	slices.Sort(parts)
	return strings.Join(parts, "")
}

// difference shows the lines in which two texts are not the same.
func difference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	var out strings.Builder
	for i := range max(len(g), len(w)) {
		a, b := "", ""
		if i < len(g) {
			a = g[i]
		}
		if i < len(w) {
			b = w[i]
		}
		if a != b {
			out.WriteString("got  " + a + "\nwant " + b + "\n")
		}
	}
	return out.String()
}

// history is the last commands.
func (d *duo) history() string {
	return strings.Join(d.said[max(0, len(d.said)-30):], "\n")
}

// send sends packets to both sides, which must do the same with them.
func (d *duo) send(packets []*lab.Packet) {
	d.Helper()
	for _, p := range packets {
		want, got := d.sendTo(&d.ref, p), d.sendTo(&d.ours, p)
		if got != want {
			d.Fatalf("%s\n got\n%s\n want\n%s\nrules\n%s\nafter\n%s", p, got, want, d.saved(&d.ref), d.history())
		}
	}
}

func (d *duo) sendTo(s *side, p *lab.Packet) string {
	d.Helper()
	events, err := s.lab.Send(p)
	if err != nil {
		d.Fatal(err)
	}
	var b strings.Builder
	for _, e := range events {
		b.WriteString(e.String() + "\n")
	}
	return b.String()
}

// packets draws packets that the rules care about.
func (d *duo) packets(n int, seed int64) (out []*lab.Packet) {
	g := gen.New(d.family, d.saved(&d.ref), interfaces, seed)
	for len(out) < n {
		out = append(out, g.Draw()...)
	}
	return out
}

// generation is that which is enforced, by the name of its state; while a server makes another one, both.
func (d *duo) generation() string {
	d.Helper()
	netns, err := os.Stat(filepath.Join("/run/netns", d.ours.lab.Host()))
	if err != nil {
		d.Fatal(err)
	}
	dir := fmt.Sprintf("/run/bpftables/%d/%s", netns.Sys().(*syscall.Stat_t).Ino, d.family)
	found, err := filepath.Glob(filepath.Join(dir, "state-*.db"))
	if err != nil || len(found) == 0 {
		d.Fatalf("states in %s: %v (%v)", dir, found, err)
	}
	return strings.Join(found, " ")
}
