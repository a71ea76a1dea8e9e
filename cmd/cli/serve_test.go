package cli_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/compat/serve/client"
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
	h.t.Cleanup(func() { _ = s.end(unix.SIGTERM) })
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

func TestServeTwoNamespaces(t *testing.T) {
	a, b := newHost(t), newHost(t)
	b.env[0] = a.env[0] // the server of a
	s := a.serve()

	// While a command waits for its input in one namespace, and holds the lock there,
	// commands run in the other one.
	slow := a.command(a.self, "restore")
	in, err := slow.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := slow.Start(); err != nil {
		t.Fatal(err)
	}
	a.wait("the first restore has begun", func() bool { return s.opens(filepath.Join(a.dir, "lock")) })
	b.served("*filter\n-A INPUT -p udp -j DROP\nCOMMIT\n", "restore")
	if _, err := io.WriteString(in, sshRules); err != nil {
		t.Fatal(err)
	}
	in.Close()
	if err := slow.Wait(); err != nil {
		t.Fatal(err)
	}
	a.expect(a.served("", "save"), sshRule)
	b.expect(b.served("", "save"), "-A INPUT -p udp -j DROP")
	if text := a.served("", "save"); strings.Contains(text, "udp") {
		t.Errorf("rules of the other namespace:\n%s", text)
	}
	if err := s.end(unix.SIGTERM); err != nil {
		t.Errorf("SIGTERM: %v", err)
	}
	if _, err := os.Stat(a.socket()); err == nil {
		t.Error("the socket is still there")
	}
}

func TestServeKilled(t *testing.T) {
	h := newHost(t)
	s := h.serve()
	h.served(sshRules, "restore")

	// In the middle of a command.
	cmd := h.command(h.self, "restore")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	h.wait("the restore has begun", func() bool { return s.opens(filepath.Join(h.dir, "lock")) })
	_ = s.end(unix.SIGKILL)
	err = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(errs.String(), "the server was killed") {
		t.Errorf("client of a killed server: exit code %d, %v: %s", code, err, &errs)
	}
	in.Close()

	// The rules are enforced, and commands work on the socket that nobody serves.
	h.expect(h.alone(h.command(h.self, "save"), "no server answers"), sshRule)

	// The next server takes over; only one does.
	h.serve()
	h.expect(h.served("", "save"), sshRule)
	if _, errs, code := h.run("", "serve"); code != 1 || !strings.Contains(errs, "a server is running already") {
		t.Errorf("second server: exit code %d: %s", code, errs)
	}
	h.expect(h.served("", "save"), sshRule)
}

