package conformance

import (
	"fmt"
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
