package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/ruleset/packet"
)

const classRules = `*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A OUTPUT -m cgroup --cgroup 1048577
-A OUTPUT -m cgroup ! --cgroup 1048577
-A OUTPUT -m cgroup --cgroup 0 -j ACCEPT
-A OUTPUT -m cgroup ! --cgroup 0 -j DROP
-A INPUT -m cgroup ! --cgroup 7
COMMIT
`

// TestClasses sends from sockets of different net_cls groups, and from none.
func TestClasses(t *testing.T) {
	p := loaded(t, packet.IPv4, classRules)
	packets := []string{"@udp udp 198.18.0.1:5000 > 198.18.1.2:9", "@tcp tcp 198.18.0.1:5000 > 198.18.1.2:9", "udp 198.18.0.50:5000 > 198.18.0.1:9 in eth0"}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	p.sends(t, packets...)
	back := classed(t, 0x100001)
	defer back()
	p.sends(t, packets...)
	want := p.counted(t, "classes")
	for i, line := range want.lines {
		if line == "-A OUTPUT -m cgroup --cgroup 1048577" && want.counters[i] == "0:0" {
			t.Error("no socket was of the class")
		}
	}
}

// classed moves this thread into a group with a class; the function that it gives moves it back.
func classed(t *testing.T, class uint32) func() {
	t.Helper()
	root := t.TempDir()
	if err := unix.Mount("none", root, "cgroup", 0, "net_cls"); err != nil {
		cannot(t, fmt.Errorf("net_cls: %w", err))
	}
	group := filepath.Join(root, fmt.Sprintf("bpftables-%d", os.Getpid()))
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(group, 0o755); err != nil {
		t.Fatal(err)
	}
	write(filepath.Join(group, "net_cls.classid"), fmt.Sprint(class))
	write(filepath.Join(group, "tasks"), fmt.Sprint(unix.Gettid()))
	return func() {
		write(filepath.Join(root, "tasks"), fmt.Sprint(unix.Gettid()))
		if err := os.Remove(group); err != nil {
			t.Error(err)
		}
		if err := unix.Unmount(root, 0); err != nil {
			t.Error(err)
		}
	}
}
