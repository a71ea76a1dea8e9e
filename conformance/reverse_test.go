package conformance

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/ruleset/packet"
)

// reverseRoutes are commands of ip that come one after the other; packets are sent after each group.
var reverseRoutes = [][]string{
	{
		"route add 203.0.113.0/26 dev eth1", "route add blackhole 203.0.113.64/26", "route add unreachable 203.0.113.128/27",
		"route add throw 203.0.113.160/27", "route add prohibit 203.0.113.192/27", "route add 203.0.113.8 dev eth0",
		"route add 198.51.100.0/25 nexthop dev eth0 nexthop dev eth1", "route add local 198.51.100.128/25 dev lo",
		"nexthop add id 1 dev eth1", "nexthop add id 2 dev eth0", "nexthop add id 3 group 1/2", "nexthop add id 4 blackhole",
		"route add 192.0.2.0/28 nhid 1", "route add 192.0.2.16/28 nhid 3", "route add 192.0.2.32/28 nhid 4",
		"route add 192.0.2.64/28 tos 0x10 dev eth0", "route add broadcast 192.0.2.80/28 dev eth0",
	},
	{"route add default dev eth0 table default"},
	{"route replace default dev eth1"},
	{ // Policy rules part the tables, which are one before.
		"rule add pref 100 fwmark 0x7/0xf lookup 77", "route add 203.0.113.0/26 dev eth0 table 77", "route add throw 192.0.2.0/24 table 77",
		"rule add pref 110 to 203.0.113.1 blackhole", "rule add pref 120 from 198.18.1.0/24 lookup 78", "route add 203.0.113.0/28 dev eth0 table 78",
		"rule add pref 130 tos 0x08 prohibit", "rule add pref 140 iif eth0 unreachable", "rule add pref 141 not from 198.18.0.0/15 unreachable",
		"rule add pref 150 lookup main suppress_prefixlength 0", "rule add pref 160 to 198.51.100.7 goto 180", "rule add pref 170 to 198.51.100.0/24 lookup 79",
		"rule add pref 180 nop", "rule add pref 190 ipproto udp unreachable", "rule add pref 191 sport 5000 unreachable", "rule add pref 192 oif eth1 unreachable",
	},
	{"route add default dev eth0 table 80", "rule add pref 200 lookup 80 suppress_ifgroup 0", "rule add pref 201 iif lo to 192.0.2.240/28 lookup 80"},
	{"link set eth1 down"},
}

