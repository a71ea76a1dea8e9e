package flood

import (
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// TestFeed: every frame passes the rules of the host, in the order of the list,
// whether it starts in the stack or on the wire.
func TestFeed(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("REQUIRE_KERNEL") != "" {
			t.Fatal("needs root")
		}
		t.Skip("needs root")
	}
	for _, family := range []packet.Family{packet.IPv4, packet.IPv6} {
		for _, wire := range []bool{false, true} {
			t.Run(family.String()+map[bool]string{true: " wire"}[wire], func(t *testing.T) { feed(t, family, wire) })
		}
	}
}

const counters = `table inet count {
	chain in {
		type filter hook input priority 0;
		udp dport 1001 counter drop comment "one"
		udp dport 1002 counter drop comment "two"
		tcp dport 1003 counter drop comment "three"
	}
}`

func feed(t *testing.T, family packet.Family, wire bool) {
	h, err := NewHost("test")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := h.Remove(); err != nil {
			t.Error(err)
		}
	}()
	if err := h.Command("nft", counters); err != nil {
		t.Fatal(err)
	}
	f, err := h.NewFeeder(Options{Packets: threeFlows(t, family), Wire: wire, CPU: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const n = 3*100 + 1
	if _, err := f.Feed(n); err != nil {
		t.Fatal(err)
	}
	sent, err := f.Sent()
	if err != nil || sent < n {
		t.Fatalf("%d sent, %v", sent, err)
	}
	out, err := h.Output("nft", "list", "table", "inet", "count")
	if err != nil {
		t.Fatal(err)
	}
	if sent != n {
		t.Skip("a signal made the kernel start again")
	}
	for _, want := range []string{"dport 1001 counter packets 101 ", "dport 1002 counter packets 100 ", "dport 1003 counter packets 100 "} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

func threeFlows(t *testing.T, family packet.Family) (packets [][]byte) {
	for i, proto := range []uint8{17, 17, 6} {
		s := packet.NewSpec(family, proto)
		s.Src, s.Dst = addresses(family)
		s.DstPort = uint16(1001 + i)
		raw, err := s.Build()
		if err != nil {
			t.Fatal(err)
		}
		packets = append(packets, raw)
	}
	return packets
}

func addresses(family packet.Family) (src, dst netip.Addr) {
	if family == packet.IPv6 {
		return netip.MustParseAddr("2001:db8:1::1"), netip.MustParseAddr("2001:db8:2::1")
	}
	return netip.MustParseAddr("198.18.0.1"), netip.MustParseAddr("198.19.0.1")
}
