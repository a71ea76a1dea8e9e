package gen

import (
	"math/rand"
	"slices"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/conformance/lab"
	"github.com/bpftables/bpftables/ruleset/packet"
)

const saved = `*filter
:INPUT DROP [0:0]
:sub - [0:0]
-A INPUT -s 10.0.0.0/8 -i wlan+ -p tcp -m tcp --dport 22:25 -m comment --comment "say \"-d 1.2.3.4\"" -j sub
-A sub -m conntrack --ctstate ESTABLISHED -j ACCEPT
-A FORWARD -d 192.0.2.0/24 -o ppp0 -p udp -m length --length 100:200 -j DROP
COMMIT
`

func TestRules(t *testing.T) {
	got := rules(saved)
	if len(got) != 3 || got[0].target != "sub" || got[0].table != "filter" || len(got[0].options) != 5 {
		t.Fatalf("%+v", got)
	}
	if o := got[0].options[4]; o.name != "--comment" || o.args[0] != `say "-d 1.2.3.4"` || o.match != "comment" {
		t.Errorf("%+v", o)
	}
}

func TestInterfaces(t *testing.T) {
	if got := Interfaces(saved, 16); !slices.Equal(got, []string{"wlan0", "ppp0"}) {
		t.Errorf("%v", got)
	}
	if got := Interfaces("-A INPUT -i lo -j ACCEPT", 16); !slices.Equal(got, []string{"eth0", "eth1"}) {
		t.Errorf("%v", got)
	}
}

// TestSameSeed: the same seed draws the same packets.
func TestSameSeed(t *testing.T) {
	texts := func(seed int64) (out []string) {
		g := New(packet.IPv4, saved, []string{"eth0", "wlan0"}, seed)
		for range 50 {
			for _, p := range g.Draw() {
				out = append(out, p.String())
			}
		}
		return out
	}
	if !slices.Equal(texts(1), texts(1)) {
		t.Error("the same seed drew other packets")
	}
	if slices.Equal(texts(1), texts(2)) {
		t.Error("another seed drew the same packets")
	}
}

// TestDraw: packets read back as they are printed, and both sides of boundaries
// and all kinds are among them.
func TestDraw(t *testing.T) {
	var all strings.Builder
	for _, family := range []packet.Family{packet.IPv4, packet.IPv6} {
		g := New(family, saved, []string{"eth0", "wlan0", "ppp0"}, 1)
		for range 1500 {
			for _, p := range g.Draw() {
				text := p.String()
				again, err := lab.Parse(family, text)
				if err != nil {
					t.Fatalf("%s: %v", text, err)
				}
				if again.String() != text {
					t.Fatalf("%s: read and printed %s", text, again)
				}
				all.WriteString(text + "\n")
			}
		}
	}
	for _, want := range []string{":21 ", ":22 ", ":25 ", ":26 ", "len 99 ", "len 100 ", "len 200 ", "len 201 ", " in wlan0", "> 192.0.2.",
		"@gso", "@udp", "@tcp", "@answer", " frag ", " ext ", " cut ", " ipopts ", " doff ", " badsum", " in lo", "sctp ", "gre ", "type 3/", "pkttype broadcast", "255.255.255.255", "uid 500"} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("no packet with %q", want)
		}
	}
}

// TestConversation: packets read back as they are printed, answers, errors and ends are among them.
func TestConversation(t *testing.T) {
	var all strings.Builder
	for _, family := range []packet.Family{packet.IPv4, packet.IPv6} {
		g := New(family, saved, []string{"eth0", "wlan0", "ppp0"}, 1)
		for range 300 {
			for _, p := range g.Conversation() {
				again, err := lab.Parse(family, p.String())
				if err != nil || again.String() != p.String() {
					t.Fatalf("%s: read and printed %v (%v)", p, again, err)
				}
				all.WriteString(p.String() + "\n")
			}
		}
	}
	for _, want := range []string{"@reply tcp ", "flags syn,ack", "flags fin,ack", "flags rst", "@reply udp ", "@reply icmp ", "@reply icmp6 ", " type 11", " frag ", "badsum", "@answer "} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("no packet with %q", want)
		}
	}
}

// TestEverything: the same seed gives the same ruleset, and all tables and targets come.
func TestEverything(t *testing.T) {
	var all strings.Builder
	for seed := range int64(60) {
		text := Everything(rand.New(rand.NewSource(seed)), packet.IPv4)
		if text != Everything(rand.New(rand.NewSource(seed)), packet.IPv4) {
			t.Fatal("the same seed gave another ruleset")
		}
		all.WriteString(text)
	}
	for _, want := range []string{"*raw", "*mangle", "*nat", "*filter", "*security", "-j DNAT", "-j SNAT", "-j MASQUERADE", "-j REDIRECT", "-j NETMAP", "-j TPROXY", "-j CLASSIFY",
		"--restore-mark", "-j TCPMSS", "-j CT --zone", "-m recent", "-m hashlimit", "-g user", "--ctorigdst", "--ctexpire", "tcp-reset"} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("no rule with %q", want)
		}
	}
}

func TestRuleset(t *testing.T) {
	a := Ruleset(rand.New(rand.NewSource(1)), packet.IPv6)
	if a != Ruleset(rand.New(rand.NewSource(1)), packet.IPv6) || !strings.HasPrefix(a, "*filter\n:INPUT ") || !strings.HasSuffix(a, "COMMIT\n") {
		t.Error(a)
	}
}
