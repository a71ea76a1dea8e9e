package cli_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/engine/serve/client"
)

// TestServeClosed has clients with closed streams, in all combinations: they get what they
// get without a server, and the lock is free again.
func TestServeClosed(t *testing.T) {
	h := newHost(t)
	h.serve()
	for _, what := range []string{"restore", "save", "iptables -A INPUT -j DROP", "iptables -L", "iptables -X nosuch"} {
		for closed := range 8 {
			script := "exec $SELF " + what
			for i, end := range []string{" <&-", " >&-", " 2>&-"} {
				if closed&(1<<i) != 0 {
					script += end
				}
			}
			var codes [2]int
			for i, off := range []string{"", "1"} {
				h.served(sshRules, "restore")
				cmd := h.command("bash", "-c", script)
				cmd.Env = append(cmd.Env, "SELF="+h.self, client.NoServeEnv+"="+off)
				_, _, codes[i] = runCommand(cmd, "")
			}
			if codes[0] != codes[1] {
				t.Errorf("%s: exit code %d, %d without a server", script, codes[0], codes[1])
			}
		}
	}
}

// odd is a request that no real client sends.
type odd struct {
	what   string
	packet string
	files  func(conn int) []int
}

// TestServeOddRequests has requests that make no sense, from clients that then die. The server
// goes on, and the lock is free.
func TestServeOddRequests(t *testing.T) {
	h := newHost(t)
	s := h.serve()
	h.served(sshRules, "restore")
	pipe := make([]int, 2)
	if err := unix.Pipe2(pipe, unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pipe[1])
	unix.Close(pipe[0])
	dead := pipe[1]
	real := func(stdin, stdout int) []int {
		net, mnt := h.openFile("/run/netns/"+h.ns), h.openFile("/proc/self/ns/mnt")
		return []int{stdin, stdout, 2, net, mnt, h.openFile(h.dir)}
	}
	const restore = client.Magic + "\x01\x00\x00\x00restore\x00XTABLES_LOCKFILE=lock\x00"
	for _, o := range []odd{
		{"nothing", "", nil},
		{"another program", "GET / HTTP/1.1", nil},
		{"half of the magic", client.Magic[:3], nil},
		{"no files", restore, nil},
		{"arguments that are not there", client.Magic + "\xff\xff\xff\xffrestore\x00", func(int) []int { return real(0, 1) }},
		{"no arguments", client.Magic + "\x00\x00\x00\x00", func(int) []int { return real(dead, dead) }},
		{"an argument without end", client.Magic + "\x01\x00\x00\x00restore", func(int) []int { return real(dead, dead) }},
		{"an unknown command", client.Magic + "\x01\x00\x00\x00serve\x00", func(int) []int { return real(dead, dead) }},
		{"a few files", restore, func(int) []int { return []int{0, 1} }},
		{"pipes as namespaces", restore, func(int) []int { return []int{dead, dead, dead, dead, dead, dead} }},
		{"sockets", restore, func(conn int) []int { return []int{conn, conn, conn, conn, conn, conn} }},
		{"a dead pipe", restore, func(int) []int { return real(dead, dead) }},
		{"itself as input", restore, func(conn int) []int { return real(conn, conn) }},
	} {
		conn := h.connect()
		if o.packet != "" {
			var rights []byte
			if o.files != nil {
				rights = unix.UnixRights(o.files(conn)...)
			}
			if err := unix.Sendmsg(conn, []byte(o.packet), rights, nil, unix.MSG_NOSIGNAL); err != nil {
				t.Fatalf("%s: %v", o.what, err)
			}
		}
		if o.what == "itself as input" {
			end := linkOf(t, conn)
			h.wait("the restore has begun", func() bool { return s.opens(end) })
			// Its other end stays open here, as the process does: only shutting it down
			// says that the client is gone.
			if err := unix.Shutdown(conn, unix.SHUT_RDWR); err != nil {
				t.Fatal(err)
			}
		}
		unix.Close(conn)
		h.wait(o.what+": the lock is free", func() bool { return !s.opens(filepath.Join(h.dir, "lock")) })
		if text := h.served("", "iptables", "-S", "INPUT"); !strings.Contains(text, sshRule) {
			t.Errorf("%s: rules:\n%s", o.what, text)
		}
	}
}

