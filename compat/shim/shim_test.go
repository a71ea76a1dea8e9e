package shim

import (
	"testing"

	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

func TestTargets(t *testing.T) {
	table := &plan.Table{Name: "filter", Passes: 2, Hooks: []*plan.Hook{{Hook: packet.Input, Shim: true}, {Hook: packet.Forward}, {Hook: packet.Output, Shim: true}},
		Actions: []plan.Action{
			{Effect: pred.Log{Level: 4, Prefix: "a b "}},
			{Effect: pred.Reject{Reset: true}},
		}}
	got := Text([]*Layout{Targets(packet.IPv4, table, 7, "/pins")})
	want := `*filter
:bpftables7-f - [0:0]
:bpftables7-f-a0-2 - [0:0]
-A INPUT -m bpf --object-pinned /pins/filter-pending -j bpftables7-f
-A OUTPUT -m bpf --object-pinned /pins/filter-pending_out -j bpftables7-f
-A bpftables7-f -j bpftables7-f-a0-2
-A bpftables7-f -m bpf --object-pinned /pins/filter-range-0-65535 -j bpftables7-f-a0-2
-A bpftables7-f -m bpf --object-pinned /pins/filter-left -j DROP
-A bpftables7-f -m bpf --object-pinned /pins/filter-drop -j DROP
-A bpftables7-f-a0-2 -m bpf --object-pinned /pins/filter-take-0-0 -j LOG --log-prefix "a b "
-A bpftables7-f-a0-2 -p tcp -m bpf --object-pinned /pins/filter-take-1-1 -j REJECT --reject-with tcp-reset
COMMIT
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if l := Targets(packet.IPv4, &plan.Table{Name: "filter"}, 7, "/pins"); l != nil {
		t.Errorf("a table without actions has a shim: %v", l)
	}
}

// Many targets are found by a tree: no chain has more than fanout rules.
func TestTreeOfTargets(t *testing.T) {
	table := &plan.Table{Name: "filter", Passes: 1}
	for range 1000 {
		table.Actions = append(table.Actions, plan.Action{Effect: pred.Log{}})
	}
	rules, takes := map[string]int{}, 0
	for _, c := range Targets(packet.IPv4, table, 1, "/pins").Chains {
		rules[c.Name] = len(c.Rules)
		for _, r := range c.Rules {
			if r.Effect != nil {
				takes++
			}
		}
	}
	for chain, n := range rules {
		if n > fanout {
			t.Errorf("chain %s has %d rules", chain, n)
		}
	}
	if takes != 1000 {
		t.Errorf("%d targets, want 1000", takes)
	}
}

const savedTable = `*filter
:INPUT DROP [1:2]
:FORWARD ACCEPT [0:0]
:bpftables7 - [0:0]
:bpftables8 - [0:0]
:mine - [0:0]
[1:10] -A INPUT -m bpf --object-pinned /pins/gen-7/filter-pending -j bpftables7
[2:20] -A INPUT -p tcp -j mine
[3:30] -A INPUT -m bpf --object-pinned /pins/gen-8/filter-pending -j bpftables8
[4:40] -A INPUT -p udp -j DROP
[0:0] -A mine -j RETURN
COMMIT
`

func TestRemoval(t *testing.T) {
	for _, c := range []struct {
		name, got, want string
	}{
		{"all but 8", Removal("filter", savedTable, "/pins", 8), "*filter\n-D INPUT 1\n-F bpftables7\n-X bpftables7\nCOMMIT\n"},
		{"all", Removal("filter", savedTable, "/pins", 0), "*filter\n-D INPUT 3\n-D INPUT 1\n-F bpftables7\n-F bpftables8\n-X bpftables7\n-X bpftables8\nCOMMIT\n"},
		{"nothing", Removal("filter", "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n", "/pins", 0), ""},
		{"others' rules", RemoveForeign("filter", savedTable, "/pins"), "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n-D INPUT 4\n-D INPUT 2\n-F mine\n-X mine\nCOMMIT\n"},
	} {
		if c.got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, c.got, c.want)
		}
	}
	if !Foreign(savedTable, "/pins") || Foreign("*filter\n:INPUT ACCEPT [5:5]\n:bpftables7 - [0:0]\nCOMMIT\n", "/pins") {
		t.Error("Foreign does not tell others' rules from ours")
	}
}

func TestWholeCounters(t *testing.T) {
	chains := []string{"PREROUTING", "INPUT", "OUTPUT", "POSTROUTING", "user"}
	saved := `*nat
:PREROUTING ACCEPT [0:0]
:bpftables3-n-0 - [0:0]
:bpftables3-n-4 - [0:0]
[9:90] -A PREROUTING -m bpf --object-pinned /pins/gen-3/nat-active_gen -j bpftables3-n-0
[5:50] -A PREROUTING -m bpf --object-pinned /pins/gen-3/nat-active_gen -j ACCEPT
[4:40] -A bpftables3-n-0 -p tcp -j bpftables3-n-4
[3:30] -A bpftables3-n-4 -j RETURN
COMMIT
`
	got := WholeCounters(saved, "nat", 3, chains, "/pins")
	if c := got[0]; c.Policy.Packets != 5 || len(c.Rules) != 1 || c.Rules[0].Bytes != 40 {
		t.Errorf("PREROUTING: %+v", c)
	}
	if c := got[4]; len(c.Rules) != 1 || c.Rules[0].Packets != 3 {
		t.Errorf("user: %+v", c)
	}
}
