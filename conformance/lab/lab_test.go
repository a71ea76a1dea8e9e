package lab

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/bpftables/bpftables/ruleset/packet"
)

func newLab(t *testing.T, o Options) *Lab {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("REQUIRE_KERNEL") != "" {
			t.Fatal("the lab needs root")
		}
		t.Skip("the lab needs root")
	}
	l, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func send(t *testing.T, l *Lab, family packet.Family, text string) string {
	t.Helper()
	p, err := Parse(family, text)
	if err != nil {
		t.Fatal(err)
	}
	events, err := l.Send(p)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, e := range events {
		lines = append(lines, e.String())
	}
	return strings.Join(lines, "\n")
}

func TestLabLoop(t *testing.T) {
	start := time.Now()
	l := newLab(t, Options{})
	t.Logf("built in %v", time.Since(start))
	for _, text := range []string{
		"udp 198.18.0.2:5000 > 198.18.1.2:9 in eth0",
		"udp 198.18.0.2:5000 > 198.18.0.1:9 in eth0",
		"icmp 198.18.0.2 > 198.18.0.1 in eth0",
		"tcp 198.18.0.2:5000 > 198.18.0.1:22 in eth0",
		"tcp 198.18.0.1:5000 > 198.18.1.2:22 out eth1",
		"@tcp tcp 198.18.0.1:5000 > 198.18.1.2:22",
		"@udp udp 198.18.0.1:5000 > 198.18.1.2:22 payload 0102 mark 5 uid 1000",
		"@udp @gso=100 udp 198.18.0.1:5000 > 198.18.1.2:22 len 1028",
		"@gso=1000 tcp 198.18.0.2:5001 > 198.18.1.77:22 in eth0 len 9040 flags ack",
		"udp 198.18.0.2:5000 > 198.18.0.1:9 in lo",
		"udp 198.18.0.2:5000 > 255.255.255.255:9 in eth0",
		"udp 198.18.0.2:5000 > 198.18.1.77:9 in eth0 frag 0+ len 44 id 7",
		"udp 198.18.0.2:5000 > 198.18.1.77:9 in eth0 frag 3 len 44 id 7",
	} {
		start = time.Now()
		out := send(t, l, packet.IPv4, text)
		t.Logf("%s: %v\n%s", text, time.Since(start), out)
	}
	for _, text := range []string{
		"udp [2001:db8:1ab:0::2]:5000 > [2001:db8:1ab:1::2]:9 in eth0",
		"icmp6 2001:db8:1ab:0::2 > 2001:db8:1ab:0::1 in eth0 ext hop,dst",
		"tcp [2001:db8:1ab:0::2]:5000 > [2001:db8:1ab:0::1]:22 in eth0",
		"tcp [2001:db8:1ab:0::1]:5000 > [2001:db8:1ab:1::2]:22 out eth1",
		"@tcp tcp [2001:db8:1ab:0::1]:5000 > [2001:db8:1ab:1::2]:22",
	} {
		start = time.Now()
		out := send(t, l, packet.IPv6, text)
		t.Logf("%s: %v\n%s", text, time.Since(start), out)
	}
}
