package conformance_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/conformance/lab"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// fromNetfilter are conditions that netfilter alone can ask: a datagram whose content begins with "gosd". A table
// with them is left to it as a whole.
const fromNetfilter = `-p udp -m bpf --bytecode "4,32 0 0 28,21 0 1 1735357284,6 0 0 65535,6 0 0 0"`

// Other programs flush their tables: what netfilter does for us lies in a table of our own.
// "nft flush ruleset" takes that, too: packets that had an action there are dropped then,
// others go on as before, status says so, and the next change of any rule puts it back.
func TestFlushesOfOthers(t *testing.T) {
	needRoot(t)
	binary := buildBinary(t, "")
	l := newLab(t, binary)
	restore(t, binary, l.Host(), `*filter
-A INPUT -p udp -m udp --dport 7 -j REJECT
-A INPUT -p udp -m udp --dport 8 -j LOG
-A INPUT -p udp -m udp --dport 11 -j REJECT --reject-with icmp-admin-prohibited
-A INPUT -p udp -m conntrack --ctstate ESTABLISHED -j ACCEPT
-A OUTPUT -p udp -m udp --dport 9 -j REJECT
COMMIT
*nat
-A PREROUTING -p udp -m udp --dport 53 -j REDIRECT --to-ports 11
COMMIT
*mangle
-A PREROUTING -p udp -m udp --dport 12 -j TTL --ttl-set 9
-A PREROUTING -m ttl --ttl-eq 9 -j TOS --set-tos 0x10/0xff
COMMIT
`)
	const (
		redirected = "udp 198.18.0.2:%d > 198.18.0.1:53 in eth0"
		rejected   = "udp 198.18.0.2:5000 > 198.18.0.1:7 in eth0"
		logged     = "udp 198.18.0.2:5000 > 198.18.0.1:8 in eth0"
		other      = "udp 198.18.0.2:5000 > 198.18.0.1:10 in eth0"
		changed    = "udp 198.18.0.2:5000 > 198.18.0.1:12 in eth0"
		sent       = "@udp udp 198.18.0.1:5000 > 198.18.1.2:9"
	)
	port := 6000
	first := func() string { // packet of a new connection
		port++
		return fmt.Sprintf(redirected, port)
	}
	enforced := func(when string) {
		t.Helper()
		if got := events(t, l, first()); !strings.Contains(got, "type 3/13") {
			t.Errorf("%s: redirected: %s", when, got)
		}
		for text, want := range map[string]string{rejected: "type 3/3", logged: "type 3/3", other: "type 3/3", changed: "4510001c000000000911", sent: "EPERM"} {
			if got := events(t, l, text); !strings.Contains(got, want) {
				t.Errorf("%s: %s: %s", when, text, got)
			}
		}
		status := string(command(t, l.Host(), "", binary, "status"))
		if !strings.Contains(status, "netfilter's part is unchanged") {
			t.Errorf("%s: status: %s", when, status)
		}
	}
	enforced("before")
	for _, tool := range []string{"iptables-legacy", "iptables-nft"} {
		for _, table := range []string{"filter", "nat", "mangle"} {
			command(t, l.Host(), "", tool, "-w", "60", "-t", table, "-F")
			command(t, l.Host(), "", tool, "-w", "60", "-t", table, "-X")
		}
		enforced(tool + " -F")
		if saved := string(command(t, l.Host(), "", tool+"-save")); strings.Contains(saved, "bpf") {
			t.Errorf("%s-save prints rules of ours: %s", tool, saved)
		}
	}
	command(t, l.Host(), "", "nft", "flush", "ruleset")
	for _, text := range []string{rejected, logged, changed, first()} {
		if got := events(t, l, text); got != "" {
			t.Errorf("nft flush ruleset: %s: %s", text, got)
		}
	}
	if got := events(t, l, sent); !strings.Contains(got, "EPERM") {
		t.Errorf("nft flush ruleset: %s: %s", sent, got)
	}
	status := string(command(t, l.Host(), "", binary, "status"))
	for _, want := range []string{"table filter was removed or changed", "table nat was removed or changed", "table mangle was removed or changed", "conntrack was switched off"} {
		if !strings.Contains(status, want) {
			t.Errorf("nft flush ruleset: status does not say %q: %s", want, status)
		}
	}
	change := func() {
		command(t, l.Host(), "", binary, "iptables", "-w", "60", "-t", "raw", "-A", "PREROUTING", "-s", "192.0.2.1")
	}
	change()
	enforced("after a change of another table")
	command(t, l.Host(), "", "nft", "add table ip bpftables { flags dormant; }")
	if got := events(t, l, rejected); got != "" {
		t.Errorf("dormant: %s: %s", rejected, got)
	}
	if status := string(command(t, l.Host(), "", binary, "status")); !strings.Contains(status, "table filter was removed or changed") {
		t.Errorf("dormant: status: %s", status)
	}
	change()
	enforced("after another change")
}

