package shim

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

func TestTargets(t *testing.T) {
	table := &plan.Table{Name: "filter", Longest: 1, Hooks: []*plan.Hook{{Hook: packet.Input, Shim: true}, {Hook: packet.Forward}, {Hook: packet.Output, Shim: true}},
		Actions: []plan.Action{
			{Effect: pred.Log{Level: 4, Prefix: "a b "}},
			{Effect: pred.Reject{Reset: true}},
		}}
	got := Text([]*Layout{Targets(packet.IPv4, table, 7, "/pins")})
	want := `*filter
:bpftables7-f - [0:0]
:bpftables7-f-a0 - [0:0]
:bpftables7-f-end - [0:0]
-A INPUT -m bpf --object-pinned /pins/filter-pending -j bpftables7-f
-A OUTPUT -m bpf --object-pinned /pins/filter-pending_out -j bpftables7-f
-A bpftables7-f -j bpftables7-f-a0
-A bpftables7-f -m bpf --object-pinned /pins/filter-done -g bpftables7-f-end
-A bpftables7-f -j bpftables7-f-a0
-A bpftables7-f -m bpf --object-pinned /pins/filter-done -g bpftables7-f-end
-A bpftables7-f -j DROP
-A bpftables7-f-a0 -m bpf --object-pinned /pins/filter-take-is-0 -j LOG --log-prefix "a b "
-A bpftables7-f-a0 -p tcp -m bpf --object-pinned /pins/filter-take-is-1 -j REJECT --reject-with tcp-reset
-A bpftables7-f-end -m bpf --object-pinned /pins/filter-drop -j DROP
COMMIT
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if l := Targets(packet.IPv4, &plan.Table{Name: "filter"}, 7, "/pins"); l != nil {
		t.Errorf("a table without actions has a shim: %v", l)
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
:bpftables3-n-b0 - [0:0]
[9:90] -A PREROUTING -m bpf --object-pinned /pins/gen-3/nat-enter-PREROUTING -j bpftables3-n-b0
[9:90] -A bpftables3-n-b0 -j bpftables3-n-0
[5:50] -A bpftables3-n-b0 -j ACCEPT
[4:40] -A bpftables3-n-0 -p tcp -j bpftables3-n-4
[3:30] -A bpftables3-n-4 -j RETURN
COMMIT
`
	got := WholeCounters(saved, "nat", 3, chains)
	if c := got[0]; c.Policy.Packets != 5 || len(c.Rules) != 1 || c.Rules[0].Bytes != 40 {
		t.Errorf("PREROUTING: %+v", c)
	}
	if c := got[4]; len(c.Rules) != 1 || c.Rules[0].Packets != 3 {
		t.Errorf("user: %+v", c)
	}
}

// TestLate: what is said before conntrack and behind it is two chains of ours, and one rule for the tools.
func TestLate(t *testing.T) {
	helper := pred.Track{Helper: "ftp", Proto: 6, Zone: 3}
	table := &plan.Table{Name: "raw", Longest: 1, Hooks: []*plan.Hook{{Hook: packet.Prerouting, Priority: -300, Shim: true}, {Hook: packet.Output, Priority: -300}},
		Actions: []plan.Action{{Effect: pred.NoTrack{}}, {Effect: helper}, {Effect: pred.Track{Zone: 2}}}}
	l := Targets(packet.IPv4, table, 7, "/pins")
	if text := Text([]*Layout{l}); strings.Contains(text, "late") || !strings.Contains(text, "raw-take-is-1 -j CT --helper ftp --zone 3") {
		t.Errorf("for the tools: %s", text)
	}
	chains, err := Own(l)
	if err != nil {
		t.Fatal(err)
	}
	bases := map[string]int32{}
	for _, c := range chains {
		if c.Base != nil {
			bases[c.Name] = c.Base.Priority
		}
	}
	if want := map[string]int32{"bpftables-r-PREROUTING-300": -300, "bpftables-r-PREROUTING-199": BehindConntrack}; !maps.Equal(bases, want) {
		t.Errorf("base chains: %v", bases)
	}
	var kinds []Kind
	for _, p := range l.Programs {
		if p.Kind == Pending && !p.Late {
			t.Error("what an earlier packet has left stays")
		}
		kinds = append(kinds, p.Kind)
	}
	for _, k := range []Kind{TakeLate, LatePending, LateBit, LateDone} {
		if !slices.Contains(kinds, k) {
			t.Errorf("there is no program %q", k)
		}
	}
	table.Actions[1].Effect = pred.Track{Timeout: "slow", Proto: 6}
	if l := Targets(packet.IPv4, table, 7, "/pins"); len(l.Late.Entries) > 0 {
		t.Error("nothing is ended behind conntrack, and there are chains for it")
	} else if _, err := Own(l); err == nil {
		t.Error("a timeout policy is told in nf_tables")
	}
}