func TestServeOtherVersion(t *testing.T) {
	h := newHost(t)
	h.serve()
	h.served(sshRules, "restore")
	program, err := os.ReadFile(h.self)
	if err != nil {
		t.Fatal(err)
	}
	same, other := filepath.Join(h.dir, "same"), filepath.Join(h.dir, "other")
	if err := os.WriteFile(same, program, 0o755); err != nil {
		t.Fatal(err)
	}
	// The note of the Go linker: the name "Go", padded, of type 4, then the build.
	at := bytes.Index(program, []byte("Go\x00\x00"))
	if at < 0 {
		t.Fatal("no build in the program")
	}
	program[at+8] ^= 1
	if err := os.WriteFile(other, program, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, errs, _ := runCommand(h.command(h.link(same), "save"), ""); errs != "" || !strings.Contains(out, sshRule) {
		t.Errorf("a copy of the same program: %s", errs)
	}
	h.expect(h.alone(h.command(h.link(other), "save"), "the server is another version"), sshRule)
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

func TestServeOnlyRoot(t *testing.T) {
	h := newHost(t)
	h.serve()
	h.served(sshRules, "restore")
	if st, err := os.Stat(h.socket()); err != nil || st.Mode().Perm() != 0o600 {
		t.Fatalf("socket: mode %v, %v", st.Mode(), err)
	}
	for _, dir := range []string{h.dir, filepath.Dir(h.dir), filepath.Dir(h.self), filepath.Dir(filepath.Dir(h.self))} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(h.socket(), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		why  string
		args []string
	}{
		{"user 65534 is not served", []string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"}},
		{"the caller has fewer rights", []string{"setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"}},
		{"the user namespace of the server is another one", []string{"unshare", "--user", "--map-root-user"}},
		{"the pid namespace of the server is another one", []string{"unshare", "--pid", "--fork"}},
	} {
		_, errs, _ := runCommand(h.command(append(c.args, h.self, "flush")...), "")
		if !strings.Contains(errs, "working alone: "+c.why) {
			t.Errorf("%v: %s", c.args, errs)
		}
	}
}

func TestServeClientKilled(t *testing.T) {
	h := newHost(t)
	s := h.serve()
	lock := filepath.Join(h.dir, "lock")

	// While its input comes: the rest of the input must not look like all of it.
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := h.command(h.self, "restore")
	cmd.Stdin = reader
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	reader.Close()
	if _, err := io.WriteString(writer, sshRules); err != nil {
		t.Fatal(err)
	}
	h.wait("the restore has begun", func() bool { return s.opens(lock) })
	kill(t, cmd)
	writer.Close()
	h.wait("the restore has ended", func() bool { return !s.opens(lock) })

	// While it waits for the lock.
	held, err := os.OpenFile(lock, os.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Flock(int(held.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	cmd = h.command(h.self, "iptables", "-w", "-A", "INPUT", "-j", "DROP")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	h.wait("the command waits", func() bool { return s.opens(lock) })
	kill(t, cmd)
	h.wait("the command has ended", func() bool { return !s.opens(lock) })
	held.Close()
	if text := h.rules(); text != "" {
		t.Errorf("a killed client changed the rules:\n%s", text)
	}
	h.served(sshRules, "restore")
}

func kill(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
}

func TestServeBrokenPipe(t *testing.T) {
	h := newHost(t)
	h.serve()
	h.served(sshRules, "restore")
	for _, off := range []string{"", "1"} {
		reader, writer, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		reader.Close()
		cmd := h.command(h.self, "save")
		cmd.Env = append(cmd.Env, client.NoServeEnv+"="+off)
		cmd.Stdout = writer
		_ = cmd.Run() // the signal says it
		writer.Close()
		st := cmd.ProcessState.Sys().(syscall.WaitStatus)
		if !st.Signaled() || st.Signal() != unix.SIGPIPE {
			t.Errorf("%s=%s: %v, want SIGPIPE", client.NoServeEnv, off, cmd.ProcessState)
		}
	}
}

func TestServeFiles(t *testing.T) {
	h := newHost(t)
	h.serve()
	if err := os.WriteFile(filepath.Join(h.dir, "rules"), []byte(sshRules), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, script := range []string{
		`$SELF restore rules`,
		`$SELF restore < rules`,
		`$SELF restore <(cat rules)`,
		`$SELF restore /dev/fd/5 5< rules`,
		// Files that only the mount namespace of the client has.
		`mkdir -p m; mount -t tmpfs none m; cp rules m; cd m; $SELF restore ../m/rules`,
	} {
		h.served("", "flush", "--all")
		cmd := h.command("bash", "-e", "-c", script)
		cmd.Env = append(cmd.Env, "SELF="+h.self)
		if _, errs, code := runCommand(cmd, ""); code != 0 || errs != "" {
			t.Errorf("%s: exit code %d: %s", script, code, errs)
		}
		if text := h.rules(); !strings.Contains(text, sshRule) {
			t.Errorf("%s: rules:\n%s", script, text)
		}
	}
}

// TestServeNames has names of hosts that only the mount namespace of the client knows.
func TestServeNames(t *testing.T) {
	h := newHost(t)
	h.serve()
	if err := os.WriteFile(filepath.Join(h.dir, "hosts"), []byte("192.0.2.77 client.example\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	const script = `mount --bind hosts /etc/hosts; $SELF iptables -A INPUT -s client.example -j DROP; $SELF list INPUT
		! $SELF iptables -A INPUT -s "no such host" -j DROP`
	var texts [2]string
	for i, off := range []string{"", "1"} {
		h.served("", "flush", "--all")
		cmd := h.command("bash", "-e", "-c", script)
		cmd.Env = append(cmd.Env, "SELF="+h.self, client.NoServeEnv+"="+off)
		out, errs, code := runCommand(cmd, "")
		if code != 0 {
			t.Fatalf("exit code %d: %s", code, errs)
		}
		h.expect(h.rules(), "-A INPUT -s 192.0.2.77/32 -j DROP")
		h.expect(out, "client.example")
		texts[i] = out + errs
	}
	if texts[0] != texts[1] {
		t.Errorf("with a server:\n%s\nwithout:\n%s", texts[0], texts[1])
	}
}

func TestServeActivated(t *testing.T) {
	h := newHost(t)
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: h.socket(), Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	passed, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	// The client comes before the server, as with systemd.
	first := h.command(h.self, "restore")
	first.Stdin = strings.NewReader(sshRules)
	var errs bytes.Buffer
	first.Stderr = &errs
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", "LISTEN_PID=$$ LISTEN_FDS=1 exec "+h.self+" serve")
	cmd.Env = append(os.Environ(), h.env...)
	cmd.ExtraFiles = []*os.File{passed}
	s, err := serving(cmd)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Wait(); err != nil || errs.Len() > 0 {
		t.Fatalf("%v: %s", err, &errs)
	}
	h.expect(h.served("", "save"), sshRule)
	if err := s.end(unix.SIGTERM); err != nil {
		t.Errorf("SIGTERM: %v", err)
	}
	if _, err := os.Stat(h.socket()); err != nil {
		t.Errorf("the socket is not the server's to remove: %v", err)
	}
	passed.Close()
	l.Close()
	h.expect(h.alone(h.command(h.self, "save"), "no server answers"), sshRule)
}
