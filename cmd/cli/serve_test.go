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
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/engine/serve/client"
)

func TestServeTwoNamespaces(t *testing.T) {
	a, b := newHost(t), newHost(t)
	b.env[0] = a.env[0] // the server of a
	s := a.serve()

	// While a command waits for its input in one namespace, commands run in the other one.
	slow := a.command(a.self, "restore")
	in, err := slow.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := slow.Start(); err != nil {
		t.Fatal(err)
	}
	a.wait("the first restore has begun", func() bool { return s.opens(fileName(t, in)) })
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

// TestServeParallel has changes and reads in several namespaces at once.
func TestServeParallel(t *testing.T) {
	hosts := []*host{newHost(t), newHost(t), newHost(t)}
	hosts[0].serve()
	var all sync.WaitGroup
	for i, h := range hosts {
		h.env[0] = hosts[0].env[0]
		for range 2 {
			all.Go(func() {
				for range 5 {
					text := fmt.Sprintf("*filter\n-A INPUT -s 192.0.2.%d -j DROP\nCOMMIT\n", i)
					if _, errs, code := h.run(text, "restore", "-w"); code != 0 || errs != "" {
						t.Errorf("restore: exit code %d: %s", code, errs)
					}
					out, errs, code := h.run("", "iptables", "-w", "-S", "INPUT")
					want := fmt.Sprintf("-P INPUT ACCEPT\n-A INPUT -s 192.0.2.%d/32 -j DROP\n", i)
					if code != 0 || errs != "" || out != want {
						t.Errorf("exit code %d: %s%s", code, out, errs)
					}
				}
			})
		}
	}
	all.Wait()
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
	h.wait("the restore has begun", func() bool { return s.opens(fileName(t, in)) })
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
	h.wait("the restore has begun", func() bool {
		left, err := unix.IoctlGetInt(int(writer.Fd()), unix.TIOCINQ)
		return err == nil && left == 0
	})
	pipe := fileName(t, writer)
	if !s.opens(pipe) || s.opens(lock) {
		t.Error("a restore holds the lock while its input comes")
	}
	kill(t, cmd)
	writer.Close()
	h.wait("the restore has ended", func() bool { return !s.opens(pipe) })

	// While it waits for the lock.
	held, err := os.OpenFile(lock, os.O_CREATE|os.O_RDONLY, 0o600)
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

// TestServeVariables has variables of the client, which are not the server's.
func TestServeVariables(t *testing.T) {
	h := newHost(t)
	h.env = append(h.env, "BPFTABLES_CLASSIFIER=nonsense")
	h.serve()
	h.env[len(h.env)-1] = "BPFTABLES_CLASSIFIER="
	h.served(sshRules, "restore")
	h.env[len(h.env)-1] = "BPFTABLES_CLASSIFIER=wrong"
	if _, errs, code := h.run(sshRules, "restore"); code != 1 || !strings.Contains(errs, "BPFTABLES_CLASSIFIER: classifier wrong") {
		t.Errorf("exit code %d: %s", code, errs)
	}
	h.served(sshRules, "restore", "--classifier=tuples")
}

// TestServeFirstFromNetns has a server, and then the first command of all comes from "ip netns
// exec", which has mounts of its own.
func TestServeFirstFromNetns(t *testing.T) {
	h := newHost(t)
	const script = `mount -t tmpfs none /run; ip netns add x
		exec 3< <(exec $SELF serve 2>&1); read -r -u3
		ip netns exec x $SELF restore < rules; ip netns exec x $SELF save
		BPFTABLES_NO_SERVE=1 nsenter --net=/run/netns/x $SELF save; ip netns exec x $SELF flush --all`
	if err := os.WriteFile(filepath.Join(h.dir, "rules"), []byte(sshRules), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := h.command("unshare", "-mpf", "--kill-child", "--mount-proc", "bash", "-e", "-c", script)
	cmd.Env = append(cmd.Env, "SELF="+h.self)
	out, errs, code := runCommand(cmd, "")
	if code != 0 || errs != "" || strings.Count(out, sshRule) != 2 {
		t.Errorf("exit code %d: %s%s", code, out, errs)
	}
}
