package shim

import (
	"testing"

	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

// TestTree follows the bits of numbers: to their targets where they have one, else to none. What nf_tables
// nests is not exceeded, however many there are.
func TestTree(t *testing.T) {
	some := map[int]bool{0: true, 1: true, 5: true, 6: true, 700: true, 1023: true, 1 << 17: true, plan.MaxActions - 1: true}
	every := func(int) bool { return true }
	for _, c := range []struct {
		name string
		n    int
		has  func(int) bool
	}{
		{"one", 1, every}, {"a leaf", plan.Leaf, every}, {"more", plan.Leaf + 1, every}, {"1024", 1024, every}, {"65536", 1 << 16, every},
		{"most", plan.MaxActions, every}, {"few of most", plan.MaxActions, func(n int) bool { return some[n] }},
		{"odd", 1 << 17, func(n int) bool { return n%2 == 1 }},
	} {
		w := walkOf(c.n, c.has)
		step := max(1, c.n/4099)
		for n := 0; n < c.n; n += step {
			want := pred.Effect(nil)
			if c.has(n) {
				want = priority(n)
			}
			if met := w.walk(n); len(met) > 1 || len(met) == 1 && met[0] != want || len(met) == 0 && want != nil {
				t.Fatalf("%s: action %d: %v", c.name, n, met)
			}
		}
		if w.walk(c.n - 1); w.deepest > jumpsLeft+1 {
			t.Errorf("%s: %d jumps", c.name, w.deepest)
		}
	}
}

func priority(n int) pred.Effect { return pred.SetPriority{Class: uint32(n)} }

// walk is a tree that packets with one action walk, which does not end the traversal.
type walk struct {
	chains   map[string][]Rule
	programs map[string]Program
	top      string
	deepest  int
}

func walkOf(n int, has func(int) bool) *walk {
	var all []action
	for i := range n {
		if has(i) {
			all = append(all, action{i})
		}
	}
	b := &builder{effect: func(n int) (pred.Effect, error) { return priority(n), nil }}
	b.actions("root", all, 1)
	w := &walk{chains: map[string][]Rule{}, programs: map[string]Program{}}
	for _, c := range b.Chains {
		w.chains[c.Name] = c.Rules
	}
	for _, p := range b.Programs {
		w.programs["/"+p.Name] = p
	}
	w.top = w.chains["root"][0].Jump
	return w
}

// walk gives the effects that a packet meets on one step.
func (w *walk) walk(number int) (met []pred.Effect) {
	rules, jumps := w.chains[w.top], 0
	for len(rules) > 0 {
		r := rules[0]
		rules = rules[1:]
		switch p := w.programs[r.Ask]; {
		case p.Kind == Bit && uint32(number)&p.Bits != p.Bits, p.Kind == AnyBit && uint32(number)&p.Bits == 0,
			p.Kind == Take && (uint32(number)&p.LeafBits != p.Leaf || len(met) > 0):
		case r.Goto != "":
			rules = w.chains[r.Goto]
			jumps++
		case r.Policy != "":
			rules = nil
		default:
			met = append(met, r.Effect)
		}
	}
	w.deepest = max(w.deepest, jumps)
	return met
}
