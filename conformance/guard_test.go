package conformance_test

import (
	"strings"
	"testing"

	"github.com/bpftables/bpftables/conformance/lab"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// Someone flushes netfilter's table, our shim with it: packets that had an action
// there are dropped, others go on as before.
func TestFlushedShimFailsClosed(t *testing.T) {
	needRoot(t)
	binary := buildBinary(t, "")
	l := newLab(t, binary)
	restore(t, binary, l.Host(), `*filter
-A INPUT -p udp -m udp --dport 7 -j REJECT
-A INPUT -p udp -m udp --dport 8 -j LOG
-A OUTPUT -p udp -m udp --dport 9 -j REJECT
COMMIT
`)
	const (
		rejected = "udp 198.18.0.2:5000 > 198.18.0.1:7 in eth0"
		logged   = "udp 198.18.0.2:5000 > 198.18.0.1:8 in eth0"
		other    = "udp 198.18.0.2:5000 > 198.18.0.1:10 in eth0"
		sent     = "@udp udp 198.18.0.1:5000 > 198.18.1.2:9"
	)
	if got := events(t, l, rejected); !strings.Contains(got, "type 3/3") {
		t.Fatalf("before: %s: %s", rejected, got)
	}
	if got := events(t, l, logged); !strings.Contains(got, "input in eth0") {
		t.Fatalf("before: %s: %s", logged, got)
	}
	command(t, l.Host(), "", "iptables-legacy", "-w", "60", "-F")
	command(t, l.Host(), "", "iptables-legacy", "-w", "60", "-X")
	for _, text := range []string{rejected, logged} {
		if got := events(t, l, text); got != "" {
			t.Errorf("after: %s: %s", text, got)
		}
	}
	if got := events(t, l, sent); !strings.Contains(got, "EPERM") {
		t.Errorf("after: %s: %s", sent, got)
	}
	if got := events(t, l, other); !strings.Contains(got, "input in eth0") {
		t.Errorf("after: %s: %s", other, got)
	}
}

// events are what the lab sees of a packet.
func events(t *testing.T, l *lab.Lab, text string) string {
	t.Helper()
	p, err := lab.Parse(packet.IPv4, text)
	if err != nil {
		t.Fatal(err)
	}
	all, err := l.Send(p)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, e := range all {
		lines = append(lines, e.String())
	}
	return strings.Join(lines, "\n")
}
