package cli_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/cmd/cli"
	"github.com/bpftables/bpftables/engine/serve/client"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"bpftables": bpftables,
	})
}

// bpftables is what the program does.
func bpftables() {
	code, done := client.Forward(os.Args[1:])
	if !done {
		code = cli.Run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	}
	os.Exit(code)
}

var scripts atomic.Int32

// TestScripts runs testdata/script: command lines as users type them. Every script
// has a network namespace of its own; "ns CMD ARGS" runs a command there, and
// "status N" checks the exit code of the command before. The scripts run twice: each
// command on its own, and with a server that does the work.
func TestScripts(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("REQUIRE_KERNEL") != "" {
			t.Fatal("the command lines need root")
		}
		t.Skip("the command lines need root")
	}
	for name, setup := range map[string]func(*testscript.Env) error{"alone": makeNamespace, "served": makeServed} {
		t.Run(name, func(t *testing.T) {
			testscript.Run(t, testscript.Params{
				Dir:                 filepath.Join("testdata", "script"),
				RequireExplicitExec: true,
				Setup:               setup,
				Cmds:                map[string]func(ts *testscript.TestScript, neg bool, args []string){"ns": inNamespace, "status": status},
			})
		})
	}
}

// makeServed is makeNamespace with a server, which all commands must use.
func makeServed(env *testscript.Env) error {
	if err := makeNamespace(env); err != nil {
		return err
	}
	self, err := exec.LookPath("bpftables")
	if err != nil {
		return err
	}
	socket := filepath.Join(env.WorkDir, "serve.sock")
	env.Setenv(client.SocketEnv, socket)
	env.Setenv(client.NoServeEnv, "")
	env.Setenv(client.DebugEnv, "1")
	s, err := startServer(self, socket)
	if err != nil {
		return err
	}
	env.Defer(func() {
		if err := s.end(unix.SIGTERM); err != nil {
			env.T().Log("server:", err)
			env.T().FailNow()
		}
	})
	return nil
}

// makeNamespace adds the namespace, removes it with everything of ours at the end.
func makeNamespace(env *testscript.Env) error {
	name := fmt.Sprintf("bt-cli-%d-%d", os.Getpid(), scripts.Add(1))
	if out, err := exec.Command("ip", "netns", "add", name).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	self, err := exec.LookPath("bpftables")
	if err != nil {
		return err
	}
	env.Setenv("NS", name)
	env.Setenv("BPFTABLES_IPTABLES", "legacy")
	env.Setenv(client.NoServeEnv, "1")
	env.Defer(func() {
		// The script's own command checks that this works; here it only cleans up.
		_ = exec.Command("ip", "netns", "exec", name, self, "flush", "--all", "-w", "30").Run()
		_ = exec.Command("ip", "netns", "del", name).Run()
	})
	return exec.Command("ip", "-n", name, "link", "set", "lo", "up").Run()
}

// exitCode is that of the last "ns" command, by namespace. Scripts run side by side.
var exitCode sync.Map

func inNamespace(ts *testscript.TestScript, neg bool, args []string) {
	ns := ts.Getenv("NS")
	err := ts.Exec("ip", append([]string{"netns", "exec", ns}, args...)...)
	if strings.Contains(ts.ReadFile("stderr"), "working alone") {
		ts.Fatalf("%v: the server did not do it", args)
	}
	code := 0
	if exit, ok := err.(*exec.ExitError); ok {
		code = exit.ExitCode()
	}
	exitCode.Store(ns, code)
	switch {
	case err != nil && !neg:
		ts.Fatalf("%v: %v", args, err)
	case err == nil && neg:
		ts.Fatalf("%v: succeeded unexpectedly", args)
	}
}

func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: status N")
	}
	code, _ := exitCode.Load(ts.Getenv("NS"))
	if got := fmt.Sprint(code); got != args[0] {
		ts.Fatalf("exit code %s, want %s", got, args[0])
	}
}