// A table that is left to netfilter as a whole is in iptables-legacy: without its rules
// nothing passes, policy and all.
func TestFlushOfWholeTable(t *testing.T) {
	needRoot(t)
	binary := buildBinary(t, "")
	l := newLab(t, binary)
	restore(t, binary, l.Host(), `*filter
:INPUT DROP [0:0]
-A INPUT `+fromNetfilter+` -j ACCEPT
-A INPUT -p udp -m udp --dport 8 -j ACCEPT
COMMIT
*nat
-A PREROUTING -p udp -m udp --dport 53 -j REDIRECT --to-ports 8
-A PREROUTING -p udp -m udp --dport 1000:1009 -j DNAT --to-destination 192.0.2.1:2000-2009/1000
COMMIT
*mangle
-A PREROUTING -p tcp -m connlimit --connlimit-above 100 -j DROP
COMMIT
`)
	const (
		accepted   = "udp 198.18.0.2:5000 > 198.18.0.1:8 in eth0"
		redirected = "udp 198.18.0.2:5001 > 198.18.0.1:53 in eth0"
		dropped    = "udp 198.18.0.2:5002 > 198.18.0.1:9 in eth0"
	)
	enforced := func(when string) {
		t.Helper()
		for _, text := range []string{accepted, redirected} {
			if got := events(t, l, text); !strings.Contains(got, "input in eth0") {
				t.Errorf("%s: %s: %s", when, text, got)
			}
		}
		if got := events(t, l, dropped); strings.Contains(got, "input in eth0") {
			t.Errorf("%s: %s: %s", when, dropped, got)
		}
	}
	enforced("before")
	for i, flushed := range [][]string{{"filter", "nat"}, {"mangle"}} {
		for _, table := range flushed {
			command(t, l.Host(), "", "iptables-legacy", "-w", "60", "-t", table, "-F")
		}
		for _, text := range []string{accepted, dropped, fmt.Sprintf("udp 198.18.0.2:50%d3 > 198.18.0.1:53 in eth0", i)} {
			if got := events(t, l, text); strings.Contains(got, "input in eth0") {
				t.Errorf("flushed %s: %s: %s", flushed, text, got)
			}
		}
		command(t, l.Host(), "", binary, "iptables", "-w", "60", "-t", "raw", "-A", "PREROUTING", "-s", "192.0.2.1")
		enforced("after a change of another table")
	}
	command(t, l.Host(), "", "nft", "flush", "ruleset")
	if got := events(t, l, "udp 198.18.0.2:5004 > 198.18.0.1:53 in eth0"); strings.Contains(got, "input in eth0") {
		t.Errorf("nft flush ruleset: %s", got)
	}
}

// iptables-nft has table security at another priority than netfilter: on a host without
// iptables-legacy the program and the guard stand around that.
func TestSecurityOfNFT(t *testing.T) {
	needRoot(t)
	t.Setenv("BPFTABLES_IPTABLES", "nft")
	binary := buildBinary(t, "")
	l := newLab(t, binary)
	apply := lab.Command{Path: binary}
	for _, rules := range []string{
		"-A INPUT " + fromNetfilter + " -j ACCEPT\n-A INPUT -p udp -m udp --dport 9 -j DROP", // the whole table
		"-A INPUT -p udp -m udp --dport 8 -j RATEEST --rateest-name bpftables --rateest-interval 250ms --rateest-ewmalog 500ms\n-A INPUT -p udp -m udp --dport 9 -j DROP",
	} {
		if err := apply.Apply(l.Host(), packet.IPv4, []byte("*security\n"+rules+"\nCOMMIT\n")); err != nil {
			t.Fatal(err)
		}
		for port, want := range map[int]bool{8: true, 9: false} {
			got := events(t, l, fmt.Sprintf("udp 198.18.0.2:5000 > 198.18.0.1:%d in eth0", port))
			if strings.Contains(got, "client eth0: icmp") != want {
				t.Errorf("%s: port %d: %q", rules, port, got)
			}
		}
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
