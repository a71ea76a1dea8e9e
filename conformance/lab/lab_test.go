package lab

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

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

// trips are packets in a lab without rules, and what is seen of them.
var trips = []struct {
	name, text string
	want       []string
}{
	{"forwarded", "udp 198.18.0.50:5000 > 198.18.1.77:9 in eth0", []string{
		"forward in eth0 out eth1 mark 0x0 ct none: udp 198.18.0.50:5000 > 198.18.1.77:9 ttl 63",
		"postrouting in eth0 out eth1 mark 0x0 ct none: udp 198.18.0.50:5000 > 198.18.1.77:9 ttl 63",
		"server eth1: udp 198.18.0.50:5000 > 198.18.1.77:9 ttl 63",
	}},
	{"from the server", "udp 198.18.1.77:5000 > 198.18.0.50:9 in eth1", []string{
		"client eth0: udp 198.18.1.77:5000 > 198.18.0.50:9 ttl 63",
		"forward in eth1 out eth0 mark 0x0 ct none: udp 198.18.1.77:5000 > 198.18.0.50:9 ttl 63",
		"postrouting in eth1 out eth0 mark 0x0 ct none: udp 198.18.1.77:5000 > 198.18.0.50:9 ttl 63",
	}},
	{"answered by the host", "icmp 198.18.0.50 > 198.18.0.1 in eth0 id 3", []string{
		"client eth0: icmp 198.18.0.1 > 198.18.0.50 type 0/0",
		"input in eth0 mark 0x0 ct none: icmp 198.18.0.50 > 198.18.0.1 type 8/0 id 3",
		"output out eth0 mark 0x0 ct none: icmp 198.18.0.1 > 198.18.0.50 type 0/0",
		"postrouting out eth0 mark 0x0 ct none: icmp 198.18.0.1 > 198.18.0.50 type 0/0",
	}},
	{"sent by the host", "tcp 198.18.0.1:5000 > 198.18.1.77:22 out eth1 mark 5 uid 1000 id 1", []string{
		"output out eth1 mark 0x5 ct none: tcp 198.18.0.1:5000 > 198.18.1.77:22 flags syn id 1",
		"postrouting out eth1 mark 0x5 ct none: tcp 198.18.0.1:5000 > 198.18.1.77:22 flags syn id 1",
		"server eth1: tcp 198.18.0.1:5000 > 198.18.1.77:22 flags syn id 1",
	}},
	{"refused connection", "@tcp tcp 198.18.1.1:5000 > 198.18.1.2:22", []string{
		"input in eth1 mark 0x0 ct none: tcp 198.18.1.2:22 > 198.18.1.1:5000 flags rst,ack win 0 seq 0 df",
		"output out eth1 mark 0x0 ct none: tcp 198.18.1.1:5000 > 198.18.1.2:22 flags syn win 65495 seq 0 opts 0204ffd7010104020103030a df",
		"postrouting out eth1 mark 0x0 ct none: tcp 198.18.1.1:5000 > 198.18.1.2:22 flags syn win 65495 seq 0 opts 0204ffd7010104020103030a df",
		"sender later ECONNREFUSED",
		"server eth1: tcp 198.18.1.1:5000 > 198.18.1.2:22 flags syn win 65495 seq 0 opts 0204ffd7010104020103030a df",
	}},
	{"segments stay together", "@udp @gso=100 udp 198.18.1.1:5000 > 198.18.1.77:22 len 1028", []string{
		"output out eth1 mark 0x0 ct none: udp 198.18.1.1:5000 > 198.18.1.77:22 df len 1028",
		"postrouting out eth1 mark 0x0 ct none: udp 198.18.1.1:5000 > 198.18.1.77:22 df len 1028",
		"server eth1: udp 198.18.1.1:5000 > 198.18.1.77:22 df len 1028",
	}},
	{"broadcast", "udp 198.18.0.50:5000 > 255.255.255.255:9 in eth0", []string{
		"input in eth0 mark 0x0 ct none: udp 198.18.0.50:5000 > 255.255.255.255:9",
	}},
	{"to another host", "udp 198.18.0.50:5000 > 198.18.0.1:9 in eth0 pkttype otherhost", nil},
	{"local address", "udp 198.18.0.50:5000 > 10.9.8.7:7 in eth0", []string{
		"input in eth0 mark 0x0 ct none: udp 198.18.0.50:5000 > 10.9.8.7:7",
	}},
	{"routed address", "udp 198.18.1.77:5000 > 10.9.8.6:9 in eth1", []string{
		"client eth0: udp 198.18.1.77:5000 > 10.9.8.6:9 ttl 63",
		"forward in eth1 out eth0 mark 0x0 ct none: udp 198.18.1.77:5000 > 10.9.8.6:9 ttl 63",
		"postrouting in eth1 out eth0 mark 0x0 ct none: udp 198.18.1.77:5000 > 10.9.8.6:9 ttl 63",
	}},
	{"IPv6", "udp [2001:db8:1ab::50]:5000 > [2001:db8:1ab:1::77]:9 in eth0 ext hop,dst", []string{
		"forward in eth0 out eth1 mark 0x0 ct none: udp [2001:db8:1ab::50]:5000 > [2001:db8:1ab:1::77]:9 ttl 63 ext hop,dst",
		"postrouting in eth0 out eth1 mark 0x0 ct none: udp [2001:db8:1ab::50]:5000 > [2001:db8:1ab:1::77]:9 ttl 63 ext hop,dst",
		"server eth1: udp [2001:db8:1ab::50]:5000 > [2001:db8:1ab:1::77]:9 ttl 63 ext hop,dst",
	}},
}

