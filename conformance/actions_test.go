package conformance

import (
	"strings"
	"testing"

	"github.com/bpftables/bpftables/conformance/lab"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// manyActions has more rules with targets than a note has words: a target that follows itself is counted.
// Each rule moves the TTL by one, so that none may be left out or be run twice.
func manyActions() []byte {
	var b strings.Builder
	b.WriteString("*mangle\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n:more - [0:0]\n")
	for _, chain := range []string{"PREROUTING", "OUTPUT"} {
		for _, part := range []struct {
			rule string
			n    int
		}{
			{"-p udp -j TTL --ttl-inc 1", 150},
			{"-p udp -m udp --dport 9 -j TTL --ttl-dec 1", 1},
			{"-p udp -j TTL --ttl-inc 1", 1},
			{"-p udp -j TTL --ttl-dec 1", 190},
			{"-p udp -m udp --dport 9 -j TTL --ttl-inc 1", 170},
			{"-p udp -j more", 2},
			{"-p udp -m udp --dport 10 -j DROP", 1},
		} {
			b.WriteString(strings.Repeat("-A "+chain+" "+part.rule+"\n", part.n))
		}
	}
	b.WriteString(strings.Repeat("-A more -m udp -p udp --sport 7 -j TTL --ttl-dec 1\n", 40))
	return []byte(b.String() + "COMMIT\n")
}

// TestManyActions has each of them run as often as netfilter does.
func TestManyActions(t *testing.T) {
	needRoot(t)
	a, err := ours()
	if err != nil {
		t.Fatal(err)
	}
	c := &Case{Title: "many actions", Text: manyActions(), Interfaces: []string{"eth0", "eth1"}}
	if why, err := leftToNetfilter(CorpusFile{Name: c.Title, Family: c.Family, Text: c.Text}); err != nil || why != nil {
		t.Fatalf("left to netfilter: %v %v", why, err)
	}
	for _, text := range []string{
		"udp 198.18.0.50:5000 > 198.18.1.50:9 ttl 60 in eth0", "udp 198.18.0.50:7 > 198.18.1.50:9 ttl 90 in eth0", "udp 198.18.0.50:7 > 198.18.1.50:8 ttl 200 in eth0",
		"udp 198.18.0.50:7 > 198.18.1.50:10 ttl 200 in eth0", "udp 198.18.0.50:5000 > 198.18.1.50:10 ttl 60 in eth0", "tcp 198.18.0.50:5000 > 198.18.1.50:9 ttl 60 in eth0",
		"udp 198.18.1.1:5000 > 198.18.1.50:9 ttl 60 out eth1", "udp 198.18.1.1:7 > 198.18.1.50:8 ttl 150 out eth1", "udp 198.18.1.1:7 > 198.18.1.50:10 ttl 150 out eth1",
	} {
		p, err := lab.Parse(packet.IPv4, text)
		if err != nil {
			t.Fatal(err)
		}
		c.Packets = append(c.Packets, p)
	}
	out, err := runCase(c, lab.Legacy{}, a)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range out.diffs {
		t.Error(d)
	}
}
