package commands

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// callers is how many programs call at once.
const callers = 20

// TestCrowd lets many callers change the same tables at once, some of which are killed: as with
// iptables, what a command that ended well did is there, and nothing is done twice.
func TestCrowd(t *testing.T) {
	program := prepare(t)
	turns := 3
	if *long {
		turns = 20
	}
	t.Run("alone", func(t *testing.T) { newCrowd(t, program).run(*seed, turns) })
	serve(t, program)
	t.Run("served", func(t *testing.T) {
		c := newCrowd(t, program)
		c.env = append(c.env, "BPFTABLES_SERVE_DEBUG=1")
		c.run(*seed+1, turns)
	})
}

// crowd is a host with many callers.
type crowd struct {
	*talk
	mu   sync.Mutex
	want map[string]expected
}

// expected is what is known of a rule, by the line that shows it.
type expected uint8

const (
	absent expected = iota
	present
	unknown // who made or removed it was killed
)

func newCrowd(t *testing.T, program string) *crowd {
	w := newTalk(t, links(t, program), "iptables", "legacy")
	c := &crowd{talk: w, want: map[string]expected{}}
	t.Cleanup(func() { c.must(exec.Command(program, "flush", "--all")) })
	return c
}

// command is a command line on the host.
func (c *crowd) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "nsenter", append([]string{"--net=/run/netns/" + c.lab.Host(), "--"}, args...)...)
	cmd.Env = c.env
	return cmd
}

// must runs a command on the host that must end well, and gives what it prints.
func (c *crowd) must(cmd *exec.Cmd) string {
	c.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	out, err := c.command(ctx, cmd.Args...).CombinedOutput()
	if err != nil {
		c.Errorf("%v: %v\n%s", cmd.Args, err, out)
	}
	return string(out)
}

// run lets all callers run, each so many turns, and looks at what is there then.
func (c *crowd) run(seed int64, turns int) {
	c.Helper()
	var all sync.WaitGroup
	for i := range callers {
		all.Add(1)
		go func() {
			defer all.Done()
			m := &member{crowd: c, number: i, r: rand.New(rand.NewSource(seed*callers + int64(i)))}
			for turn := range turns {
				m.turn(turn)
			}
		}()
	}
	done := make(chan bool)
	go func() { all.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(5 * deadline):
		c.Fatal("some caller waits without end")
	}
	c.confirm()
}

// confirm compares what is there with what the callers know.
func (c *crowd) confirm() {
	c.Helper()
	count := map[string]int{}
	for line := range strings.Lines(c.must(exec.Command("iptables-legacy-save"))) {
		count[strings.TrimSpace(line)]++
	}
	known := 0
	for line, e := range c.want {
		if e != unknown {
			known++
		}
		if n := count[line]; n > 1 || e == present && n != 1 || e == absent && n != 0 {
			c.Errorf("%q: %d times; expected: %v (0 absent, 1 present, 2 unknown)", line, n, e)
		}
		delete(count, line)
	}
	for line := range count {
		if strings.HasPrefix(line, "-A") {
			c.Errorf("%q is nobody's", line)
		}
	}
	c.Logf("%d rules and chains, %d known", len(c.want), known)
}

// member is one of the callers.
type member struct {
	*crowd
	number int
	r      *rand.Rand
	chain  string   // of its own, once it is there
	rules  []string // certainly there
}

// turn gives one command.
func (m *member) turn(turn int) {
	address := func(i int) string { return fmt.Sprintf("10.%d.%d.%d/32", m.number, turn, i) }
	base := []string{"INPUT", "FORWARD", "OUTPUT"}[m.r.Intn(3)]
	table := []string{"filter", "filter", "mangle", "nat"}[m.r.Intn(4)]
	if table == "nat" {
		base = "OUTPUT"
	}
	switch kind := m.r.Intn(5); {
	case kind == 0 && m.chain == "":
		name := fmt.Sprintf("own-%d-%d", m.number, turn)
		if m.change(m.cmd("-w", "-N", name), []string{":" + name + " - [0:0]"}, present) {
			m.chain = name
		}
	case kind == 1 && len(m.rules) > 0:
		rule := m.rules[len(m.rules)-1]
		m.rules = m.rules[:len(m.rules)-1]
		args := strings.Fields(rule)
		args[0] = "-D"
		m.change(m.cmd("-w", args...), []string{rule}, absent)
	case kind == 2:
		text, lines := "*filter\n", []string(nil)
		for i := range 3 {
			lines = append(lines, fmt.Sprintf("-A %s -s %s -j DROP", base, address(i)))
			if table != "filter" {
				lines[i] = fmt.Sprintf("-A FORWARD -s %s -j DROP", address(i))
			}
			text += lines[i] + "\n"
		}
		cmd := m.command(context.Background(), "iptables-legacy-restore", "-w", "-n")
		cmd.Stdin = strings.NewReader(text + "COMMIT\n")
		if m.change(cmd, lines, present) {
			m.rules = append(m.rules, lines...)
		}
	case kind == 3 && m.chain != "":
		line := fmt.Sprintf("-A %s -s %s -j RETURN", m.chain, address(0))
		m.change(m.cmd("-w", strings.Fields(line)...), []string{line}, present)
	default:
		line := fmt.Sprintf("-A %s -s %s -j ACCEPT", base, address(0))
		ok := m.change(m.cmd("-w", append([]string{"-t", table}, strings.Fields(line)...)...), []string{line}, present)
		if ok && table == "filter" {
			m.rules = append(m.rules, line)
		}
	}
}

