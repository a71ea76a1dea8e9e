package cli_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/bpftables/bpftables/cmd/cli"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"bpftables": func() { os.Exit(cli.Run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
	})
}

var scripts atomic.Int32

// TestScripts runs testdata/script: command lines as users type them. Every script
// has a network namespace of its own; "ns CMD ARGS" runs a command there, and
// "status N" checks the exit code of the command before.
func TestScripts(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("REQUIRE_KERNEL") != "" {
			t.Fatal("the command lines need root")
		}
		t.Skip("the command lines need root")
	}
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		Setup:               makeNamespace,
		Cmds:                map[string]func(ts *testscript.TestScript, neg bool, args []string){"ns": inNamespace, "status": status},
	})
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
	env.Defer(func() {
		// The script's own command checks that this works; here it only cleans up.
		_ = exec.Command("ip", "netns", "exec", name, self, "flush", "--all", "-w", "30").Run()
		_ = exec.Command("ip", "netns", "del", name).Run()
	})
	return exec.Command("ip", "-n", name, "link", "set", "lo", "up").Run()
}

// exitCode is that of the last "ns" command, by namespace.
var exitCode = map[string]int{}

func inNamespace(ts *testscript.TestScript, neg bool, args []string) {
	ns := ts.Getenv("NS")
	err := ts.Exec("ip", append([]string{"netns", "exec", ns}, args...)...)
	exitCode[ns] = 0
	if exit, ok := err.(*exec.ExitError); ok {
		exitCode[ns] = exit.ExitCode()
	}
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
	if got := fmt.Sprint(exitCode[ts.Getenv("NS")]); got != args[0] {
		ts.Fatalf("exit code %s, want %s", got, args[0])
	}
}