func TestTrips(t *testing.T) {
	l := newLab(t, Options{Routes: []Route{{Prefix: prefix("10.9.8.7/32")}, {Prefix: prefix("10.9.8.6/32"), Via: "eth0"}}})
	if err := l.Listen(7); err != nil {
		t.Fatal(err)
	}
	for _, c := range trips {
		family := packet.IPv4
		if strings.Contains(c.text, "[") {
			family = packet.IPv6
		}
		if got, want := send(t, l, family, c.text), strings.Join(c.want, "\n"); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, got, want)
		}
	}
}

// TestQuiet: without packets nothing is seen, however long one looks.
func TestQuiet(t *testing.T) {
	l := newLab(t, Options{})
	const silent = "udp 198.18.0.50:5000 > 198.18.0.1:9 in eth0 pkttype otherhost"
	for range 50 {
		if got := send(t, l, packet.IPv4, silent); got != "" {
			t.Fatalf("seen: %s", got)
		}
	}
}

// TestSenderError: a local sender is told that its packet was dropped.
func TestSenderError(t *testing.T) {
	l := newLab(t, Options{})
	rules := "*filter\n:OUTPUT DROP [0:0]\nCOMMIT\n"
	if err := (Legacy{}).Apply(l.Host(), packet.IPv4, []byte(rules)); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"udp 198.18.1.1:5000 > 198.18.1.77:22 out eth1", "@udp udp 198.18.1.1:5000 > 198.18.1.77:22"} {
		if got := send(t, l, packet.IPv4, text); got != "sender EPERM" {
			t.Errorf("%s: %s", text, got)
		}
	}
}

