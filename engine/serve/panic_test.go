package serve

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/bpftables/bpftables/bpf/thread"
	"github.com/bpftables/bpftables/compat/caller"
	"github.com/bpftables/bpftables/engine/apply"
	"github.com/bpftables/bpftables/engine/serve/client"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/parallel"
)

// TestPanic: a command that panics, or touches a file that is not there any more, ends with
// the exit code of a panic. The server goes on.
func TestPanic(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("REQUIRE_KERNEL") != "" {
			t.Fatal("needs root")
		}
		t.Skip("needs root")
	}
	engines := NewEngines()
	run := func(c *caller.Caller, args []string) int {
		err := engines.Use(packet.IPv4, c, func(*apply.Engine) error {
			switch args[0] {
			case "save":
				panic("as the test wants it")
			case "list":
				t.Log(cutFile(t)[0])
			case "status": // in other goroutines
				cut := cutFile(t)
				parallel.Each(100, func(int) { t.Log(cut[0]) })
			case "flush":
				thread.Do(func() { panic("on another thread") })
			}
			return nil
		})
		if err != nil {
			return 1
		}
		return 0
	}
	path := filepath.Join(t.TempDir(), "sock")
	t.Setenv(client.SocketEnv, path)
	t.Setenv(client.NoServeEnv, "")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- New(Options{Run: run, Engines: engines, Log: func(s string) { t.Log(s) }}).Serve(ctx, l)
	}()
	for _, c := range []struct {
		command string
		code    int
	}{{"save", exitPanic}, {"check", 0}, {"list", exitPanic}, {"status", exitPanic}, {"flush", exitPanic}, {"check", 0}} {
		if code, done := client.Forward([]string{c.command}); !done || code != c.code {
			t.Errorf("%s: exit code %d, want %d; served: %t", c.command, code, c.code, done)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// cutFile is a mapping of a file that has become shorter.
func cutFile(t *testing.T) []byte {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "cut"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := syscall.Mmap(int(f.Fd()), 0, os.Getpagesize(), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
