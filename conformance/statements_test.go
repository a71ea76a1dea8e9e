package conformance

import (
	"errors"
	"fmt"
	"iter"
	"math/rand"
	"testing"

	"github.com/bpftables/bpftables/conformance/gen"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// parts are the rules of a ruleset and what is written behind their effects.
func parts(rs *ruleset.Ruleset) iter.Seq[*ruleset.Rule] {
	return func(yield func(*ruleset.Rule) bool) {
		for _, t := range rs.Tables {
			for _, c := range t.Chains {
				for _, r := range c.Rules {
					for part := range r.Parts() {
						if !yield(part) {
							return
						}
					}
				}
			}
		}
	}
}

// TestStatements: rules with conditions behind effects, and with several effects, do in
// all forms what their statements say one after the other: conditions with a memory, marks
// that are asked for behind their change, jumps and returns among them.
func TestStatements(t *testing.T) {
	needRoot(t)
	judged, long := 0, 0
	for i := int64(0); judged < number(*lookups, 4_000, 500_000) && !t.Failed(); i++ {
		r := rand.New(rand.NewSource(*seed*1_000_000 + i))
		family := []packet.Family{packet.IPv4, packet.IPv6}[i%2]
		fold := func(rs *ruleset.Ruleset) { long += foldRules(r, rs) }
		n, err := sameByAll(t, r, family, gen.Chains(r, family, 5+r.Intn(60)), fmt.Sprintf("seed %d, ruleset %d", *seed, i), fold)
		if errors.Is(err, errNotInBPF) {
			t.Log(err)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		judged += n
	}
	if long == 0 {
		t.Error("no rule has more than one effect")
	}
	t.Logf("%d packets, %d rules with more than one effect", judged, long)
}

// foldRules makes some rules parts of the rule before them, and gives how many.
func foldRules(r *rand.Rand, rs *ruleset.Ruleset) (n int) {
	for _, c := range rs.Tables[0].Chains {
		var out []*ruleset.Rule
		var last *ruleset.Rule // part
		for _, one := range c.Rules {
			if last == nil || r.Intn(3) > 0 || last.Ends() {
				out = append(out, one)
			} else {
				one.Pos = last.Pos
				last.Then = one
				n++
			}
			last = one
		}
		c.Rules = out
	}
	return n
}