// reverseRoutes6 are those of IPv6.
var reverseRoutes6 = [][]string{
	{
		"-6 route del default", "addr add fe80::77/64 dev eth0 nodad", "addr add fe80::78/64 dev eth1 nodad", "addr add 2001:db8:8::1/128 dev lo",
		"-6 route add 2001:db8:20::/64 dev eth1", "-6 route add 2001:db8:21::/64 dev eth0", "-6 route add unreachable 2001:db8:22::/64", "-6 route add prohibit 2001:db8:23::/64",
		"-6 route add blackhole 2001:db8:24::/64", "-6 route add throw 2001:db8:25::/64", "-6 route add local 2001:db8:26::/64 dev lo", "-6 route add anycast 2001:db8:27::1 dev eth0 table local",
		"-6 route add 2001:db8:28::/64 via 2001:db8:1ab:1::2", "-6 route add 2001:db8:29::/64 nexthop via 2001:db8:1ab::2 nexthop via 2001:db8:1ab::3",
		"-6 route add 2001:db8:2a::/64 dev eth0 metric 10", "-6 route add 2001:db8:2a::/64 dev eth1 metric 20", "-6 route add 2001:db8:2b::/64 dev eth0 metric 20", "-6 route add unreachable 2001:db8:2b::/64 metric 10",
		"-6 route add 2001:db8:2c::/64 nexthop via 2001:db8:1ab:1::4 nexthop via 2001:db8:1ab::4", "-6 route add local 2001:db8:2d::1 dev eth0 table local", "-6 route add local 2001:db8:2e::/64 dev eth1 metric 5", "-6 route add 2001:db8:2e::/64 dev eth0 metric 9",
		"-6 route add 2001:db8:30::/64 from 2001:db8:1ab::/64 dev eth0", "-6 route add unreachable 2001:db8:30::/48",
		"-6 route add 2001:db8:31::/64 from 2001:db8:1ab:1::/64 dev eth1", "-6 route add unreachable 2001:db8:31::/64",
		"-6 route add unreachable 2001:db8:32::/64 from 2001:db8:1ab::1/128", "-6 route add 2001:db8:32::/48 dev eth0", "-6 route add 2001:db8:33::/64 from fe80::/10 dev eth0", "-6 route add 2001:db8:33::/56 dev eth1",
		"-6 nexthop add id 1 dev eth1", "-6 nexthop add id 2 dev eth0", "-6 nexthop add id 3 blackhole", "nexthop add id 4 group 1/2", "nexthop add id 5 group 3", "-6 nexthop add id 6 via 2001:db8:1ab::9 dev eth0",
		"-6 route add 2001:db8:40::/64 nhid 1", "-6 route add 2001:db8:41::/64 nhid 2", "-6 route add 2001:db8:42::/64 nhid 3", "-6 route add 2001:db8:43::/64 nhid 4", "-6 route add 2001:db8:44::/64 nhid 5",
		"-6 route add 2001:db8:45::/64 nhid 6", "-6 route add 2001:db8:46::/64 nhid 3 metric 10", "-6 route add 2001:db8:46::/64 dev eth0 metric 20",
		"-6 route add 2001:db8:47::/64 nhid 1 metric 10", "-6 route add 2001:db8:47::/64 nhid 2 metric 20",
		"-6 route add 2001:db8:48::/64 from 2001:db8:1ab::/64 dev eth1", "-6 route add 2001:db8:48::/64 from 2001:db8::/32 dev eth0 metric 7", "-6 route add throw 2001:db8:49::/64", "-6 route add 2001:db8:49::/48 dev eth0",
	},
	{"-6 route replace default via 2001:db8:1ab:1::2"},
	{"-6 route add default dev eth0 metric 5"},
	{"-6 route add unreachable default metric 1"},
	{
		"-6 rule add pref 100 fwmark 0x7/0xf lookup 77", "-6 route add 2001:db8:20::/64 dev eth0 table 77", "-6 route add throw 2001:db8:28::/64 table 77", "-6 rule add pref 110 to 2001:db8:21::1 blackhole",
		"-6 rule add pref 120 from 2001:db8:1ab:1::/64 lookup 78", "-6 route add 2001:db8:20::/60 dev eth0 table 78", "-6 rule add pref 130 tos 0x08 prohibit", "-6 rule add pref 140 iif eth0 unreachable",
		"-6 rule add pref 141 not from 2000::/3 to 2001:db8:40::/64 unreachable", "-6 rule add pref 150 lookup main suppress_prefixlength 0", "-6 rule add pref 160 to 2001:db8:2a::/64 goto 180", "-6 rule add pref 170 to 2001:db8:2c::/64 lookup 79",
		"-6 rule add pref 180 nop", "-6 rule add pref 190 ipproto tcp unreachable", "-6 rule add pref 191 sport 5000 unreachable", "-6 rule add pref 192 oif eth1 to 2001:db8:1ab:1::/64 unreachable",
		"-6 rule add pref 193 from 2001:db8:1ab::77 ipproto udp to 2001:db8:ffff::/48 lookup 80", "-6 route add default dev eth0 table 80", "-6 rule add pref 194 uidrange 1-100 unreachable",
	},
	{"-6 rule add pref 90 lookup 80 suppress_ifgroup 0", "-6 rule add pref 91 iif lo to 2001:db8:1ab::/64 lookup 80", "-6 rule add pref 92 to 2001:db8:24::/64 unreachable", "-6 rule add pref 93 ipproto udp to 2001:db8:22::/64 lookup 80"},
	{"-6 rule del pref 0"},
	{"link set eth1 down"},
}

// reverseLab is what a family is asked.
type reverseLab struct {
	family  packet.Family
	routes  [][]string
	sources []string
	rests   []string // of packets, behind their source
}