// TestHandshake: a connection to a listening socket of the host is established.
func TestHandshake(t *testing.T) {
	l := newLab(t, Options{})
	rules := "*filter\n-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT\nCOMMIT\n"
	if err := (Legacy{}).Apply(l.Host(), packet.IPv4, []byte(rules)); err != nil {
		t.Fatal(err)
	}
	if err := l.Listen(80); err != nil {
		t.Fatal(err)
	}
	const flow = "tcp 198.18.0.50:5000 > 198.18.0.1:80 in eth0 "
	send(t, l, packet.IPv4, flow+"flags syn seq 1000")
	send(t, l, packet.IPv4, "@answer "+flow+"flags ack seq 1001")
	send(t, l, packet.IPv4, "@answer "+flow+"flags psh,ack seq 1001 payload 00")
	conns, err := l.Connections()
	if err != nil || len(conns) != 1 || !strings.Contains(conns[0], "ESTABLISHED src=198.18.0.50") {
		t.Errorf("connections %q, error %v", conns, err)
	}
	text, err := (Legacy{}).Save(l.Host(), packet.IPv4, true)
	if err != nil || !strings.Contains(string(text), "[2:81] -A INPUT") {
		t.Errorf("two packets of 40 and 41 bytes were established; saved %s, error %v", text, err)
	}
	if err := l.Forget(); err != nil {
		t.Fatal(err)
	}
	if conns, err = l.Connections(); err != nil || len(conns) != 0 {
		t.Errorf("after Forget: connections %q, error %v", conns, err)
	}
}

// TestClose: nothing is left of a lab, nor of one that could not be built.
func TestClose(t *testing.T) {
	l := newLab(t, Options{})
	names := l.names
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Options{Interfaces: []string{"eth0", "eth0"}}); err == nil {
		t.Error("two interfaces of one name were accepted")
	}
	left, err := filepath.Glob("/run/netns/bt-*")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range left {
		base := strings.TrimRight(names[0], "ch")
		if strings.HasPrefix(filepath.Base(path), base[:strings.LastIndexByte(base, '-')]) {
			t.Errorf("%s is left", path)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for text, want := range map[string]string{
		"@what udp":         "@what: not known; give @frame, @raw",
		"@gso=0 udp":        `"0" is not a segment size; give 1 to 32767`,
		"@gso=5 icmp":       "only frames of TCP and UDP",
		"@raw @gso=5 udp":   "only frames of TCP and UDP",
		"@udp udp nonsense": "nonsense: not a word",
	} {
		if _, err := Parse(packet.IPv4, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q in it", text, err, want)
		}
	}
}

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// TestReap: what a killed process left is removed, what a living one has is not.
func TestReap(t *testing.T) {
	l := newLab(t, Options{})
	const dead = "bt-999999999-1h" // above any process number
	if err := run("ip", "netns", "add", dead); err != nil {
		t.Fatal(err)
	}
	reap()
	if _, err := os.Stat("/run/netns/" + dead); !os.IsNotExist(err) {
		t.Errorf("%s is left: %v", dead, err)
	}
	if _, err := os.Stat("/run/netns/" + l.Host()); err != nil {
		t.Error(err)
	}
}

// TestReply: answers go back to where a packet came out, errors quote it, and what did not
// come out is not answered.
func TestReply(t *testing.T) {
	l := newLab(t, Options{})
	for _, step := range []struct{ text, want string }{
		{"tcp 198.18.0.50:5000 > 198.18.1.77:80 flags syn seq 7 in eth0", "server eth1: tcp 198.18.0.50:5000 > 198.18.1.77:80"},
		{"@reply tcp 192.0.2.1:1 > 192.0.2.2:2 flags syn,ack seq 9 in eth0", "client eth0: tcp 198.18.1.77:80 > 198.18.0.50:5000 flags syn,ack seq 0 ttl 63"},
		{"udp 198.18.1.77:53 > 198.18.0.50:5000 in eth1", "client eth0: udp 198.18.1.77:53 > 198.18.0.50:5000"},
		{"@reply icmp 0.0.0.0 > 192.0.2.2 type 3/3 rest 0 in eth0", "server eth1: icmp 198.18.0.50 > 198.18.1.77 type 3/3"},
		{"@reply udp in eth0", "sender nothing to reply to"},
	} {
		if got := send(t, l, packet.IPv4, step.text); !strings.Contains(got, step.want) {
			t.Errorf("%s\n%s\nwant %s", step.text, got, step.want)
		}
	}
}
