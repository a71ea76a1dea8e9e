package shim

import (
	"maps"
	"net/netip"
	"slices"
	"testing"

	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

// TestGrow: a layout with the chains of a growth in place of those that they replace is the layout of all
// actions, at every number of bits, and where bits begin to be asked for in pairs.
func TestGrow(t *testing.T) {
	for _, c := range []struct{ had, more, longest, then int }{
		{1, 1, 1, 1}, {7, 1, 1, 1}, {8, 1, 2, 2}, {8, 9, 2, 3}, {15, 1, 1, 1}, {16, 1, 1, 2}, {17, 1, 254, 255}, {63, 2, 254, 258},
		{1000, 30, 3, 3}, {1 << 15, 1, 2, 2}, {1<<15 - 1, 2, 2, 2}, {1 << 16, 1, 2, 2}, {1<<16 + 5, 1 << 16, 2, 2},
	} {
		for _, table := range []*plan.Table{natTable(), filterTable()} {
			of := func(n, longest int) *plan.Table {
				out := *table
				out.Longest = longest
				for i := range n {
					out.Actions = append(out.Actions, plan.Action{Effect: table.Actions[0].Effect})
					if len(table.Hooks) > 0 && table.Hooks[0].NAT {
						out.Actions[i] = plan.Action{Effect: pred.NAT{Kind: pred.NATDestination, Min: netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})}}
						if i == 0 || i%1000 == 999 {
							out.Actions[i] = plan.Action{Effect: pred.NAT{Kind: pred.NATMasquerade, Ports: i > 0, Lo: uint16(i), Hi: uint16(i)}}
						}
					}
				}
				out.Actions = out.Actions[:n]
				return &out
			}
			testGrow(t, of(c.had, c.longest), of(c.had+c.more, c.then))
		}
	}
}

func natTable() *plan.Table {
	return &plan.Table{Name: "nat", Actions: []plan.Action{{Effect: pred.NoTrack{}}}, Hooks: []*plan.Hook{
		{Hook: packet.Prerouting, Priority: -100, NAT: true, Shim: true}, {Hook: packet.Input, Priority: 100, NAT: true, Shim: true},
		{Hook: packet.Output, Priority: -100, NAT: true, Shim: true}, {Hook: packet.Postrouting, Priority: 100, NAT: true, Shim: true},
	}}
}

func filterTable() *plan.Table {
	return &plan.Table{Name: "filter", Actions: []plan.Action{{Effect: pred.Log{Level: 4}}}, Hooks: []*plan.Hook{{Hook: packet.Input, Shim: true}, {Hook: packet.Output, Shim: true}}}
}

func testGrow(t *testing.T, from, to *plan.Table) {
	t.Helper()
	told := &Told{Table: to, Had: len(from.Actions), Longest: from.Longest, Effect: func(n int) (pred.Effect, error) { return to.Actions[n].Effect, nil }}
	for _, a := range to.Actions {
		told.Stands = append(told.Stands, Stands(a.Effect))
	}
	was, is := Targets(packet.IPv4, from, 7, "/pins"), Targets(packet.IPv4, to, 7, "/pins")
	growth, can, err := Grow(packet.IPv4, told, 7, "/pins")
	if err != nil {
		t.Fatal(err)
	}
	if !can {
		if sameEntries(was, is) {
			t.Errorf("%s: %d actions become %d: cannot grow", to.Name, len(from.Actions), len(to.Actions))
		}
		return
	}
	chains := map[string][]Rule{}
	for _, c := range was.Chains {
		chains[c.Name] = c.Rules
	}
	for _, c := range growth.Was {
		if rules, is := chains[c.Name]; !is || !slices.Equal(rules, c.Rules) {
			t.Fatalf("%s: %d actions become %d: chain %s was not %v but %v", to.Name, len(from.Actions), len(to.Actions), c.Name, c.Rules, rules)
		}
		delete(chains, c.Name)
	}
	for _, c := range growth.Chains {
		if _, is := chains[c.Name]; is {
			t.Fatalf("%s: %d actions become %d: chain %s is there", to.Name, len(from.Actions), len(to.Actions), c.Name)
		}
		chains[c.Name] = c.Rules
	}
	for _, c := range is.Chains {
		if !slices.Equal(chains[c.Name], c.Rules) {
			t.Fatalf("%s: %d actions become %d: chain %s is %v, want %v", to.Name, len(from.Actions), len(to.Actions), c.Name, chains[c.Name], c.Rules)
		}
		delete(chains, c.Name)
	}
	if len(chains) > 0 {
		t.Errorf("%s: %d actions become %d: left are %v", to.Name, len(from.Actions), len(to.Actions), slices.Sorted(maps.Keys(chains)))
	}
	if n := len(growth.Chains); n > 100+2*(len(to.Actions)-len(from.Actions)) {
		t.Errorf("%s: %d actions become %d: %d chains are written", to.Name, len(from.Actions), len(to.Actions), n)
	}
	there := map[Program]bool{}
	for _, p := range slices.Concat(was.Programs, growth.Programs) {
		there[p] = true
	}
	for _, p := range is.Programs {
		if !there[p] {
			t.Errorf("%s: %d actions become %d: program %s is not there", to.Name, len(from.Actions), len(to.Actions), p.Name)
		}
	}
}

func sameEntries(a, b *Layout) bool {
	return slices.EqualFunc(a.Entries, b.Entries, func(a, b Entry) bool { return a.Chain == b.Chain && slices.Equal(a.Rules, b.Rules) })
}