var reverseLabs = []reverseLab{
	{
		packet.IPv4, reverseRoutes,
		[]string{
			"198.18.0.2", "198.18.1.2", "198.18.0.1", "198.18.1.77", "203.0.113.1", "203.0.113.8", "203.0.113.63", "203.0.113.64", "203.0.113.130", "203.0.113.161",
			"203.0.113.193", "203.0.113.225", "198.51.100.7", "198.51.100.8", "198.51.100.129", "192.0.2.1", "192.0.2.17", "192.0.2.33", "192.0.2.65", "192.0.2.81",
			"192.0.2.241", "8.8.8.8", "198.18.0.255",
		},
		[]string{"198.18.0.1:9 in eth0", "198.18.1.1:9 in eth1", "198.18.0.1:7 in eth0", "198.18.1.1:9 tos 0x10 in eth0", "198.18.0.1:9 tos 0x08 in eth1", "198.18.1.1:9 tos 0x50 in eth0", "255.255.255.255:9 in eth0"},
	},
	{
		packet.IPv6, reverseRoutes6,
		[]string{
			"2001:db8:1ab::2", "2001:db8:1ab:1::2", "2001:db8:1ab::1", "2001:db8:1ab:1::77", "2001:db8:20::1", "2001:db8:21::1", "2001:db8:22::1", "2001:db8:23::1", "2001:db8:24::1",
			"2001:db8:25::1", "2001:db8:26::1", "2001:db8:27::1", "2001:db8:28::1", "2001:db8:29::1", "2001:db8:2a::1", "2001:db8:2b::1", "2001:db8:2c::1", "2001:db8:2d::1", "2001:db8:2e::1",
			"2001:db8:30::1", "2001:db8:31::1", "2001:db8:32::1", "2001:db8:33::1", "2001:db8:40::1", "2001:db8:41::1", "2001:db8:42::1", "2001:db8:43::1", "2001:db8:44::1", "2001:db8:45::1", "2001:db8:46::1",
			"2001:db8:47::1", "2001:db8:ffff::1", "fe80::2", "fe80::77", "2001:db8:48::1", "2001:db8:49::1", "::192.0.2.1",
		},
		[]string{
			"[2001:db8:1ab::1]:9 in eth0", "[2001:db8:1ab:1::1]:9 in eth1", "[2001:db8:1ab::1]:7 in eth0", "[2001:db8:1ab:1::1]:9 tos 0x10 in eth0", "[2001:db8:1ab::1]:9 tos 0x08 in eth1",
			"[ff02::1]:9 in eth0", "[ff0e::1]:9 in eth1", "[fe80::77]:9 in eth0", "[fe80::78]:9 in eth1", "[fe80::77]:9 in eth1", "[2001:db8:1ab::77]:9 in eth0", "[2001:db8:8::1]:9 in eth1",
		},
	},
}

// TestReversePaths asks for the way back to many sources, with all options, as the kernel does.
func TestReversePaths(t *testing.T) {
	for _, r := range reverseLabs {
		t.Run(r.family.String(), r.run)
	}
}

// reverseRules count what has a way back, for each source by itself.
func reverseRules(sources []string) string {
	var b strings.Builder
	b.WriteString("*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:ask - [0:0]\n")
	for i, s := range sources {
		fmt.Fprintf(&b, ":s%d - [0:0]\n-A ask -s %s -j s%d\n", i, s, i)
	}
	b.WriteString("-A PREROUTING -p udp -m udp --dport 7 -j MARK --set-xmark 0x17/0xff\n-A PREROUTING -p udp -j ask\n")
	for i := range sources {
		for options := range 8 {
			text := ""
			for bit, o := range []string{" --loose", " --validmark", " --accept-local"} {
				if options>>bit&1 != 0 {
					text += o
				}
			}
			fmt.Fprintf(&b, "-A s%d -m rpfilter%s\n", i, text)
		}
		fmt.Fprintf(&b, "-A s%d -m rpfilter --invert\n", i)
	}
	return b.String() + "COMMIT\n"
}

func (r reverseLab) run(t *testing.T) {
	p := loaded(t, r.family, reverseRules(r.sources))
	for i, group := range r.routes {
		for _, s := range []*side{p.ref, p.ours} {
			for _, command := range group {
				args := append([]string{"-n", s.lab.Host()}, strings.Fields(command)...)
				if text, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
					t.Fatalf("%s: %v: %s", command, err, text)
				}
			}
		}
		for _, src := range r.sources {
			if r.family == packet.IPv6 {
				src = "[" + src + "]"
			}
			for _, rest := range r.rests {
				if strings.HasPrefix(group[0], "link") && strings.HasSuffix(rest, "eth1") {
					continue
				}
				p.sends(t, "udp "+src+":5000 > "+rest)
			}
		}
		p.counted(t, fmt.Sprintf("group %d", i))
	}
}
