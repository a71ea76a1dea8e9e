package match_test

import (
	"testing"

	"github.com/bpftables/bpftables/ruleset/match/rows"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// TestLowerOnAllPackets asks the rule of every row about the packets of all rows of
// its family: Eval and pred.Eval of Lower must agree, whatever word the packet was
// written for. Stateful words start anew for each packet.
func TestLowerOnAllPackets(t *testing.T) {
	all, err := rows.Load("testdata")
	if err != nil {
		t.Fatal(err)
	}
	packets := map[packet.Family][]*packet.Facts{}
	seen := map[string]bool{}
	for _, r := range all {
		for _, p := range r.Packets {
			if key := r.Family.String() + p.Text; !seen[key] {
				seen[key] = true
				f, err := packet.Parse(r.Family, p.Text)
				if err != nil {
					t.Fatal(err)
				}
				packets[r.Family] = append(packets[r.Family], f)
			}
		}
	}
	for _, r := range all {
		rule, err := parse(r, r.Rule)
		if err != nil {
			continue // TestRows tells
		}
		lowered, reason := r.Lower(rule)
		if reason != "" {
			continue
		}
		for _, f := range packets[r.Family] {
			f.World.State = map[any]any{}
			want := rows.Eval(rule, f)
			f.World.State = map[any]any{}
			if got := pred.Eval(lowered, f); got != want {
				t.Errorf("%s: %s: Eval says %v, Lower %v: %+v", r.Pos, r.Rule, want, got, f)
			}
		}
	}
}
