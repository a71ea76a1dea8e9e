package cli_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/engine/serve/client"
)

// host is a network namespace with a copy of the program.
type host struct {
	t    *testing.T
	ns   string
	self string
	dir  string
	env  []string
}

const (
	sshRules = "*filter\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\nCOMMIT\n"
	sshRule  = "-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT"
)

func newHost(t *testing.T) *host {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("REQUIRE_KERNEL") != "" {
			t.Fatal("the command lines need root")
		}
		t.Skip("the command lines need root")
	}
	self, err := exec.LookPath("bpftables")
	if err != nil {
		t.Fatal(err)
	}
	h := &host{t: t, self: self, dir: t.TempDir(), ns: fmt.Sprintf("bt-serve-%d-%d", os.Getpid(), scripts.Add(1))}
	h.env = []string{client.SocketEnv + "=" + h.socket(), client.DebugEnv + "=1", client.NoServeEnv + "=",
		"XTABLES_LOCKFILE=" + filepath.Join(h.dir, "lock"), "BPFTABLES_IPTABLES=legacy"}
	h.must("ip", "netns", "add", h.ns)
	t.Cleanup(func() {
		h.run("", "flush", "--all", "-w", "30")
		h.must("ip", "netns", "del", h.ns)
	})
	return h
}

func (h *host) socket() string { return filepath.Join(h.dir, "sock") }

func (h *host) must(args ...string) {
	h.t.Helper()
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		h.t.Fatalf("%v: %v: %s", args, err, out)
	}
}

// command is a command in the namespace.
func (h *host) command(args ...string) *exec.Cmd {
	cmd := exec.Command("ip", append([]string{"netns", "exec", h.ns}, args...)...)
	cmd.Env = append(os.Environ(), h.env...)
	cmd.Dir = h.dir
	return cmd
}

// run runs bpftables and gives what it prints and its exit code.
func (h *host) run(stdin string, args ...string) (out, errs string, code int) {
	return runCommand(h.command(append([]string{h.self}, args...)...), stdin)
}

func runCommand(cmd *exec.Cmd, stdin string) (out, errs string, code int) {
	var o, e bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &o, &e
	_ = cmd.Run() // the code says it
	return o.String(), e.String(), cmd.ProcessState.ExitCode()
}

// served runs bpftables and checks that a server did it.
func (h *host) served(stdin string, args ...string) string {
	h.t.Helper()
	out, errs, code := h.run(stdin, args...)
	if code != 0 || errs != "" {
		h.t.Fatalf("%v: exit code %d: %s", args, code, errs)
	}
	return out
}

// alone runs a command, which must succeed, and checks why no server did it.
func (h *host) alone(cmd *exec.Cmd, why string) string {
	h.t.Helper()
	out, errs, code := runCommand(cmd, "")
	if code != 0 || !strings.Contains(errs, "working alone: "+why) {
		h.t.Fatalf("%v: exit code %d: %s", cmd.Args, code, errs)
	}
	return out
}

// rules are what is enforced, asked without a server.
func (h *host) rules() string {
	h.t.Helper()
	cmd := h.command(h.self, "save")
	cmd.Env = append(cmd.Env, client.NoServeEnv+"=1")
	out, errs, code := runCommand(cmd, "")
	if code != 0 {
		h.t.Fatalf("save: %s", errs)
	}
	return out
}

func (h *host) expect(text, want string) {
	h.t.Helper()
	if !strings.Contains(text, want) {
		h.t.Fatalf("%q is not in:\n%s", want, text)
	}
}

// serve starts a server that ends with the test, unless it has ended before.
func (h *host) serve() *server {
	h.t.Helper()
	cmd := exec.Command(h.self, "serve")
	cmd.Env = append(os.Environ(), h.env...)
	s, err := serving(cmd)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		if err := s.end(unix.SIGTERM); err != nil && !s.killed {
			h.t.Errorf("server: %v: %s", err, s.text())
		}
	})
	return s
}

// wait waits until something is so.
func (h *host) wait(what string, so func() bool) {
	h.t.Helper()
	late := time.After(deadline)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-tick.C:
		case <-late:
			h.t.Fatal("waited in vain until ", what)
		}
	}
}

// opens says whether the server has opened a file by itself.
func (s *server) opens(path string) bool {
	links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", s.cmd.Process.Pid))
	for _, l := range links {
		if to, err := os.Readlink(l); err == nil && to == path {
			return true
		}
	}
	return false
}

// pipes is how many descriptors of pipes the server has: its own, and the streams of clients.
func (s *server) pipes() (n int) {
	links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", s.cmd.Process.Pid))
	for _, l := range links {
		if to, err := os.Readlink(l); err == nil && strings.HasPrefix(to, "pipe:") {
			n++
		}
	}
	return n
}

// fileName is what a link to an open pipe or file leads to, for opens.
func fileName(t *testing.T, file any) string {
	t.Helper()
	f, ok := file.(*os.File)
	if !ok {
		t.Fatalf("%T is no file", file)
	}
	return linkOf(t, int(f.Fd()))
}

func linkOf(t *testing.T, fd int) string {
	t.Helper()
	to, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// link gives a program the name by which the test program knows what to be.
func (h *host) link(program string) string {
	dir := program + ".d"
	if err := os.Mkdir(dir, 0o755); err != nil {
		h.t.Fatal(err)
	}
	path := filepath.Join(dir, filepath.Base(h.self))
	if err := os.Link(program, path); err != nil {
		h.t.Fatal(err)
	}
	return path
}
