package attach_test

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/bpf/attach"
	"github.com/bpftables/bpftables/codegen"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// shims are the match programs of a table with two actions.
func shims() []attach.ShimProgram {
	return []attach.ShimProgram{
		{Name: "pending", Kind: "pending"},
		{Name: "pending-out", Kind: "pending_out"},
		{Name: "take-0", Kind: "take", LeafBits: 1},
		{Name: "take-1", Kind: "take", Leaf: 1, LeafBits: 1},
		{Name: "done", Kind: "done"},
		{Name: "drop", Kind: "drop"},
	}
}

// restore gives rules to one of netfilter's tools.
func restore(t *testing.T, tool, rules string) {
	t.Helper()
	cmd := exec.Command(tool+"-restore", "-n")
	cmd.Stdin = strings.NewReader(rules)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s-restore: %v\n%s", tool, err, out)
	}
}

// shimRules sets a mark (action 0), then rejects (action 1).
func shimRules(chain, pending, pins, reject string, gen uint32) string {
	dir := fmt.Sprintf("%s/gen-%d", pins, gen)
	match := "-m bpf --object-pinned " + dir + "/"
	return strings.Join([]string{
		"*filter", ":shim - [0:0]", ":shim-0 - [0:0]", ":shim-end - [0:0]",
		"-A " + chain + " " + match + pending + " -j shim",
		"-A " + chain + " -m mark --mark 0x17 -j ACCEPT",
		"-A shim -j shim-0",
		"-A shim " + match + "done -g shim-end",
		"-A shim -j shim-0",
		"-A shim " + match + "done -g shim-end",
		"-A shim -j DROP",
		"-A shim-end " + match + "drop -j DROP",
		"-A shim-0 " + match + "take-0 -j MARK --set-mark 0x17",
		"-A shim-0 " + match + "take-1 -j REJECT --reject-with " + reject,
		"COMMIT", "",
	}, "\n")
}

// counted is the packet counter of the first rule that contains a text.
func counted(t *testing.T, tool, text string) string {
	t.Helper()
	for _, line := range strings.Split(run(t, tool+"-save", "-c", "-t", "filter"), "\n") {
		if strings.Contains(line, text) {
			n, _, _ := strings.Cut(strings.TrimPrefix(line, "["), ":")
			return n
		}
	}
	return "no rule " + text
}

func TestShim(t *testing.T) {
	for _, c := range []shimCase{
		{"iptables-legacy", packet.IPv4, "127.0.0.1", "icmp-admin-prohibited"},
		{"iptables-nft", packet.IPv4, "127.0.0.1", "icmp-admin-prohibited"},
		{"ip6tables-legacy", packet.IPv6, "[::1]", "icmp6-adm-prohibited"},
		{"ip6tables-nft", packet.IPv6, "[::1]", "icmp6-adm-prohibited"},
	} {
		for _, hook := range []packet.Hook{packet.Input, packet.Output} {
			t.Run(c.tool+"/"+hook.String(), func(t *testing.T) { testShim(t, c, hook) })
		}
	}
}

// shimCase is one of netfilter's tools.
type shimCase struct {
	tool   string
	family packet.Family
	host   string
	reject string
}

func testShim(t *testing.T, c shimCase, hook packet.Hook) {
	inNamespace(t)
	tool := c.tool
	s := open(t, c.family)
	n, err := s.Next()
	if err != nil {
		t.Fatal(err)
	}
	g, err := s.Load(n, []codegen.Program{dropPort(c.family, "filter", hook, 9, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if err := g.Install(shims()); err != nil {
		t.Fatal(err)
	}
	pending := "pending"
	if hook == packet.Output {
		pending = "pending-out"
	}
	restore(t, tool, shimRules(hook.String(), pending, s.Pins(), c.reject, n))
	free := receiver(t, c.host+":9")
	send(t, c.host+":9", "before")
	expect(t, free, "before")
	if err := g.Activate(); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		err = send(t, c.host+":9", "lost")
	}
	if hook == packet.Output && err == nil {
		t.Error("no error from a rejected packet")
	}
	other := receiver(t, c.host+":10")
	send(t, c.host+":10", "through")
	expect(t, other, "through")
	for _, r := range []struct{ rule, packets string }{
		{"/take-0 -j MARK", "5"}, {"/take-1 -j REJECT", "5"}, {"/drop", "0"},
	} {
		if got := counted(t, tool, r.rule+" "); got != r.packets {
			t.Errorf("%s: %s packets, want %s", r.rule, got, r.packets)
		}
	}
	if n, err := s.OpenNotes(); err != nil || n != 0 {
		t.Errorf("%d notes of local packets are left over (%v)", n, err)
	}
	run(t, tool, "-F")
}
