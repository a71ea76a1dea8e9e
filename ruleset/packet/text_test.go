package packet

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

// texts are packets of the language, with the bytes that matter: those from the
// offset given.
var texts = []struct {
	family Family
	text   string
	off    int
	hex    string
}{
	{IPv4, "tcp 192.0.2.7:5555 > 198.51.100.1:22 in eth0 ct new flags syn", 0, "450000280000000040068e94c0000207c6336401" + "15b3001600000001000000005002ffff" + "addc0000"},
	{IPv4, "tcp 192.0.2.7:5555 > 198.51.100.1:22 flags syn,ack", 33, "12"},
	{IPv4, "tcp 192.0.2.7:5555 > 198.51.100.1:22 opts 020405b4", 32, "60"},
	{IPv4, "udp 192.0.2.7:53 > 198.51.100.1:5353 len 1400 ttl 3 tos 0x10", 0, "45100578"},
	{IPv4, "udp 192.0.2.7:53 > 198.51.100.1:5353 frag 185+", 6, "20b9"},
	{IPv4, "udp 192.0.2.7:53 > 198.51.100.1:5353 ipopts 94040000", 0, "46"},
	{IPv4, "icmp 192.0.2.7 > 198.51.100.1 type 3/1 payload 0102", 20, "0301fbfa000100010102"},
	{IPv4, "esp 192.0.2.7 > 198.51.100.1 spi 500", 20, "000001f400000001"},
	{IPv4, "sctp 192.0.2.7:1 > 198.51.100.1:2 chunks init,data:3", 32, "0100000400030004"},
	{IPv4, "tcp 192.0.2.7:5555>198.51.100.1:22 cut 30", 0, "4500001e"},
	{IPv6, "tcp [2001:db8::7]:5555 > [2001:db8::1]:22 ext hop,frag:8+", 40, "2c000104000000000600004100000001"},
	{IPv6, "icmp6 2001:db8::7 > 2001:db8::1 type 128/0", 40, "8000"},
	{IPv4, "raw 4500001400000000400600000a0000010a000002 in eth0", 9, "06"},
}

