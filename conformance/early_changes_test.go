package conformance

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// longDropUDP is dropUDP with a chain that is looked up and can be changed in place.
func longDropUDP() string {
	var more strings.Builder
	for i := range 40 {
		fmt.Fprintf(&more, "-A INPUT -s 203.0.113.%d/32 -p udp -m udp --dport 9 -j ACCEPT\n", i+1)
	}
	return strings.Replace(dropUDP, "-A INPUT -p udp -m udp --dport 9", more.String()+"-A INPUT -p udp -m udp --dport 9", 1)
}

func TestEarlyClassified(t *testing.T) {
	for mode, how := range map[string]string{"xdp": "native", "tcx": "tcx", "exact": "tcx"} {
		t.Run(mode, func(t *testing.T) {
			w := newWire(t)
			w.bpftables(longDropUDP(), "restore", "-w", "--early", mode)
			w.status("eth0            " + how)
			w.send("eth0", w.datagram(9), w.datagram(9), w.datagram(10))
			w.await(counted(hit, 2), counted(passed, 3), counted(":PREROUTING ACCEPT [%d:%d]", 3))
			if n := w.dropped(); n != 2 {
				t.Errorf("%d packets dropped early, not 2", n)
			}
		})
	}
}

// TestEarlyAfterChangeInPlace: a packet that a new rule accepts is not dropped by the rules
// that the program at the interface was made of.
func TestEarlyAfterChangeInPlace(t *testing.T) {
	w := newWire(t)
	w.bpftables(longDropUDP(), "restore", "-w", "--early", "xdp")
	w.send("eth0", w.datagram(9))
	w.await(counted(hit, 1))
	w.bpftables("", "iptables", "-w", "-I", "INPUT", "-s", "198.18.0.2/32", "-j", "ACCEPT")
	w.status("ipv4: generation 1,", "rules were changed since its programs were made")
	w.send("eth0", w.datagram(9))
	w.await("[1:28] -A INPUT -s 198.18.0.2/32 -j ACCEPT", counted(hit, 1))
	w.bpftables("", "iptables", "-w", "-D", "INPUT", "1")
	w.send("eth0", w.datagram(9))
	w.await(counted(hit, 2))
	// A restore makes the programs anew.
	w.bpftables(longDropUDP(), "restore", "-w")
	w.send("eth0", w.datagram(9))
	w.await(counted(hit, 1))
	if n := w.dropped(); n != 2 {
		t.Errorf("%d packets dropped early, not 2", n)
	}
}

// TestEarlyCredits pins the exception of the counters for rp_filter (docs/differences.md):
// the packet is dropped in either place, and only early a rule gets a credit.
func TestEarlyCredits(t *testing.T) {
	for mode, credit := range map[string]int{"off": 0, "xdp": 1, "exact": 0} {
		t.Run(mode, func(t *testing.T) {
			w := newWire(t)
			w.run("ip", "netns", "exec", w.host, "sysctl", "-qw", "net.ipv4.conf.eth0.rp_filter=1")
			w.bpftables(dropUDP, "restore", "-w", "--early", mode)
			f := w.datagram(9)
			copy(f[26:], []byte{203, 0, 113, 1}) // nothing goes there
			w.send("eth0", sealed(f), w.datagram(10))
			w.await(counted(":PREROUTING ACCEPT [%d:%d]", 2), counted(hit, credit), counted(passed, credit+1))
		})
	}
}

func TestEarlyFollowsAddresses(t *testing.T) {
	w := newWire(t)
	w.bpftables(strings.ReplaceAll(dropUDP, "-A INPUT", "-A FORWARD"), "restore", "-w", "--early", "auto")
	w.run("ip", "-n", w.host, "address", "add", "198.51.100.1/32", "dev", "eth0")
	w.run("ip", "netns", "exec", w.host, "sysctl", "-qw", "net.ipv4.ip_forward=1")
	f := w.datagram(9)
	copy(f[30:], netip.MustParseAddr("198.51.100.1").AsSlice())
	// The packet is for the new address: no rule of FORWARD may take it.
	w.send("eth0", sealed(f))
	w.await(counted(":INPUT ACCEPT [%d:%d]", 1))
	w.status("routes or addresses have changed")
}

// Beside an early stage nothing runs rows but the code that looks them up: a condition of a kind that it
// was not made for is enforced by a new generation, and packets that ask for it are not dropped.
func TestEarlyNewKind(t *testing.T) {
	w := newWire(t)
	many := strings.Builder{}
	for i := range 60 {
		fmt.Fprintf(&many, "-A INPUT -s 203.0.113.%d/32 -p tcp -m tcp --dport %d -j DROP\n", i, i+1)
	}
	w.bpftables("*filter\n"+many.String()+"COMMIT\n", "restore", "-w", "--early", "auto")
	w.bpftables("", "iptables", "-w", "-A", "INPUT", "-m", "pkttype", "--pkt-type", "broadcast", "-j", "DROP")
	w.bpftables("", "iptables", "-w", "-A", "INPUT", "-p", "udp", "-j", "ACCEPT")
	w.send("eth0", w.datagram(9))
	w.await("[1:28] -A INPUT -p udp -j ACCEPT")
}
