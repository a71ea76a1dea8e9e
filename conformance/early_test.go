package conformance

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/compat/tool"
	"github.com/bpftables/bpftables/conformance/gen"
	"github.com/bpftables/bpftables/conformance/lab"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// earlyApplier loads rules with a mode of the early stage and adds up what it drops. Both
// sides of a comparison send without segmentation offload, as native XDP switches it off.
type earlyApplier struct {
	lab.Applier
	path    string
	way     earlyWay
	dropped *uint64
}

// earlyWay is a mode of the early stage and a way of finding rules.
type earlyWay struct{ mode, classifier string }

func (w earlyWay) String() string { return w.mode + "-" + w.classifier }

// earlyWays has each mode, each with rules as code and looked up.
var earlyWays = []earlyWay{
	{"xdp", "code"}, {"xdp", "tuples"}, {"tcx", "auto"}, {"tcx", "tree"}, {"exact", "code"}, {"exact", "tuples"}, {"xdp", "tree"},
}

func (a earlyApplier) Apply(netns string, family packet.Family, text []byte) error {
	for _, outside := range []string{"c", "s"} {
		peers(strings.TrimSuffix(netns, "h") + outside)
	}
	if a.path == "" {
		return a.Applier.Apply(netns, family, text)
	}
	args := []string{"netns", "exec", netns, a.path, "restore", "-c", "-w", "--early", a.way.mode, "--classifier", a.way.classifier}
	if family == packet.IPv6 {
		args = append(args, "-6")
	}
	cmd := exec.Command("ip", args...)
	cmd.Stdin = strings.NewReader(string(text))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// peers switches segmentation off at the far ends of a lab's interfaces. Where there
// are fewer interfaces, there is nothing to switch.
func peers(netns string) {
	for i := range 8 {
		_ = exec.Command("ip", "netns", "exec", netns, "ethtool", "-K", fmt.Sprintf("peer%d", i), "gso", "off", "tso", "off").Run()
	}
}

func (a earlyApplier) Clear(netns string) error {
	if a.path != "" {
		n, err := earlyDropped(a.path, netns)
		if err != nil {
			return err
		}
		*a.dropped += n
	}
	return a.Applier.Clear(netns)
}

// earlyDropped asks the status of a namespace.
func earlyDropped(path, netns string) (uint64, error) {
	out, err := exec.Command("ip", "netns", "exec", netns, path, "status", "--json").Output()
	if err != nil {
		return 0, err
	}
	var status struct {
		Families []struct {
			Early *struct {
				Off, Routes, Expects string
				Dropped              uint64
			}
		}
	}
	if err := json.Unmarshal(out, &status); err != nil {
		return 0, err
	}
	n := uint64(0)
	for _, f := range status.Families {
		if f.Early == nil {
			continue
		}
		n += f.Early.Dropped
		if f.Early.Off != "" || f.Early.Routes != "" || f.Early.Expects != "" {
			return n, fmt.Errorf("the early stage does not work: %+v", f.Early)
		}
	}
	return n, nil
}

// statefulRules are what hosts and routers usually have.
var statefulRules = map[string]string{
	"host.v4": `*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -m conntrack --ctstate INVALID -j DROP
-A INPUT -p tcp -m multiport --dports 22,80,443 --syn -j ACCEPT
-A INPUT -p icmp --icmp-type 8 -j ACCEPT
-A INPUT -p udp --dport 53
-A INPUT -s 198.18.0.0/25 -p udp -j DROP
COMMIT
`,
	"router.v4": `*raw
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A PREROUTING -s 203.0.113.0/24 -j DROP
-A PREROUTING -p udp --sport 19 -j DROP
COMMIT
*mangle
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A PREROUTING -p tcp ! --syn -m conntrack --ctstate NEW -j DROP
-A FORWARD -p udp -m udp --dport 137:139 -j DROP
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A PREROUTING -i eth0 -p tcp --dport 8080 -j DNAT --to-destination 198.18.1.2:80
-A POSTROUTING -o eth1 -p tcp -j MASQUERADE
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:services - [0:0]
:scan - [0:0]
-A INPUT -m state --state ESTABLISHED,RELATED -j ACCEPT
-A INPUT -p tcp -j scan
-A INPUT -j services
-A INPUT -j DROP
-A FORWARD -m state --state ESTABLISHED,RELATED -j ACCEPT
-A FORWARD -i eth0 -p tcp --dport 22 -j DROP
-A FORWARD -p udp -m ttl --ttl-lt 64 -m udp --dport 1024:30000 -j DROP
-A FORWARD -i eth0 -o eth1 -p tcp --dport 443 -j ACCEPT
-A FORWARD -p udp -g services
-A services -p tcp --dport 22 -j ACCEPT
-A services -p udp --dport 53 -j RETURN
-A services -p udp -j DROP
-A scan -p tcp --tcp-flags ALL NONE -j DROP
-A scan -p tcp --tcp-flags SYN,FIN SYN,FIN -j DROP
-A scan -m length --length 40:60
COMMIT
`,
	"docker.v4": `*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 198.18.1.0/24 ! -o eth1 -j MASQUERADE
-A DOCKER -i eth1 -j RETURN
-A DOCKER ! -i eth1 -p tcp --dport 8080 -j DNAT --to-destination 198.18.1.2:80
COMMIT
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -p tcp --dport 22 -j ACCEPT
-A FORWARD -i eth0 -p udp -j DROP
-A FORWARD -o eth1 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT
`,
	"host.v6": `*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -m conntrack --ctstate INVALID -j DROP
-A INPUT -p ipv6-icmp -j ACCEPT
-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
-A FORWARD -m conntrack --ctstate NEW -p udp -j DROP
-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT
`,
}

func TestEarlyStateful(t *testing.T) {
	needRoot(t)
	for title, text := range statefulRules {
		family := packet.IPv4
		if strings.HasSuffix(title, "6") {
			family = packet.IPv6
		}
		for _, way := range earlyWays {
			t.Run(title+"/"+way.String(), func(t *testing.T) {
				n := earlyJudge(t, way, Options{Title: title, Family: family, Text: []byte(text), Packets: number(*packets, 250, 2000), Seed: *seed})
				if n == 0 {
					t.Error("nothing was dropped early")
				}
			})
		}
	}
}

func TestEarlyRandom(t *testing.T) {
	needRoot(t)
	total := uint64(0)
	for i := range int64(number(*random, 14, 200)) {
		r := rand.New(rand.NewSource(*seed*3_000_000 + i))
		family := []packet.Family{packet.IPv4, packet.IPv6}[i%2]
		way := earlyWays[i/2%int64(len(earlyWays))]
		total += earlyJudge(t, way, Options{Title: fmt.Sprintf("random %d of seed %d, %s", i, *seed, way), Family: family,
			Text: []byte(gen.Ruleset(r, family)), Packets: number(*packets, 150, 300), Seed: *seed + i})
	}
	if total == 0 {
		t.Error("nothing was dropped early")
	}
}

// earlyJudge compares the early stage with netfilter and gives how many packets it
// dropped.
func earlyJudge(t *testing.T, way earlyWay, o Options) uint64 {
	t.Helper()
	t.Setenv(tool.VariantEnv, "legacy") // tables of iptables-nft switch the early stage off
	a, err := ours()
	if err != nil {
		t.Fatal(err)
	}
	path, dropped := a.(lab.Command).Path, uint64(0)
	o.Ours = earlyApplier{Applier: a, path: path, way: way, dropped: &dropped}
	o.Reference = earlyApplier{Applier: lab.Legacy{}}
	r, err := Verify(o)
	if err != nil {
		t.Fatalf("%s: %v", o.Title, err)
	}
	t.Logf("%s: %s, %d dropped early", o.Title, r.Summary(), dropped)
	// The NAPI of a veth with native XDP takes part of a burst when the lab looks no more. Where the
	// rules let nothing of that out, only counters tell.
	if way.mode == "xdp" && slices.ContainsFunc(r.Differences, func(d Difference) bool { return strings.Contains(d.Where, "@gso") }) {
		return dropped
	}
	split := slices.ContainsFunc(r.Case.Packets, func(p *lab.Packet) bool { return p.GSO > 0 })
	if way.mode == "xdp" && split && !slices.ContainsFunc(r.Differences, func(d Difference) bool { return d.Kind != "counter" }) {
		return dropped
	}
	for i, d := range r.Differences {
		if i == 5 {
			t.Errorf("%s: %d more differences", o.Title, len(r.Differences)-i)
			break
		}
		t.Errorf("%s: %s", o.Title, d)
	}
	return dropped
}
