package conformance_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf/link"

	"github.com/bpftables/bpftables/conformance/lab"
)

// namespaceOf is the number of the lab's host among our directories.
func namespaceOf(t *testing.T, l *lab.Lab) string {
	t.Helper()
	return strings.TrimSpace(string(command(t, l.Host(), "", "stat", "-L", "-c", "%i", "/proc/self/ns/net")))
}

// A link that somebody has detached is no link, though its pin is there: the next change
// puts it back.
func TestDetachedLinks(t *testing.T) {
	needRoot(t)
	binary := buildBinary(t, "")
	l := newLab(t, binary)
	restore(t, binary, l.Host(), oldRules)
	want := signature(t, l)
	pins, err := filepath.Glob("/run/bpftables/bpf/" + namespaceOf(t, l) + "/ipv4/links/*")
	if err != nil || len(pins) == 0 {
		t.Fatalf("links: %v, %v", pins, err)
	}
	for _, pin := range pins {
		one, err := link.LoadPinnedLink(pin, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := one.Detach(); err != nil {
			t.Fatal(err)
		}
		one.Close()
	}
	command(t, l.Host(), "", binary, "iptables", "-w", "60", "-t", "security", "-N", "other")
	if got := signature(t, l); got != want {
		t.Errorf("after a change: got\n%s\nwant\n%s", got, want)
	}
}

// Files of rules that are enforced are removed: status says so, a restore is whole, and
// after a flush of all nothing of ours stops a packet.
func TestRemovedFiles(t *testing.T) {
	needRoot(t)
	binary := buildBinary(t, "")
	open := observe(t, binary, "*filter\nCOMMIT\n")
	want := observe(t, binary, newRules)
	l := newLab(t, binary)
	remove := func() {
		t.Helper()
		number := namespaceOf(t, l)
		for _, dir := range []string{"/run/bpftables/" + number, "/run/bpftables/bpf/" + number} {
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
		}
	}
	restore(t, binary, l.Host(), oldRules)
	remove()
	if status := string(command(t, l.Host(), "", binary, "status")); strings.Contains(status, "ipv4: nothing of ours") {
		t.Errorf("status: %s", status)
	}
	restore(t, binary, l.Host(), newRules)
	if got := signature(t, l); got != want {
		t.Errorf("a restore: got\n%s\nwant\n%s", got, want)
	}
	remove()
	command(t, l.Host(), "", binary, "flush", "--all", "-w", "60")
	if got := signature(t, l); got != open {
		t.Errorf("flush --all: got\n%s\nwant\n%s", got, open)
	}
}