// TestServeSignals has signals at a thread that waits for a request, as Go's runtime sends
// them: it goes on waiting.
func TestServeSignals(t *testing.T) {
	h := newHost(t)
	s := h.serve()
	for range 20 {
		conn := h.connect()
		thread := 0
		h.wait("a thread waits for the request", func() bool { thread = s.threadIn(unix.SYS_RECVFROM); return thread != 0 })
		for range 3 {
			if err := unix.Tgkill(s.cmd.Process.Pid, thread, unix.SIGURG); err != nil {
				t.Fatal(err)
			}
		}
		if err := unix.Sendmsg(conn, []byte("GET / HTTP/1.1"), nil, nil, unix.MSG_NOSIGNAL); err != nil {
			t.Fatal("the server does not wait: ", err)
		}
		answer := make([]byte, 256)
		n, err := unix.Read(conn, answer)
		if text := string(answer[:max(n, 0)]); err != nil || !strings.Contains(text, "incomplete") {
			t.Errorf("answer %q, %v", text, err)
		}
		unix.Close(conn)
	}
}

// threadIn gives a thread of the server that is in a system call; 0 when there is none.
func (s *server) threadIn(call int) int {
	tasks := fmt.Sprintf("/proc/%d/task", s.cmd.Process.Pid)
	entries, _ := os.ReadDir(tasks)
	for _, e := range entries {
		text, _ := os.ReadFile(filepath.Join(tasks, e.Name(), "syscall"))
		if number, _, _ := strings.Cut(string(text), " "); number == strconv.Itoa(call) {
			thread, _ := strconv.Atoi(e.Name())
			return thread
		}
	}
	return 0
}

// openFile opens a file for the length of the test.
func (h *host) openFile(path string) int {
	h.t.Helper()
	f, err := os.Open(path)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { f.Close() })
	return int(f.Fd())
}

// connect connects to the server.
func (h *host) connect() int {
	h.t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		h.t.Fatal(err)
	}
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: h.socket()}); err != nil {
		h.t.Fatal(err)
	}
	return fd
}

// TestServeManyConnections has more connections that say nothing than commands are run at a
// time: others work alone.
func TestServeManyConnections(t *testing.T) {
	h := newHost(t)
	h.serve()
	h.served(sshRules, "restore")
	for range 300 {
		defer unix.Close(h.connect())
	}
	out, errs, code := h.run("", "save")
	if code != 0 || !strings.Contains(out, sshRule) || !strings.Contains(errs, "working alone: ") {
		t.Errorf("exit code %d: %s%s", code, out, errs)
	}
}

// TestServeBlockedOutput has clients whose output nobody takes. When they are killed, stopped or
// not, the lock is free.
func TestServeBlockedOutput(t *testing.T) {
	h := newHost(t)
	s := h.serve()
	var rules strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&rules, "-A INPUT -s 192.0.%d.%d -j DROP\n", i>>8, i&255)
	}
	h.served("*filter\n"+rules.String()+"COMMIT\n", "restore")
	lock := filepath.Join(h.dir, "lock")
	for what, outputs := range map[string]func(*testing.T) (end, out *os.File){"pipe": blockedPipe, "socket": blockedSocket, "terminal": blockedTerminal} {
		for _, stopped := range []bool{false, true} {
			end, out := outputs(t)
			cmd := h.command(h.self, "iptables", "-L", "INPUT", "-n")
			cmd.Stdout = out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			h.wait(what+": the listing fills it", func() bool {
				// What a reader of a terminal can take at once is 4,095 bytes (N_TTY_BUF_SIZE).
				n, err := unix.IoctlGetInt(int(end.Fd()), unix.TIOCINQ)
				return err == nil && n >= 4095
			})
			if stopped {
				if err := cmd.Process.Signal(unix.SIGSTOP); err != nil {
					t.Fatal(err)
				}
			}
			kill(t, cmd)
			h.wait(what+": the lock is free", func() bool { return !s.opens(lock) })
			out.Close()
			end.Close()
		}
	}
}

