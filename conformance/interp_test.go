package conformance

import (
	"fmt"
	"math/rand"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/conformance/gen"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/interp"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// TestInterp: running rules by what their matches say and by what they are lowered
// to gives the same way through every table, rule by rule.
func TestInterp(t *testing.T) {
	for i := range int64(60) {
		r := rand.New(rand.NewSource(*seed*1000 + i))
		family := []packet.Family{packet.IPv4, packet.IPv6}[i%2]
		text := gen.Ruleset(r, family)
		rs, _, err := iptables.Read(strings.NewReader(text), iptables.Options{Family: family, Resolver: iptables.NewResolver()})
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		d := gen.New(family, text, []string{"eth0", "eth1", "wlan0"}, i)
		for range 60 {
			for _, p := range d.Draw() {
				walkBoth(t, rs, everywhere(r, p.Facts))
			}
		}
	}
}

// everywhere gives a drawn packet some hook, state and connection.
func everywhere(r *rand.Rand, f *packet.Facts) *packet.Facts {
	c := *f
	switch r.Intn(3) {
	case 0:
		c.Hook, c.In.Name, c.Out.Name = packet.Forward, "eth0", "eth1"
	case 1:
		c.Hook, c.In.Name, c.Out.Name = packet.Output, "", "eth1"
	}
	c.CtState = []uint32{packet.CtNew, packet.CtEstablished, packet.CtRelated, packet.CtInvalid, packet.CtUntracked}[r.Intn(5)]
	if c.CtState&(packet.CtInvalid|packet.CtUntracked) != 0 {
		c.Conn = nil
	}
	return &c
}

func walkBoth(t *testing.T, rs *ruleset.Ruleset, f *packet.Facts) {
	t.Helper()
	byEval, byLower := walkText(rs, f, interp.ByEval), walkText(rs, f, interp.ByLower)
	if byEval != byLower {
		t.Fatalf("%s\nby Eval:\n%s\nby Lower:\n%s", f, byEval, byLower)
	}
}

func walkText(rs *ruleset.Ruleset, f *packet.Facts, mode interp.Mode) string {
	var out strings.Builder
	for _, stop := range interp.Walk(rs, f, mode) {
		fmt.Fprintf(&out, "%s %s\n", stop.Table, stop.Hook)
		for _, s := range stop.Result.Steps {
			fmt.Fprintf(&out, "  %s\n", s)
		}
		if stop.Why == "" {
			fmt.Fprintf(&out, "  %s mark %#x\n", stop.Result.Verdict, stop.Result.Facts.Mark)
		}
	}
	return out.String()
}