func TestParse(t *testing.T) {
	for _, c := range texts {
		f, err := Parse(c.family, c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		want, _ := hex.DecodeString(c.hex)
		if got := f.Raw[c.off:]; !bytes.HasPrefix(got, want) {
			t.Errorf("%s: bytes at %d are %x, want %x", c.text, c.off, got, want)
		}
		checkRoundTrip(t, f)
	}
}

func checkRoundTrip(t *testing.T, f *Facts) {
	t.Helper()
	text := f.String()
	back, err := Parse(f.Family, text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if !bytes.Equal(back.Raw, f.Raw) {
		t.Fatalf("%s: bytes %x, want %x", text, back.Raw, f.Raw)
	}
	if again := back.String(); again != text {
		t.Fatalf("printed %q, read and printed %q", text, again)
	}
}

func TestParseFacts(t *testing.T) {
	f, err := Parse(IPv4, "tcp 192.0.2.7:5555 > 198.51.100.1:22 in eth0 out eth1 ct established,reply,dnat ctmark 5 mark 0xff/0x0f mac 02:00:00:00:00:01 uid 1000 gid 100 pkttype broadcast")
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case f.Hook != Forward, f.In.Name != "eth0", f.Out.Name != "eth1":
		t.Error("hook or interfaces")
	case f.CtState != CtEstablished|CtDNAT, !f.Conn.Reply, f.Conn.Mark != 5, f.Mark != 0xf:
		t.Error("state or marks")
	case f.Conn.Orig.Src.String() != "198.51.100.1", f.Conn.Orig.SrcPort != 22, f.Conn.Proto != 6:
		t.Error("tuple")
	case f.Link[11] != 1, f.Sock.UID != 1000, f.Sock.GID != 100, f.PktType != 1:
		t.Error("mac, owner or pkttype")
	case f.Raw[33] != FlagACK:
		t.Error("flags of an established packet")
	}
}

func TestDefaultHook(t *testing.T) {
	for text, want := range map[string]Hook{
		"udp in eth0": Input, "udp out eth0": Output, "udp in a out b": Forward, "udp": Input,
		"udp in eth0 hook prerouting": Prerouting, "udp out eth0 hook postrouting": Postrouting,
	} {
		f, err := Parse(IPv4, text)
		if err != nil || f.Hook != want {
			t.Errorf("%s: hook %v, error %v; want %v", text, f.Hook, err, want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                                      "empty; give a protocol",
		"tpc 1.2.3.4 > 5.6.7.8":                 "tpc: not a protocol; give tcp, udp",
		"tcp 1.2.3.4":                           "1.2.3.4: one address only; give SOURCE > DESTINATION",
		"tcp 1.2.3:4 > 1.1.1.1":                 "1.2.3:4: not an address; give ADDRESS",
		"tcp 1.2.3.4:70000 > 1.1.1.1:1":         `"70000" is not a port; give 0 to 65535`,
		"tcp [2001:db8::1]:1 > [2001:db8::2]:2": "not an ipv4 address",
		"icmp 1.2.3.4:1 > 1.1.1.1":              "this protocol has no ports",
		"tcp ttl":                               "ttl: nothing follows; give a number up to 255",
		"tcp ttl 256":                           `ttl: "256" is not a number up to 255`,
		"tcp wat":                               "wat: not a word of the packet language; give one of in out",
		"udp flags syn":                         "flags: protocol 17 has none; leave it out",
		"tcp flags syn,ock":                     `flags: "ock" is not one of fin syn`,
		"tcp ct new,established":                "has two states",
		"tcp ct dnat":                           "has no state; give one of new",
		"tcp ct invalid,dnat":                   "has no connection",
		"tcp in eth0 in eth1":                   "in: given twice",
		"tcp in abcdefghijklmnop":               "longer than 15 bytes",
		"tcp ext hop":                           "an ipv4 packet has none",
		"tcp len 30":                            "len 30: the headers and the payload have 40 bytes",
		"tcp cut 19":                            "cut 19: an ipv4 packet keeps its header; give at least 20",
		"tcp cut 50":                            "has only 40 bytes",
		"raw 45":                                "no whole ipv4 header",
		"raw 4500001400000000400600000a0000010a000002 ttl 3": "ttl: changes the bytes of a raw packet",
		"tcp payload 0":     "is not hexadecimal; give two digits per byte",
		"tcp mac 1:2":       "is not an Ethernet address",
		"tcp hook postrout": "is not one of prerouting",
	} {
		_, err := Parse(IPv4, text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q in it", text, err, want)
		}
	}
}

// TestChecksums: the sum over a segment with its checksum and pseudo header is 0.
func TestChecksums(t *testing.T) {
	for _, text := range []string{"tcp payload 010203", "udp len 101", "udplite", "dccp", "icmp payload ff"} {
		s, _, err := ParseSpec(IPv4, text)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := s.Build()
		if err != nil {
			t.Fatal(err)
		}
		if got := fold(sum(raw[20:], s.pseudo(len(raw)-20))); got != 0xffff {
			t.Errorf("%s: transport sum %#x", text, got)
		}
		if got := fold(sum(raw[:20], 0)); got != 0xffff {
			t.Errorf("%s: header sum %#x", text, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, c := range texts {
		f.Add(c.family == IPv6, c.text)
	}
	f.Fuzz(func(t *testing.T, six bool, text string) {
		family := IPv4
		if six {
			family = IPv6
		}
		facts, err := Parse(family, text)
		if err == nil {
			checkRoundTrip(t, facts)
		}
	})
}

func FuzzRaw(f *testing.F) {
	for _, c := range texts {
		if p, err := Parse(c.family, c.text); err == nil {
			f.Add(c.family == IPv6, p.Raw)
		}
	}
	f.Fuzz(func(t *testing.T, six bool, raw []byte) {
		family := IPv4
		if six {
			family = IPv6
		}
		facts, ok := Decode(family, raw)
		if !ok {
			return
		}
		finish(facts)
		checkRoundTrip(t, facts)
	})
}
