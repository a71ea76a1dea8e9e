package conformance

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/conformance/lab"
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

// TestReversePaths asks for the way back to many sources, with all options, as the kernel does.
func TestReversePaths(t *testing.T) {
	needRoot(t)
	a, err := ours()
	if err != nil {
		t.Fatal(err)
	}
	want, got := reverseRun(t, lab.Legacy{}), reverseRun(t, a)
	for i := range want {
		diffs, counted := compareSaved(want[i], got[i])
		for _, d := range diffs {
			t.Errorf("group %d: %s", i, d)
		}
		if counted == 0 {
			t.Error("nothing was counted")
		}
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

func reverseRun(t *testing.T, a lab.Applier) (out []saved) {
	t.Helper()
	l, err := lab.New(lab.Options{Interfaces: []string{"eth0", "eth1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	defer a.Clear(l.Host())
	sources := []string{
		"198.18.0.2", "198.18.1.2", "198.18.0.1", "198.18.1.77", "203.0.113.1", "203.0.113.8", "203.0.113.63", "203.0.113.64", "203.0.113.130", "203.0.113.161",
		"203.0.113.193", "203.0.113.225", "198.51.100.7", "198.51.100.8", "198.51.100.129", "192.0.2.1", "192.0.2.17", "192.0.2.33", "192.0.2.65", "192.0.2.81",
		"192.0.2.241", "8.8.8.8", "198.18.0.255",
	}
	if err := a.Apply(l.Host(), packet.IPv4, []byte(reverseRules(sources))); err != nil {
		t.Fatal(err)
	}
	for _, group := range reverseRoutes {
		for _, command := range group {
			args := append([]string{"-n", l.Host()}, strings.Fields(command)...)
			if text, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v: %s", command, err, text)
			}
		}
		for _, src := range sources {
			for _, rest := range []string{"198.18.0.1:9 in eth0", "198.18.1.1:9 in eth1", "198.18.0.1:7 in eth0", "198.18.1.1:9 tos 0x10 in eth0", "198.18.0.1:9 tos 0x08 in eth1", "198.18.1.1:9 tos 0x50 in eth0", "255.255.255.255:9 in eth0"} {
				if strings.HasPrefix(group[0], "link") && strings.HasSuffix(rest, "eth1") {
					continue
				}
				p, err := lab.Parse(packet.IPv4, "udp "+src+":5000 > "+rest)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := l.Send(p); err != nil {
					t.Fatal(err)
				}
			}
		}
		text, err := a.Save(l.Host(), packet.IPv4, true)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, readSaved(string(text)))
	}
	return out
}
