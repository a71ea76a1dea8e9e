package conformance_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/conformance/lab"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// translators are chains of others that translate addresses, beside ours: commands before and
// after our rules are loaded.
var translators = []struct {
	name          string
	before, after []string
	rules         string
	packets       []string
	again         bool     // our rules are loaded once more in the end
	begun         []string // packets that are sent before our rules are loaded
}{
	{
		name:  "nothing of others",
		rules: translatedRules, packets: translatedPackets,
	},
	{
		name:  "a masquerade of all before ours, which leaves what is sent from here as it is",
		after: []string{"nft add table ip x", "nft add chain ip x p { type nat hook postrouting priority 90; }", "nft add rule ip x p oifname eth1 masquerade"},
		rules: translatedRules, packets: translatedPackets,
	},
	{
		name:  "a masquerade of all behind ours",
		after: []string{"nft add table ip x", "nft add chain ip x p { type nat hook postrouting priority 110; }", "nft add rule ip x p oifname eth1 masquerade"},
		rules: translatedRules, packets: translatedPackets,
	},
	{
		name:  "a translation to the same destination before ours",
		after: []string{"nft add table ip x", "nft add chain ip x p { type nat hook prerouting priority -101; }", "nft add rule ip x p udp dport 53 dnat to 198.18.0.1", "nft add rule ip x p udp dport 54 dnat to 198.18.0.1:7"},
		rules: translatedRules, packets: translatedPackets,
	},
	{
		name:  "an accept of all before ours",
		after: []string{"nft add table ip x", "nft add chain ip x p { type nat hook prerouting priority -150; }", "nft add rule ip x p accept", "nft add chain ip x q { type nat hook postrouting priority -150; }", "nft add rule ip x q accept"},
		rules: translatedRules, packets: translatedPackets,
	},
	{
		name:  "a drop of some before ours",
		after: []string{"nft add table ip x", "nft add chain ip x p { type nat hook prerouting priority -99; }", "nft add rule ip x p udp dport 53 drop", "nft add rule ip x p udp dport 55 drop"},
		rules: translatedRules, packets: translatedPackets,
	},
	{
		name:   "connections that began before",
		before: []string{"nft add table ip x", "nft add chain ip x p { type filter hook prerouting priority 0; }", "nft add rule ip x p ct state new"},
		begun:  translatedPackets,
		rules:  translatedRules, packets: translatedPackets,
	},
	{
		name:  "at the same priority, made later, and ours loaded again",
		after: samePlace, again: true,
		rules: translatedRules, packets: translatedPackets,
	},
	{
		name:   "at the same priority, made before, and ours loaded again",
		before: samePlace, again: true,
		rules: translatedRules, packets: translatedPackets,
	},
	{
		name:  "at the same priority, made later",
		after: samePlace,
		rules: translatedRules, packets: translatedPackets,
	},
	{
		name:   "iptables-nft, as Docker uses it",
		before: []string{"iptables-nft -t nat -N DOCKER", "iptables-nft -t nat -A PREROUTING -p udp --dport 53 -j DOCKER", "iptables-nft -t nat -A DOCKER -p udp --dport 53 -j DNAT --to-destination 198.18.1.9:5300", "iptables-nft -t nat -A POSTROUTING -s 198.18.0.0/24 ! -o eth0 -j MASQUERADE"},
		rules:  translatedRules, packets: translatedPackets,
	},
	{
		name: "firewalld",
		before: []string{"nft add table inet firewalld", "nft add chain inet firewalld nat_PREROUTING { type nat hook prerouting priority -90; }",
			"nft add rule inet firewalld nat_PREROUTING meta nfproto ipv4 udp dport 56 redirect to :11",
			"nft add chain inet firewalld nat_POSTROUTING { type nat hook postrouting priority 110; }", "nft add rule inet firewalld nat_POSTROUTING oifname eth1 masquerade"},
		rules: translatedRules, packets: translatedPackets,
	},
	{
		name:   "iptables-legacy beside ours",
		before: []string{"nft add table ip x", "nft add chain ip x i { type nat hook input priority 90; }", "nft add rule ip x i udp dport 5353 snat to 198.18.0.66", "nft add chain ip x o { type nat hook output priority -100; }", "nft add rule ip x o udp dport 57 dnat to 198.18.1.2:9"},
		rules:  translatedRules, packets: translatedPackets,
	},
}

var samePlace = []string{
	"nft add table ip x", "nft add chain ip x p { type nat hook prerouting priority -100; }", "nft add rule ip x p udp dport 53 dnat to 198.18.0.1:7",
	"nft add chain ip x q { type nat hook postrouting priority 100; }", "nft add rule ip x q oifname eth1 udp dport 9 snat to 198.18.1.200",
	"nft add chain ip x o { type nat hook output priority -100; }", "nft add rule ip x o udp dport 57 dnat to 198.18.1.2:13",
}

