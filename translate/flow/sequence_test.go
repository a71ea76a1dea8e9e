package flow

import (
	"testing"

	"github.com/bpftables/bpftables/ruleset/pred"
)

// chains are a Table; none of their rules implies another one.
type chains [][]Rule

func (c chains) Rules(chain int) []Rule           { return c[chain] }
func (c chains) Implied(chain, by, rule int) bool { return false }

func does(number uint32, times int) (out []Rule) {
	for range times {
		out = append(out, Rule{Op: pred.Do, Note: Note{Number: number}})
	}
	return out
}

func join(all ...[]Rule) (out []Rule) {
	for _, rules := range all {
		out = append(out, rules...)
	}
	return out
}

// TestLongest bounds how many effects packets collect, and how many words they take: two for one that
// follows itself.
func TestLongest(t *testing.T) {
	alternating := []Rule{}
	for range 100 {
		alternating = join(alternating, does(1, 1), does(2, 1))
	}
	jump := []Rule{{Op: pred.Jump, To: 0}}
	for name, c := range map[string]struct {
		table chains
		want  Most
	}{
		"none":            {chains{nil}, Most{}},
		"one":             {chains{does(1, 1)}, Most{1, 1}},
		"two":             {chains{does(1, 2)}, Most{2, 2}},
		"many":            {chains{does(1, 5000)}, Most{5000, 2}},
		"two runs":        {chains{join(does(1, 5000), does(2, 700))}, Most{5700, 4}},
		"alternating":     {chains{alternating}, Most{200, 200}},
		"through a chain": {chains{does(1, 50), join(does(1, 10), jump, does(1, 10), jump)}, Most{120, 2}},
		"another chain":   {chains{does(2, 50), join(does(1, 10), jump, does(1, 10), jump)}, Most{120, 8}},
		"one of two ends": {chains{join(does(1, 9), []Rule{{Op: pred.Return}}, does(2, 9)), join(jump, does(1, 9))}, Most{27, 6}},
	} {
		order := []int{0}
		if len(c.table) > 1 {
			order = []int{0, 1}
		}
		if got := Longest(c.table, order)[len(c.table)-1]; got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}