func blockedPipe(t *testing.T) (end, out *os.File) {
	t.Helper()
	end, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	return end, out
}

func blockedSocket(t *testing.T) (end, out *os.File) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fds[0]), "socket"), os.NewFile(uintptr(fds[1]), "socket")
}

func blockedTerminal(t *testing.T) (end, out *os.File) {
	t.Helper()
	end, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(end.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(end.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if out, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	return end, out
}

// TestServeOtherRoot has a client in another root directory of the same mount namespace: tools
// and locks are looked for there.
func TestServeOtherRoot(t *testing.T) {
	h := newHost(t)
	h.serve()
	cmd := h.command("bash", "-e", "-c", `mkdir -p r/proc r$PWD; mount -t proc none r/proc; mount --bind . r$PWD
		cp $SELF r/bpftables; chroot r /bpftables save`)
	cmd.Env = append(cmd.Env, "SELF="+h.self)
	if _, errs, _ := runCommand(cmd, ""); !strings.Contains(errs, "working alone: the caller has another root directory") {
		t.Error(errs)
	}
}

// TestServeKilledClients has twenty clients at a time, of which every other one is killed: each
// change is there or not, as a whole, and the server goes on.
func TestServeKilledClients(t *testing.T) {
	h := newHost(t)
	s := h.serve()
	h.served(sshRules, "restore")
	idle := s.pipes()
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			for k := range 5 {
				cmd := h.command(h.self, "restore", "-n", "-w", "60")
				a, b := fmt.Sprintf("192.0.2.%d/32", i*5+k), fmt.Sprintf("198.51.100.%d/32", i*5+k)
				text := "*filter\n-A INPUT -s " + a + " -j DROP\n-A INPUT -s " + b + " -j DROP\nCOMMIT\n"
				if i%2 == 0 {
					cmd.Stdin = strings.NewReader(text)
					if _, err := finish(cmd); err != nil {
						t.Error(err)
					}
					continue
				}
				in, err := cmd.StdinPipe()
				if err != nil || cmd.Start() != nil {
					t.Error("the command does not start")
					return
				}
				_, _ = io.WriteString(in, text) // it may be gone
				if k%2 == 0 {
					in.Close()
				}
				_ = cmd.Process.Kill()
				_ = cmd.Wait()
				in.Close()
			}
		})
	}
	all.Wait()
	h.wait("all commands have ended", func() bool { return s.pipes() <= idle })
	text := h.served("", "save")
	for i := range 100 {
		a, b := fmt.Sprintf("-s 192.0.2.%d/32 ", i), fmt.Sprintf("-s 198.51.100.%d/32 ", i)
		if n, m := strings.Count(text, a), strings.Count(text, b); n != m || n > 1 || n == 0 && i/5%2 == 0 {
			t.Errorf("rules of change %d: %d and %d", i, n, m)
		}
	}
	dates := regexp.MustCompile(`(?m)^# (Generated|Completed) .*`)
	if alone := h.rules(); dates.ReplaceAllString(alone, "") != dates.ReplaceAllString(text, "") {
		t.Errorf("with a server:\n%s\nwithout:\n%s", text, alone)
	}
}

// finish runs a command and gives what it prints.
func finish(cmd *exec.Cmd) (string, error) {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%v: %w: %s", cmd.Args, err, &out)
	}
	return out.String(), nil
}