const translatedRules = `*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A PREROUTING -p udp -m udp --dport 53 -j REDIRECT --to-ports 5353
-A PREROUTING -p udp -m udp --dport 54 -j REDIRECT --to-ports 5354
-A PREROUTING -p tcp -m tcp --dport 80 -j DNAT --to-destination 198.18.1.2:8080
-A PREROUTING -p udp -m udp --dport 55 -j DNAT --to-destination 198.18.0.2:55
-A INPUT -p udp -m udp --dport 5353 -j SNAT --to-source 198.18.0.77
-A OUTPUT -p udp -m udp --dport 57 -j DNAT --to-destination 198.18.1.2:58
-A OUTPUT -p udp -m udp --dport 59 -j REDIRECT --to-ports 60
-A POSTROUTING -d 198.18.0.2/32 -p udp -m udp --dport 55 -j SNAT --to-source 198.18.0.1
-A POSTROUTING -o eth1 -j MASQUERADE
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -p udp -m udp --dport 5353
-A FORWARD -p tcp -m tcp --dport 8080
COMMIT
`

var translatedPackets = []string{
	"udp 198.18.0.2:1001 > 198.18.0.1:53 in eth0",
	"udp 198.18.0.2:1002 > 198.18.0.1:54 in eth0",
	"udp 198.18.0.2:1002 > 198.18.0.1:54 in eth0",
	"udp 198.18.0.2:1003 > 198.18.0.1:55 in eth0",
	"udp 198.18.0.2:1004 > 198.18.0.1:56 in eth0",
	"tcp 198.18.0.2:1005 > 198.18.0.1:80 flags syn in eth0",
	"tcp 198.18.0.2:1005 > 198.18.0.1:80 flags syn in eth0",
	"tcp 198.18.1.2:8080 > 198.18.1.1:1005 flags syn,ack ack 2 in eth1",
	"udp 198.18.0.2:1006 > 198.18.1.2:9 in eth0",
	"icmp 198.18.0.2 > 198.18.1.2 in eth0",
	"@udp udp 198.18.1.1:1007 > 198.18.1.2:57",
	"@udp udp 198.18.1.1:1008 > 198.18.1.2:9",
	"@udp udp 198.18.1.1:1009 > 198.18.1.2:59",
	"udp 198.18.0.2:1010 > 198.18.1.2:9 frag 0+ payload 0000000000000000 in eth0",
	"tcp 198.18.0.2:1011 > 198.18.1.2:9 flags ack in eth0",
}

// Where chains of others translate, accept or drop before or behind ours, packets and
// connections are those of iptables-legacy beside the same chains.
func TestTranslatorsOfOthers(t *testing.T) {
	needRoot(t)
	binary := buildBinary(t, "")
	for _, c := range translators {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			seen := func(a lab.Applier) (all []string) {
				l := newLab(t, binary)
				run := func(commands []string) {
					for _, one := range commands {
						command(t, l.Host(), "", strings.Fields(one)...)
					}
				}
				run(c.before)
				for _, p := range c.begun {
					events(t, l, p)
				}
				if err := a.Apply(l.Host(), packet.IPv4, []byte(c.rules)); err != nil {
					t.Fatal(err)
				}
				run(c.after)
				if c.again {
					if err := a.Apply(l.Host(), packet.IPv4, []byte(c.rules)); err != nil {
						t.Fatal(err)
					}
				}
				for _, p := range c.packets {
					all = append(all, fmt.Sprintf("%s\n%s", p, events(t, l, p)))
				}
				connections, err := l.Connections()
				if err != nil {
					t.Fatal(err)
				}
				return append(all, connections...)
			}
			ours, theirs := seen(lab.Command{Path: binary}), seen(lab.Legacy{})
			if !slices.Equal(ours, theirs) {
				t.Errorf("%s", differing(ours, theirs))
			}
		})
	}
}

// differing are the lines that only one of two lists has.
func differing(ours, theirs []string) string {
	var b strings.Builder
	for _, side := range []struct {
		name     string
		all, not []string
	}{{"bpftables", ours, theirs}, {"iptables-legacy", theirs, ours}} {
		for _, line := range side.all {
			if !slices.Contains(side.not, line) {
				fmt.Fprintf(&b, "only %s: %s\n", side.name, line)
			}
		}
	}
	return b.String()
}

// One of our chains that translate is emptied: packets are translated by the others, or
// dropped.
func TestEmptiedTranslators(t *testing.T) {
	needRoot(t)
	binary := buildBinary(t, "")
	l := newLab(t, binary)
	for i, priority := range []string{"-199", "-100", "2147483647"} {
		restore(t, binary, l.Host(), translatedRules)
		emptied := ""
		for line := range strings.Lines(string(command(t, l.Host(), "", "nft", "list", "table", "ip", "bpftables"))) {
			if words := strings.Fields(line); len(words) > 1 && words[0] == "chain" && strings.HasSuffix(words[1], "PREROUTING"+priority+"-nat") {
				emptied = words[1]
			}
		}
		command(t, l.Host(), "", "nft", "flush", "chain", "ip", "bpftables", emptied)
		got := events(t, l, fmt.Sprintf("udp 198.18.0.2:%d > 198.18.0.1:53 in eth0", 2000+i))
		if translated := strings.Contains(got, "198.18.0.1:5353"); translated != (priority != "-100") || !translated && got != "" {
			t.Errorf("%s: %q", priority, got)
		}
	}
}
