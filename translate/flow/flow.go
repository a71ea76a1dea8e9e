// Package flow follows the jumps of a table: which chains packets can get to, from which
// hooks, whether they get there in a ring, how deep they call each other, and how many effects
// that others run they can collect on the way.
//
// In: for each chain, by a number of the caller's, what its rules do (Rule). Out: what the
// kernel finds out when a table is committed (mark_source_chains(), net/ipv4/netfilter/ip_tables.c),
// and bounds for what a datapath has room for. Refused: rings.
//
//	reach, err := flow.Follow(table, map[int]uint8{input: 1 << packet.Input})
package flow

import (
	"fmt"

	"github.com/bpftables/bpftables/ruleset/pred"
)

// Rule is one rule, as far as ways through a table depend on it.
type Rule struct {
	Op pred.Op
	To int // Jump, Goto: the chain
	// Ends says that nothing behind the rule is met, as the kernel sees it (ruleset.Rule.Ends).
	Ends   bool
	Always bool // it asks nothing
	Note   Note // of Do
}

// Note is an effect that others run.
type Note struct {
	Number  uint32
	Final   bool // it ends the traversal
	Once    bool // doing it twice in a row is the same as doing it once
	Changes bool // rules behind it see something else than those before it
}

// Table gives the rules of chains.
type Table interface {
	Rules(chain int) []Rule
	// Implied says whether a packet that matches a rule of a chain matches another one, too,
	// whatever it met in between.
	Implied(chain, by, rule int) bool
}

// Reach is where packets get.
type Reach struct {
	Hooks map[int]uint8 // by chain: 1 << packet.Hook
	Depth int           // how many jumps wait for their return, at most
	Order []int         // the chains, each before those that call it
}

// RingError says that a chain is reached from itself.
type RingError struct{ Chain int }

// Error names the chain by its number.
func (e *RingError) Error() string { return fmt.Sprintf("chain %d is reached from itself", e.Chain) }

// Follow follows jumps from base chains, of which hooks has the hooks.
func Follow(t Table, hooks map[int]uint8) (*Reach, error) {
	f := &follower{table: t, Reach: Reach{Hooks: map[int]uint8{}}, depth: map[int]int{}}
	for base := range hooks {
		if err := f.visit(base); err != nil {
			return nil, err
		}
	}
	for i := len(f.Order) - 1; i >= 0; i-- {
		c := f.Order[i]
		f.Hooks[c] |= hooks[c]
		for _, r := range met(t.Rules(c)) {
			if jumps(&r) {
				f.Hooks[r.To] |= f.Hooks[c]
			}
		}
	}
	for base := range hooks {
		f.Depth = max(f.Depth, f.depth[base])
	}
	return &f.Reach, nil
}

// follower is the work of Follow.
type follower struct {
	Reach
	table Table
	depth map[int]int // by chain; open: it is on the way
}

const open = -1

func (f *follower) visit(c int) error {
	if d, seen := f.depth[c]; seen {
		if d == open {
			return &RingError{c}
		}
		return nil
	}
	f.depth[c] = open
	deepest := 0
	for _, r := range met(f.table.Rules(c)) {
		if !jumps(&r) {
			continue
		}
		if err := f.visit(r.To); err != nil {
			return err
		}
		d := f.depth[r.To]
		if r.Op == pred.Jump {
			d++
		}
		deepest = max(deepest, d)
	}
	f.depth[c] = deepest
	f.Order = append(f.Order, c)
	return nil
}

func jumps(r *Rule) bool { return r.Op == pred.Jump || r.Op == pred.Goto }

// met are the rules that packets get to.
func met(rules []Rule) []Rule {
	for i := range rules {
		if rules[i].Ends {
			return rules[:i+1]
		}
	}
	return rules
}