// cmd is a command of iptables that waits for the lock.
func (m *member) cmd(wait string, args ...string) *exec.Cmd {
	return m.command(context.Background(), append([]string{"iptables-legacy", wait}, args...)...)
}

// change runs a command, which may be killed, and notes what has become of lines.
func (m *member) change(cmd *exec.Cmd, lines []string, to expected) bool {
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		m.Error(err)
		return false
	}
	if m.r.Intn(4) == 0 {
		// At any time, from before it begins to behind its end.
		timer := time.AfterFunc(time.Duration(m.r.Intn(200))*time.Millisecond, func() { cmd.Process.Kill() })
		defer timer.Stop()
	}
	err := cmd.Wait()
	var exit *exec.ExitError
	killed := errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == unix.SIGKILL
	switch {
	case killed:
		to = unknown
	case err != nil:
		m.Errorf("%v: %v\n%s", cmd.Args, err, &said)
		to = unknown
	case said.Len() > 0:
		m.Errorf("%v says %s", cmd.Args, &said)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, line := range lines {
		m.want[line] = to
	}
	return err == nil
}

// TestNobodyWaits has callers that do not go on: one whose input stays open, one whose output
// nobody reads, one that was stopped. The commands of others go on.
func TestNobodyWaits(t *testing.T) {
	program := prepare(t)
	t.Run("alone", func(t *testing.T) { newCrowd(t, program).stuck(false) })
	serve(t, program)
	t.Run("served", func(t *testing.T) { newCrowd(t, program).stuck(true) })
}

func (c *crowd) stuck(served bool) {
	c.Helper()
	var rules strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&rules, "-A INPUT -s 192.0.%d.%d -j DROP\n", i>>8, i&255)
	}
	load := c.command(context.Background(), "iptables-legacy-restore")
	load.Stdin = strings.NewReader("*filter\n" + rules.String() + "COMMIT\n")
	if out, err := load.CombinedOutput(); err != nil {
		c.Fatalf("%v: %s", err, out)
	}
	others := func(what string) {
		c.Helper()
		c.Log(what)
		c.must(exec.Command("iptables-legacy", "-w", "30", "-I", "INPUT", "-s", "203.0.113.1", "-j", "DROP"))
		c.must(exec.Command("iptables-legacy", "-w", "30", "-D", "INPUT", "-s", "203.0.113.1", "-j", "DROP"))
	}
	for what, args := range map[string][]string{"a list that nobody reads": {"iptables-legacy", "-S"}, "a text that nobody reads": {"iptables-legacy-save"}} {
		end, out, err := os.Pipe()
		if err != nil {
			c.Fatal(err)
		}
		cmd := c.command(context.Background(), args...)
		cmd.Stdout = out
		c.start(cmd)
		c.filled(what, end)
		others(what)
		if served {
			// Who does not go on at all.
			if err := cmd.Process.Signal(unix.SIGSTOP); err != nil {
				c.Fatal(err)
			}
			others(what + ", stopped")
		}
		c.end(cmd)
		out.Close()
		end.Close()
	}
	in, open, err := os.Pipe()
	if err != nil {
		c.Fatal(err)
	}
	cmd := c.command(context.Background(), "iptables-legacy-restore", "-n")
	cmd.Stdin = in
	c.start(cmd)
	if _, err := open.WriteString("*filter\n-A INPUT -s 203.0.113.2 -j DROP\n"); err != nil {
		c.Fatal(err)
	}
	others("an input without an end")
	c.end(cmd)
	open.Close()
	in.Close()
}

func (c *crowd) start(cmd *exec.Cmd) {
	c.Helper()
	if err := cmd.Start(); err != nil {
		c.Fatal(err)
	}
}

// end kills a command.
func (c *crowd) end(cmd *exec.Cmd) {
	cmd.Process.Kill()
	cmd.Wait()
}

// filled waits until a command has filled its output.
func (c *crowd) filled(what string, end *os.File) {
	c.Helper()
	last, same := -1, 0
	for begin := time.Now(); time.Since(begin) < deadline; {
		n, err := unix.IoctlGetInt(int(end.Fd()), unix.TIOCINQ)
		if err != nil {
			c.Fatal(err)
		}
		if n > 0 && n == last {
			if same++; same > 50 {
				return
			}
		} else {
			last, same = n, 0
		}
		unix.Poll(nil, 1) // gives way
	}
	c.Fatalf("%s: nothing comes", what)
}
