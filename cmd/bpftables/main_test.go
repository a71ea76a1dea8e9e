package main

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/compat/serve/client"
)

// TestForwardsEarly runs a command through a server and looks at what the runtime of
// Go says about the start: the command must be done before most of the program is
// initialized.
func TestForwardsEarly(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("REQUIRE_KERNEL") != "" {
			t.Fatal("needs root")
		}
		t.Skip("needs root")
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "bpftables")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v: %s", err, out)
	}
	env := append(os.Environ(), client.SocketEnv+"="+filepath.Join(dir, "sock"), client.NoServeEnv+"=")
	server := exec.Command(program, "serve")
	server.Env = env
	says, err := server.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = server.Process.Signal(unix.SIGTERM)
		_ = server.Wait()
	}()
	if line, err := bufio.NewReader(says).ReadString('\n'); !strings.Contains(line, "serving on") {
		t.Fatalf("server: %v: %s", err, line)
	}
	cmd := exec.Command(program, "iptables", "-V")
	cmd.Env = append(env, "GODEBUG=inittrace=1")
	var out, trace bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &trace
	if err := cmd.Run(); err != nil || !strings.HasPrefix(out.String(), "iptables v") {
		t.Fatalf("%v: %s%s", err, &out, &trace)
	}
	for _, late := range []string{"os", "net", "github.com/alecthomas/kong", "github.com/cilium/ebpf", "github.com/bpftables/bpftables/ruleset/match"} {
		if strings.Contains(trace.String(), "init "+late+" @") {
			t.Errorf("%s was initialized before the command was done:\n%s", late, &trace)
		}
	}
	if !strings.Contains(trace.String(), "init syscall @") {
		t.Errorf("no trace: %s", &trace)
	}
}
