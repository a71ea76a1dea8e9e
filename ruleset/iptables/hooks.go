package iptables

import (
	"fmt"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// hookWalk finds from which hooks each rule can be reached, and loops, as
// mark_source_chains() does (net/ipv4/netfilter/ip_tables.c): it follows jumps and
// gotos, and goes no further in a chain than to a rule that always ends it.
type hookWalk struct {
	chains map[string]*walkedChain
	hook   uint8
	faults []error
}

type walkedChain struct {
	chain *ruleset.Chain
	reach []uint8 // by rule
	done  uint8   // hooks for which the chain was walked
	open  bool    // on the path from the built-in chain
}

// walkHooks gives the hooks by rule, for every chain.
func walkHooks(t *ruleset.Table) (map[string]*walkedChain, []error) {
	w := &hookWalk{chains: make(map[string]*walkedChain, len(t.Chains))}
	for _, c := range t.Chains {
		w.chains[c.Name] = &walkedChain{chain: c, reach: make([]uint8, len(c.Rules))}
	}
	for _, c := range t.Chains {
		if h, ok := packet.HookByName(c.Name); ok && c.BuiltIn() {
			w.hook = 1 << h
			w.walk(w.chains[c.Name])
		}
	}
	return w.chains, w.faults
}

// step is where the walk stands in a chain.
type step struct {
	in   *walkedChain
	next int
}

// walk follows a built-in chain. It keeps its own stack: jumps may be as deep as
// there are chains.
func (w *hookWalk) walk(from *walkedChain) {
	stack := []step{{in: from}}
	from.open, from.done = true, from.done|w.hook
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		c := top.in
		if top.next >= len(c.chain.Rules) {
			c.open = false
			stack = stack[:len(stack)-1]
			continue
		}
		r := c.chain.Rules[top.next]
		c.reach[top.next] |= w.hook
		top.next++
		if ends(r) {
			top.next = len(c.chain.Rules)
		} else if to := w.jump(c, r); to != nil {
			to.open, to.done = true, to.done|w.hook
			stack = append(stack, step{in: to})
		}
	}
}

// jump gives the chain to follow, nil when there is none or it was followed before.
func (w *hookWalk) jump(from *walkedChain, r *ruleset.Rule) *walkedChain {
	name, ok := jumpChain(r.Target)
	if !ok {
		return nil
	}
	to := w.chains[name]
	if to == nil {
		return nil
	}
	if to.open {
		w.faults = append(w.faults, &ruleset.Error{Pos: r.Pos, Thing: name,
			What: fmt.Sprintf("the rules loop: chain %s is reached from itself through %s", name, from.chain.Name),
			Fix:  "remove a jump of the circle"})
		return nil
	}
	if to.done&w.hook != 0 {
		return nil
	}
	return to
}

// ends says whether nothing of a chain can run after the rule: it asks nothing and
// gives a verdict or returns (unconditional() in ip_tables.c).
func ends(r *ruleset.Rule) bool {
	return len(r.Matches) == 0 && !r.Goto && r.Target != nil && standardTarget(r.Target.Word()) && !isJump(r.Target)
}

func isJump(t ruleset.Target) bool {
	_, ok := jumpChain(t)
	return ok
}

// checkTable refuses what the kernel refuses when a table is committed.
func checkTable(t *ruleset.Table, family packet.Family) []error {
	chains, faults := walkHooks(t)
	in := &ruleset.Place{Family: family, Table: t.Name}
	for _, c := range t.Chains {
		reach := chains[c.Name].reach
		for i, r := range c.Rules {
			in.Hooks, in.Rule = reach[i], r
			faults = checkRule(faults, r, in)
		}
	}
	return faults
}

func checkRule(faults []error, r *ruleset.Rule, in *ruleset.Place) []error {
	for _, m := range r.Matches {
		if err := m.Check(in); err != nil {
			faults = append(faults, &ruleset.Error{Pos: r.Pos, Thing: m.Word(), What: err.Error()})
		}
	}
	if r.Target != nil {
		if err := r.Target.Check(in); err != nil {
			faults = append(faults, &ruleset.Error{Pos: r.Pos, Thing: r.Target.Word(), What: err.Error()})
		}
	}
	return faults
}
