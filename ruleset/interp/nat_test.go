package interp

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

var translations = []struct {
	packet  string
	hook    packet.Hook
	nat     pred.NAT
	becomes string // packet: what it is then
	replies string // ctrepl
	said    string
}{
	{"udp 192.0.2.1:1000 > 192.0.2.2:53 in a", packet.Prerouting, pred.NAT{Kind: pred.NATDestination, Min: v("198.51.100.1"), Max: v("198.51.100.1"), Ports: true, Lo: 54, Hi: 54},
		"udp 192.0.2.1:1000 > 198.51.100.1:54", "198.51.100.1:54 > 192.0.2.1:1000", "destination becomes 198.51.100.1, port 54"},
	{"tcp 192.0.2.1:1000 > 192.0.2.2:53 in a", packet.Prerouting, pred.NAT{Kind: pred.NATDestination, Ports: true, Lo: 60, Hi: 70},
		"tcp 192.0.2.1:1000 > 192.0.2.2:60", "192.0.2.2:60 > 192.0.2.1:1000", "destination becomes 192.0.2.2, port 60"},
	{"tcp 192.0.2.1:1000 > 192.0.2.2:65 in a", packet.Prerouting, pred.NAT{Kind: pred.NATDestination, Ports: true, Lo: 60, Hi: 70},
		"tcp 192.0.2.1:1000 > 192.0.2.2:65", "192.0.2.2:65 > 192.0.2.1:1000", "port 65"},
	{"udp 192.0.2.1:1000 > 192.0.2.2:65 in a", packet.Prerouting, pred.NAT{Kind: pred.NATDestination, Min: v("198.51.100.1"), Max: v("198.51.100.9"), Ports: true, Lo: 100, Hi: 110, Base: 60},
		"udp 192.0.2.1:1000 > 198.51.100.1:105", "198.51.100.1:105 > 192.0.2.1:1000", "the first of 198.51.100.1-198.51.100.9"},
	{"udp 192.0.2.1:1000 > 192.0.2.2:65 in a out b", packet.Postrouting, pred.NAT{Kind: pred.NATSource, Min: v("198.51.100.1"), Max: v("198.51.100.1"), Ports: true, Lo: 100, Hi: 110},
		"udp 198.51.100.1:100 > 192.0.2.2:65", "192.0.2.2:65 > 198.51.100.1:100", "the kernel draws one"},
	{"sctp 192.0.2.1:1000 > 192.0.2.2:65 in a out b", packet.Postrouting, pred.NAT{Kind: pred.NATMasquerade, Random: true},
		"sctp 203.0.113.7:1000 > 192.0.2.2:65", "192.0.2.2:65 > 203.0.113.7:1000", "source becomes 203.0.113.7, port 1000 (the kernel draws another one)"},
	{"icmp 192.0.2.1 > 192.0.2.2 in none out none", packet.Postrouting, pred.NAT{Kind: pred.NATMasquerade},
		"icmp 192.0.2.1 > 192.0.2.2", "192.0.2.2:0 > 192.0.2.1:0", "the address of none (not known here: 192.0.2.1 is kept)"},
	{"udp 192.0.2.1:1000 > 192.0.2.2:65 out b", packet.Output, pred.NAT{Kind: pred.NATRedirect, Ports: true, Lo: 7, Hi: 7},
		"udp 192.0.2.1:1000 > 127.0.0.1:7", "127.0.0.1:7 > 192.0.2.1:1000", "destination becomes 127.0.0.1, port 7"},
	{"udp 192.0.2.1:1000 > 192.0.2.130:65 in a", packet.Prerouting, pred.NAT{Kind: pred.NATNetmap, Net: netip.MustParsePrefix("198.51.100.0/25")},
		"udp 192.0.2.1:1000 > 198.51.100.2:65", "198.51.100.2:65 > 192.0.2.1:1000", "destination becomes 198.51.100.2"},
	{"udp [2001:db8::1]:1000 > [2001:db8::2]:65 in a out b", packet.Postrouting, pred.NAT{Kind: pred.NATSource, Min: v("2001:db8:1::1"), Max: v("2001:db8:1::1")},
		"udp [2001:db8:1::1]:1000 > [2001:db8::2]:65", "[2001:db8::2]:65 > [2001:db8:1::1]:1000", "source becomes 2001:db8:1::1"},
	{"udp [2001:db8::1]:1000 > [2001:db8::2]:65 out b", packet.Output, pred.NAT{Kind: pred.NATRedirect},
		"udp [2001:db8::1]:1000 > [::1]:65", "[::1]:65 > [2001:db8::1]:1000", "destination becomes ::1"},
	{"udp 192.0.2.1:1000 > 192.0.2.2:53 frag 3 in a", packet.Prerouting, pred.NAT{Kind: pred.NATDestination, Ports: true, Lo: 60, Hi: 60},
		"udp 192.0.2.1:1000 > 192.0.2.2:53", "192.0.2.2:0 > 192.0.2.1:0", "destination becomes 192.0.2.2"},
}

func v(s string) netip.Addr { return netip.MustParseAddr(s) }

// A packet that was translated is printed with right checksums: a wrong one would be said.
func TestTranslations(t *testing.T) {
	for _, c := range translations {
		family := packet.IPv4
		if strings.Contains(c.packet, "[") {
			family = packet.IPv6
		}
		f, err := packet.Parse(family, c.packet)
		if err != nil {
			t.Fatal(err)
		}
		before := f.String()
		f.World.AddrOf = func(dev string, _ packet.Family) netip.Addr {
			return map[string]netip.Addr{"b": v("203.0.113.7")}[dev]
		}
		out, said := translate(f, c.hook, c.nat)
		got := out.String()
		if !strings.HasPrefix(got, c.becomes+" ") || strings.Contains(got, "badsum") || strings.HasPrefix(got, "raw") {
			t.Errorf("%s, %s: %s", c.packet, c.nat, got)
		}
		if r := out.Conn.Repl; endpoints(r) != c.replies {
			t.Errorf("%s, %s: replies %s", c.packet, c.nat, endpoints(r))
		}
		if !strings.Contains(said, c.said) {
			t.Errorf("%s, %s: %s", c.packet, c.nat, said)
		}
		if f.String() != before {
			t.Errorf("%s: the packet itself became %s", before, f)
		}
	}
}

func endpoints(t packet.Tuple) string {
	return netip.AddrPortFrom(t.Src, t.SrcPort).String() + " > " + netip.AddrPortFrom(t.Dst, t.DstPort).String()
}
