package commands

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/conformance/lab"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/translate/plan"
)

// lookedUp is a table with a chain that is long enough to be looked up by code, a short one that is code
// with one that it calls, and two chains that no packet meets.
func lookedUp(family packet.Family) string {
	var b strings.Builder
	b.WriteString("*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:met - [0:0]\n:unmet - [0:0]\n:full - [0:0]\n")
	for i := range 60 {
		address := fmt.Sprintf("192.0.2.%d/32", i)
		if family == packet.IPv6 {
			address = fmt.Sprintf("2001:db8:7::%x/128", i)
		}
		fmt.Fprintf(&b, "-A FORWARD -d %s -p udp -m udp --dport %d -j DROP\n", address, i)
	}
	return b.String() + `-A INPUT -p udp -j met
-A met -i eth1
-A met -m limit --limit 1/hour --limit-burst 1
-A met -i eth0 -p udp -m udp --dport 7 -j DROP
-A full -o eth1 -p udp -m udp --dport 7 -j DROP
-A full -m statistic --mode nth --every 2 --packet 0
-A full -m mark --mark 0x0
COMMIT
`
}

// TestLookedUpLeads lets a chain that is looked up by code lead to others, in place: code knows less of a packet, and
// fewer conditions, than the programs that look all chains up.
func TestLookedUpLeads(t *testing.T) {
	program := prepare(t)
	for _, family := range families {
		ends := []string{"198.18.0.50:%d > 198.18.1.50:%d in eth0", "198.18.1.50:%d > 198.18.0.50:%d in eth1"}
		if family == packet.IPv6 {
			ends = []string{"[2001:db8:1ab::50]:%d > [2001:db8:1ab:1::50]:%d in eth0", "[2001:db8:1ab:1::50]:%d > [2001:db8:1ab::50]:%d in eth1"}
		}
		var packets []*lab.Packet
		for i := range 6 {
			p, err := lab.Parse(family, "udp "+fmt.Sprintf(ends[i%2], 5000+i, 7+i/4))
			if err != nil {
				t.Fatal(err)
			}
			packets = append(packets, p)
		}
		for name, lines := range map[string][]string{
			"unmet":     {"-A unmet -m limit --limit 1/hour --limit-burst 2", "-A unmet -o eth1 -p udp -m udp --dport 7 -j DROP", "-A FORWARD -j unmet", "-A unmet -m pkttype --pkt-type multicast", "-A unmet -o eth0"},
			"full":      {"-A FORWARD -p udp -j full"},
			"met":       {"-A FORWARD -j met"},
			"two steps": {"-A unmet -g met", "-I FORWARD -j unmet"},
			"new":       {"-N new", "-A new -m limit --limit 1/hour --limit-burst 2", "-A new -o eth1 -p udp -m udp --dport 7 -j DROP", "-I FORWARD 3 -j new", "-A new -m pkttype --pkt-type unicast", "-A new -j met"},
			"targets": {"-A unmet -p udp -m udp --dport 8 -j REJECT", "-A FORWARD -j unmet", "-I FORWARD 1 -p udp -m udp --dport 7 -j NFLOG --nflog-group 3",
				"-A met -j NFLOG --nflog-group 3", "-A INPUT -p udp -j NFLOG --nflog-group 4", "-I unmet 1 -m limit --limit 1/hour --limit-burst 1 -j NFLOG --nflog-group 5", "-A FORWARD -g met"},
			"behind":     {"-D FORWARD -j ACCEPT", "-A FORWARD -p udp"},
			"both hooks": {"-A unmet -i eth0", "-A INPUT -j unmet", "-A unmet -m limit --limit 1/hour --limit-burst 2", "-A FORWARD -j unmet", "-A unmet -i eth1 -j DROP"},
		} {
			t.Run(family.String()+" "+name, func(t *testing.T) {
				d := newDuo(t, family, program, nil)
				text := lookedUp(family)
				if name == "behind" { // nothing gets to the jump
					text = strings.Replace(text, "-A INPUT", "-A FORWARD -j ACCEPT\n-A FORWARD -j met\n-A INPUT", 1)
				}
				d.batch(text)
				for _, line := range lines {
					before := d.generation()
					d.single(words(line)...)
					if d.generation() != before && name != "targets" {
						t.Errorf("%s: a new generation", line)
					}
					d.send(packets)
					d.compare()
				}
			})
		}
	}
}

// TestRowsBesideCode changes a table of rows alone beside one that nests too deep for rows, and whose long chain code looks
// up: what that reads of a packet is not all that the rows of the other may ask.
func TestRowsBesideCode(t *testing.T) {
	program := prepare(t)
	for _, family := range families {
		t.Run(family.String(), func(t *testing.T) {
			text := lookedUp(family)
			const deep = plan.ClassDepth + 2
			var more strings.Builder
			for i := range deep {
				fmt.Fprintf(&more, ":c%d - [0:0]\n", i)
			}
			more.WriteString("-A INPUT -p udp -j c0\n")
			for i := range deep - 1 {
				fmt.Fprintf(&more, "-A c%d -p udp -j c%d\n", i, i+1)
			}
			d := newDuo(t, family, program, nil)
			d.batch(strings.Replace(text, "-A INPUT", more.String()+"-A INPUT", 1)+"*mangle\n-A PREROUTING -p tcp\nCOMMIT\n", "-n")
			ends := "198.18.0.50:5000 > 198.18.1.50:9 in eth0"
			if family == packet.IPv6 {
				ends = "[2001:db8:1ab::50]:5000 > [2001:db8:1ab:1::50]:9 in eth0"
			}
			p, err := lab.Parse(family, "udp "+ends)
			if err != nil {
				t.Fatal(err)
			}
			for _, line := range []string{"-A PREROUTING -m connmark --mark 0x1", "-A PREROUTING -i eth0 -m limit --limit 1/hour --limit-burst 2", "-A PREROUTING -m realm --realm 5", "-A PREROUTING -i eth0 -p udp -j DROP"} {
				if family == packet.IPv6 && strings.Contains(line, "realm") {
					continue
				}
				d.single(append([]string{"-t", "mangle"}, words(line)...)...)
				d.send([]*lab.Packet{p})
				d.compare()
			}
		})
	}
}
