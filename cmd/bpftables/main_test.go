package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/engine/serve/client"
)

// rule is one that the tests set.
const rule = `-A INPUT -s 192.0.2.0/24 -m comment --comment "" -j DROP`

// program is a build of the program, with a server in a network namespace.
type program struct {
	t    *testing.T
	path string
	ns   string
	env  []string
}

// build builds the program, and starts a server.
func build(t *testing.T) *program {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("REQUIRE_KERNEL") != "" {
			t.Fatal("needs root")
		}
		t.Skip("needs root")
	}
	dir := t.TempDir()
	p := &program{t: t, path: filepath.Join(dir, "bpftables"), ns: fmt.Sprintf("bt-start-%d", os.Getpid())}
	p.env = append(os.Environ(), client.SocketEnv+"="+filepath.Join(dir, "sock"), client.NoServeEnv+"=", client.DebugEnv+"=",
		"XTABLES_LOCKFILE="+filepath.Join(dir, "lock"), "CGO_ENABLED=0")
	for _, args := range [][]string{{"go", "build", "-o", p.path, "."}, {"ip", "netns", "add", p.ns}} {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Env = p.env
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", args, err, out)
		}
	}
	t.Cleanup(func() {
		p.run("", "flush", "--all", "-w")
		_ = exec.Command("ip", "netns", "del", p.ns).Run() // the next test would fail
	})
	server := exec.Command(p.path, "serve")
	server.Env = p.env
	says, err := server.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Signal(unix.SIGTERM)
		_ = server.Wait()
	})
	if line, err := bufio.NewReader(says).ReadString('\n'); !strings.Contains(line, "serving on") {
		t.Fatalf("server: %v: %s", err, line)
	}
	return p
}

// run runs the program with a variable of the environment ("": none).
func (p *program) run(variable string, args ...string) (out, errs string, state *os.ProcessState) {
	return p.to(nil, variable, append([]string{p.path}, args...)...)
}

func (p *program) to(stdout *os.File, variable string, args ...string) (out, errs string, state *os.ProcessState) {
	cmd := exec.Command("ip", append([]string{"netns", "exec", p.ns}, args...)...)
	cmd.Env = append(append(p.env, "SELF="+p.path), variable)
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	if stdout != nil {
		cmd.Stdout = stdout
	}
	_ = cmd.Run() // the state says it
	return o.String(), e.String(), cmd.ProcessState
}

// TestForwards: a command that a server runs is done before the packages are initialized that
// take time.
func TestForwards(t *testing.T) {
	p := build(t)
	_, trace, _ := p.run("GODEBUG=inittrace=1", "iptables", "-V")
	for _, late := range []string{"os", "net", "github.com/alecthomas/kong", "github.com/cilium/ebpf"} {
		if strings.Contains(trace, "init "+late+" @") {
			t.Errorf("%s was initialized before the command was done:\n%s", late, trace)
		}
	}
	if !strings.Contains(trace, "init syscall @") {
		t.Errorf("no trace: %s", trace)
	}
	forwards(t, p)
}

// forwards runs commands of all kinds.
func forwards(t *testing.T, p *program) {
	expect := func(what, out, errs string, state *os.ProcessState, code int, wantOut, wantErrs string) {
		t.Helper()
		if state.ExitCode() != code || !strings.Contains(out, wantOut) || !strings.Contains(errs, wantErrs) || wantErrs == "" && errs != "" {
			t.Errorf("%s: exit code %d\n%s%s", what, state.ExitCode(), out, errs)
		}
	}
	out, errs, st := p.run("", append([]string{"iptables"}, "-A", "INPUT", "-s", "192.0.2.0/24", "-m", "comment", "--comment", "", "-j", "DROP")...)
	expect("an empty argument", out, errs, st, 0, "", "")
	out, errs, st = p.run("", "iptables", "-S")
	expect("what it did", out, errs, st, 0, rule, "")
	out, errs, st = p.run("", "iptables", "-A", "NOSUCH")
	expect("a refused command", out, errs, st, 1, "", "no such chain")
	out, errs, st = p.to(nil, "", "bash", "-c", "$SELF check <($SELF save); $SELF check /nosuch")
	expect("opened files", out, errs, st, 1, "/dev/fd/", "open /nosuch: no such file or directory")
	out, errs, st = p.run("", "iptables", "-h")
	expect("help", out, errs, st, 0, "Example", "")
	out, errs, st = p.run("TZ=Asia/Tokyo", "iptables", "-S")
	expect("a declined command", out, errs, st, 0, rule, "")
	out, errs, st = p.run(client.NoServeEnv+"=1", "iptables", "-S")
	expect("a command alone", out, errs, st, 0, rule, "")
	out, errs, st = p.run(client.SocketEnv+"=/nosuch", "iptables", "-S")
	expect("without a server", out, errs, st, 0, rule, "")
	out, errs, st = p.run(client.DebugEnv+"=1", "iptables", "-S")
	expect("with reasons", out, errs, st, 0, rule, "")
	many := []string{"iptables", "-A", "INPUT"}
	for range 1200 {
		many = append(many, "-v")
	}
	out, errs, st = p.run("", append(many, "-j", "ACCEPT")...)
	expect("many arguments", out, errs, st, 0, "", "")

	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	reader.Close()
	_, _, st = p.to(writer, "", p.path, "save")
	writer.Close()
	if w := st.Sys().(syscall.WaitStatus); !w.Signaled() || w.Signal() != unix.SIGPIPE {
		t.Errorf("a broken pipe: %v", st)
	}
}
