package conformance_test

import (
	"os"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/compat/tool"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// RATEEST and CONNSECMARK stand in our table of nf_tables: no command of iptables prints or flushes them, and
// iptables' own rules find the estimator that they keep.
func TestTargetsInOurTable(t *testing.T) {
	needRoot(t)
	binary := buildBinary(t, "")
	l := newLab(t, binary)
	restore(t, binary, l.Host(), `*mangle
-A PREROUTING -p udp -j RATEEST --rateest-name packets --rateest-interval 250ms --rateest-ewmalog 1s
-A PREROUTING -j CONNSECMARK --restore
-A POSTROUTING -j CONNSECMARK --save
-A PREROUTING -p udp -j TTL --ttl-set 9
COMMIT
`)
	const sent = "udp 198.18.0.2:5000 > 198.18.0.1:12 in eth0"
	enforced := func(when string) {
		t.Helper()
		if got := events(t, l, sent); !strings.Contains(got, "4500001c000000000911") {
			t.Errorf("%s: %s", when, got)
		}
		command(t, l.Host(), "", "iptables-legacy", "-w", "60", "-A", "INPUT", "-s", "192.0.2.1", "-m", "rateest", "--rateest", "packets", "--rateest-lt", "--rateest-pps1", "1")
		for _, tool := range []string{"iptables-legacy-save", "iptables-nft-save"} {
			if saved := string(command(t, l.Host(), "", tool)); strings.Contains(saved, "bpf") {
				t.Errorf("%s: %s prints rules of ours: %s", when, tool, saved)
			}
		}
	}
	enforced("before")
	for _, tool := range []string{"iptables-legacy", "iptables-nft"} {
		command(t, l.Host(), "", tool, "-w", "60", "-t", "mangle", "-F")
		enforced(tool + " -F")
	}
	command(t, l.Host(), "", "nft", "flush", "ruleset")
	if got := events(t, l, sent); got != "" {
		t.Errorf("nft flush ruleset: %s", got)
	}
	command(t, l.Host(), "", binary, "iptables", "-w", "60", "-t", "raw", "-A", "PREROUTING", "-s", "192.0.2.2")
	enforced("put back")
}

// CHECKSUM runs in the tables of iptables alone. It stands in those of the variant that the host's iptables is
// not, whose commands neither print nor flush it; those of the other variant close.
func TestTargetsBesideTheHostsTables(t *testing.T) {
	needRoot(t)
	binary := buildBinary(t, "")
	l := newLab(t, binary)
	host, err := tool.Find(packet.IPv4, os.Environ())
	if err != nil {
		t.Fatal(err)
	}
	aside, err := tool.FindAside(packet.IPv4, os.Environ())
	if err != nil || aside.Path() == host.Path() {
		t.Fatalf("the host has one variant of iptables: %v", err)
	}
	restore(t, binary, l.Host(), `*mangle
:out - [0:0]
-A POSTROUTING -j out
-A out -p udp -m udp --dport 68 -j CHECKSUM --checksum-fill
COMMIT
`)
	const sent = "@udp udp 198.18.0.1:67 > 198.18.1.50:68"
	passes := func(when string, want bool) {
		t.Helper()
		if got := events(t, l, sent); strings.Contains(got, "EPERM") == want {
			t.Errorf("%s: %s", when, got)
		}
	}
	passes("before", true)
	for _, word := range []string{"-F", "-X"} {
		command(t, l.Host(), "", host.Name(), "-w", "60", "-t", "mangle", word)
	}
	if saved := string(command(t, l.Host(), "", host.Name()+"-save")); strings.Contains(saved, "bpf") {
		t.Errorf("the host's iptables-save prints rules of ours: %s", saved)
	}
	passes("flushed by the host's iptables", true)
	command(t, l.Host(), "", aside.Name(), "-w", "60", "-t", "mangle", "-F")
	passes("flushed by the other", false)
	command(t, l.Host(), "", binary, "iptables", "-w", "60", "-t", "raw", "-A", "PREROUTING", "-s", "192.0.2.2")
	passes("put back", true)
	command(t, l.Host(), "", binary, "flush", "-w", "60", "--all")
	if saved := string(command(t, l.Host(), "", aside.Name()+"-save")); strings.Contains(saved, "bpf") {
		t.Errorf("rules of ours stay: %s", saved)
	}
}
