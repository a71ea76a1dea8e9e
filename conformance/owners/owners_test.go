// Package owners judges rules of two owners of both families against the same rules in nft,
// packet by packet. fence is an owner with a language of its own.
package owners

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/bpftables/bpftables/conformance/lab"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// addresses is how many addresses the owner drops, in each family.
const addresses = 10_000

// program builds fence, with build tags.
func program(t *testing.T, tags string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("REQUIRE_KERNEL") != "" {
			t.Fatal("needs root")
		}
		t.Skip("needs root")
	}
	file := filepath.Join(t.TempDir(), "fence")
	if out, err := exec.Command("go", "build", "-tags", tags, "-o", file, "./fence/command").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return file
}

func newLab(t *testing.T) *lab.Lab {
	t.Helper()
	l, err := lab.New(lab.Options{})
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

func inside(t *testing.T, l *lab.Lab, stdin string, args ...string) string {
	t.Helper()
	out, err := try(l, nil, stdin, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func try(l *lab.Lab, env []string, stdin string, args ...string) (string, error) {
	cmd := exec.Command("ip", append([]string{"netns", "exec", l.Host()}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Env = append(os.Environ(), append(env, "BPFTABLES_IPTABLES=legacy")...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%v: %w: %s", args, err, &stderr)
	}
	return string(out), err
}

// host is the owners' rules in one namespace and the same rules of nft in another.
type host struct {
	*testing.T
	fence     string
	ours, nft *lab.Lab
}

func newHost(t *testing.T, tags string) *host {
	h := &host{T: t, fence: program(t, tags), ours: newLab(t), nft: newLab(t)}
	t.Cleanup(func() {
		for _, f := range []string{"ipv4", "ipv6"} {
			if _, err := try(h.ours, nil, "", h.fence, "remove", f); err != nil {
				t.Error(err)
			}
		}
	})
	return h
}

// fenceRules are the owner's: chains at odd priorities around those of iptables. port is one that
// is dropped where nothing of iptables stands before; first tells which addresses are dropped.
func fenceRules(port, first int) string { return rulesOf(port, first, addresses) }

func rulesOf(port, first, many int) string {
	var b strings.Builder
	for _, f := range []string{"ipv4", "ipv6"} {
		fmt.Fprintf(&b, "%s guard early input -7 accept\n%s guard early udp 1001 accept continue\n", f, f)
		fmt.Fprintf(&b, "%s guard late input 3 accept\n%s guard late udp %d drop -\n", f, f, port)
		fmt.Fprintf(&b, "%s guard out output 300 accept\n%s guard out udp 1003 drop -\n", f, f)
		fmt.Fprintf(&b, "%s guard pass forward 300 drop\n", f)
		fmt.Fprintf(&b, "%s guard early udp 1004 mark -\n%s guard late udp 1006 reject -\n", f, f)
		fmt.Fprintf(&b, "%s guard out udp 1005 reject -\n%s guard out udp 1007 mark -\n%s guard pass udp 1004 mark -\n%s guard pass udp 1004 accept -\n", f, f, f, f)
		fmt.Fprintf(&b, "%s guard last postrouting -7 accept\n%s guard last udp 1006 drop -\n", f, f)
		var elements []string
		for i := range many {
			elements = append(elements, bad(f, first+i).String())
		}
		fmt.Fprintf(&b, "%s set bad_%s addr %d %s\n%s guard early in bad_%s drop\n", f, f, addresses, strings.Join(elements, ","), f, f)
	}
	return tidy(b.String())
}

// tidy takes the filling words out: a rule has six.
func tidy(text string) string {
	return strings.NewReplacer("accept continue", "continue", "drop -", "drop", "accept -", "accept", "mark -", "mark", "reject -", "reject").Replace(text)
}

// bad are the addresses that are dropped: some are those of senders in the lab.
func bad(family string, i int) netip.Addr {
	n := byte(i%200 + 50)
	if i%2 == 0 && i < 200 {
		return lab.Address(0, family == "ipv6", n)
	}
	if family == "ipv6" {
		return netip.MustParseAddr(fmt.Sprintf("2001:db8:ffff::%x", i+1))
	}
	return netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)})
}

// nftOf is the same as text of nft.
func nftOf(fence string) string {
	var b strings.Builder
	families := map[string]string{"ipv4": "ip", "ipv6": "ip6"}
	made := map[string]bool{}
	for _, line := range strings.Split(strings.TrimSpace(fence), "\n") {
		w := strings.Fields(line)
		f, table, chain := families[w[0]], w[1], w[2]
		if table != "set" && !made[f+table] {
			made[f+table] = true
			fmt.Fprintf(&b, "add table %s %s\n", f, table)
		}
		verdict := strings.NewReplacer("mark", "meta mark set 7").Replace(w[len(w)-1])
		switch {
		case table == "set":
			fmt.Fprintf(&b, "add table %s guard\nadd set %s guard %s { type %s_addr; }\n", f, f, chain, w[0])
			fmt.Fprintf(&b, "add element %s guard %s { %s }\n", f, chain, w[5])
		case !made[f+table+chain]:
			made[f+table+chain] = true
			fmt.Fprintf(&b, "add chain %s %s %s { type filter hook %s priority %s; policy %s; }\n", f, table, chain, w[3], w[4], w[5])
		case w[3] == "in":
			fmt.Fprintf(&b, "add rule %s %s %s %s saddr @%s counter %s\n", f, table, chain, f, w[4], verdict)
		case w[3] == "udp":
			fmt.Fprintf(&b, "add rule %s %s %s udp dport %s counter %s\n", f, table, chain, w[4], verdict)
		default:
			fmt.Fprintf(&b, "add rule %s %s %s %s %s %s counter %s\n", f, table, chain, f, w[3], w[4], verdict)
		}
	}
	return b.String()
}

// nothing takes the rules out of nft; those with which the lab looks at packets stay.
const nothing = "add table ip guard\ndelete table ip guard\nadd table ip6 guard\ndelete table ip6 guard\n"

// iptablesRules are those of the other owner; its third port tells accept from drop at 0.
const iptablesRules = `*filter
:INPUT ACCEPT [0:0]
-A INPUT -p udp --dport 1005 -j DROP
-A INPUT -p udp --dport 1002 -j ACCEPT
-A OUTPUT -p udp --dport 1003 -j ACCEPT
-A FORWARD -p udp --dport 1006 -j ACCEPT
COMMIT
`

// load gives both namespaces the rules of both owners.
func (h *host) load(fence, iptables string) {
	h.Helper()
	inside(h.T, h.ours, fence, h.fence, "apply")
	inside(h.T, h.nft, nothing+nftOf(fence), "nft", "-f", "-")
	h.iptables(iptables)
}

func (h *host) iptables(rules string) {
	h.Helper()
	for _, f := range []string{"ipv4", "ipv6"} {
		inside(h.T, h.ours, rules, h.fence, "restore", f)
		tool := map[string]string{"ipv4": "iptables-legacy-restore", "ipv6": "ip6tables-legacy-restore"}[f]
		inside(h.T, h.nft, rules, tool, "-w")
	}
}

// judge sends the same packets into both namespaces and compares what becomes of them.
func (h *host) judge(when string) {
	h.Helper()
	delivered := 0
	for _, family := range []packet.Family{packet.IPv4, packet.IPv6} {
		for _, text := range packets(family) {
			p, err := lab.Parse(family, text)
			if err != nil {
				h.Fatal(err)
			}
			got, want := seen(h.T, h.ours, p), seen(h.T, h.nft, p)
			if got != want {
				h.Errorf("%s: %s\n%s\nnft and iptables:\n%s", when, text, got, want)
			}
			if strings.Contains(want, "input") || strings.Contains(want, "server") {
				delivered++
			}
		}
	}
	if delivered == 0 {
		h.Errorf("%s: no packet arrived anywhere", when)
	}
}

// packets go into the host, through it and out of it.
func packets(family packet.Family) []string {
	six := family == packet.IPv6
	at := func(i int, n byte) string {
		a := lab.Address(i, six, n)
		if six {
			return "[" + a.String() + "]"
		}
		return a.String()
	}
	var out []string
	for port := 1001; port <= 1007; port++ {
		for _, from := range []byte{50, 51, 60, 249} {
			out = append(out, fmt.Sprintf("udp %s:5000 > %s:%d in eth0", at(0, from), at(0, 1), port))
		}
		out = append(out, fmt.Sprintf("udp %s:5000 > %s:%d in eth0", at(0, 51), at(1, 77), port),
			fmt.Sprintf("udp %s:5000 > %s:%d out eth1", at(1, 1), at(1, 77), port))
	}
	return out
}

func seen(t *testing.T, l *lab.Lab, p *lab.Packet) string {
	t.Helper()
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

// rules are fence's, without counters.
func (h *host) rules() string {
	h.Helper()
	var out []string
	for _, line := range strings.Split(strings.TrimSpace(inside(h.T, h.ours, "", h.fence, "list")), "\n") {
		out = append(out, line[:max(strings.LastIndexByte(line, ' '), 0)])
	}
	return strings.Join(out, "\n")
}

// TestOwners judges the rules of two owners while each changes and flushes its own.
func TestOwners(t *testing.T) {
	h := newHost(t, "")
	h.load(fenceRules(1002, 0), iptablesRules)
	h.judge("both owners")
	inside(t, h.ours, "", "nft", "delete", "table", "ip", "bpftables")
	h.iptables(iptablesRules)
	h.judge("what netfilter runs for fence was removed and put back")
	first := h.rules()
	if n := strings.Count(first, "\n") + 1; n != 2*17 {
		t.Errorf("fence has %d lines", n)
	}
	h.iptables("*filter\n:INPUT DROP [0:0]\n-A INPUT -p udp --dport 1001 -j ACCEPT\nCOMMIT\n")
	h.judge("iptables has changed its rules")
	if h.rules() != first {
		t.Error("fence's rules are others after a change of iptables'")
	}
	h.iptables("*filter\nCOMMIT\n")
	h.judge("iptables has none")
	h.load(fenceRules(1007, 1), iptablesRules)
	h.judge("fence has changed its rules")
	inside(t, h.ours, "", h.fence, "apply")
	inside(t, h.nft, nothing, "nft", "-f", "-")
	h.judge("fence has none")
}

// TestOthersAreShown: status and explain show the chains of all owners in the order in which a
// packet meets them, although the program cannot read the rules of all.
func TestOthersAreShown(t *testing.T) {
	h := newHost(t, "")
	h.load(small(1002, 0), iptablesRules)
	bpftables := filepath.Join(t.TempDir(), "bpftables")
	if out, err := exec.Command("go", "build", "-o", bpftables, "../../cmd/bpftables").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	status := inside(t, h.ours, "", bpftables, "status")
	for _, want := range []string{
		"    INPUT: -7 fence/guard early, 0 filter, 3 fence/guard late\n",
		"    POSTROUTING: -7 fence/guard last\n", "  set fence/bad_ipv6 of fence: 200 elements, up to 10000\n",
	} {
		if !strings.Contains(status, want) {
			t.Errorf("status lacks %q:\n%s", want, status)
		}
	}
	explained := inside(t, h.ours, "", bpftables, "explain", "udp 192.0.2.1:5000 > 192.0.2.2:1005 in eth0")
	for _, want := range []string{
		"table fence/guard at INPUT, chain early, priority -7\n  passed over: this program cannot read the rules of fence\ntable filter at INPUT\n",
		"verdict: DROP by table filter, rule 1 of INPUT\n",
	} {
		if !strings.Contains(explained, want) {
			t.Errorf("explain lacks %q:\n%s", want, explained)
		}
	}
}

// TestOwnerKilled kills fence at every step of a change of both families: all of its rules are
// the old ones or all are the new, and iptables' are what they were.
func TestOwnerKilled(t *testing.T) {
	h := newHost(t, "failpoints")
	old, anew := small(1002, 0), small(1007, 1)
	h.load(old, iptablesRules)
	for _, step := range []string{"loaded", "state", "installed", "shims", "held", "conntrack", "announced", "activated", "carried", "cleaned", "retired"} {
		_, err := try(h.ours, []string{"BPFTABLES_FAILPOINT=" + step}, anew, h.fence, "apply")
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Fatalf("%s: %v", step, err)
		}
		is := old
		if step == "announced" || step == "activated" || step == "carried" || step == "cleaned" || step == "retired" {
			is = anew
		}
		h.iptables(iptablesRules) // the next command, of the other owner
		inside(t, h.nft, nothing+nftOf(is), "nft", "-f", "-")
		h.judge("killed at " + step)
		inside(t, h.ours, old, h.fence, "apply")
	}
}

// small is fenceRules with fewer addresses.
func small(port, first int) string { return rulesOf(port, first, 200) }
