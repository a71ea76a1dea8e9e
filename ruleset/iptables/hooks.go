package iptables

import (
	"fmt"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// hookWalk finds from which hooks each rule can be reached, and loops, as
// mark_source_chains() does (net/ipv4/netfilter/ip_tables.c): it follows jumps and
// gotos, and goes no further in a chain than to a rule that always ends it.
type hookWalk struct {
	chains map[string]*walkedChain
	hook   uint8
	faults []refusal
}

// refusal is a fault of a rule that the kernel finds.
type refusal struct {
	*ruleset.Error
	chain  string
	rule   *ruleset.Rule
	reason string // of the kernel, as strerror(3) says it; "": EINVAL
}

type walkedChain struct {
	chain *ruleset.Chain
	reach []uint8 // by rule
	done  uint8   // hooks for which the chain was walked
	open  bool    // on the path from the built-in chain
}

// walkHooks gives the hooks by rule, for every chain.
func walkHooks(t *ruleset.Table) (map[string]*walkedChain, []refusal) {
	w := &hookWalk{chains: make(map[string]*walkedChain, len(t.Chains))}
	for _, c := range t.Chains {
		w.chains[c.Name] = &walkedChain{chain: c, reach: make([]uint8, len(c.Rules))}
	}
	for _, c := range t.Chains {
		if c.BuiltIn() {
			w.hook = 1 << c.Base.Hook
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
		if r.Ends() {
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
		w.faults = append(w.faults, refusal{&ruleset.Error{Pos: r.Pos, Thing: name,
			What: fmt.Sprintf("the rules loop: chain %s is reached from itself through %s", name, from.chain.Name),
			Fix:  "remove a jump of the circle"}, from.chain.Name, r, reasonLoop})
		return nil
	}
	if to.done&w.hook != 0 {
		return nil
	}
	return to
}

// checkTable refuses what the kernel refuses when a table is committed. columns says
// where the words of a rule stand, see placeWords.
func checkTable(t *ruleset.Table, family packet.Family, columns map[*ruleset.Rule]map[int]int) []refusal {
	chains, faults := walkHooks(t)
	in := t.Place(family, 0)
	for _, c := range t.Chains {
		reach := chains[c.Name].reach
		for i, r := range c.Rules {
			in.Hooks, in.Rule = reach[i], r
			checkRule(in, func(word int, name string, err error) {
				pos := r.Pos
				if col := columns[r][word]; col != 0 {
					pos.Col = col
				}
				faults = append(faults, refusal{&ruleset.Error{Pos: pos, Thing: name, What: tables.Word(err, t.Name)}, c.Name, r, reasonOf(err)})
			})
		}
	}
	return faults
}

// checkRule asks the words of a rule; they are numbered as its matches are, with the
// target at the end.
func checkRule(in *ruleset.Place, refused func(word int, name string, err error)) {
	for i, m := range in.Rule.Matches {
		if err := m.Check(in); err != nil {
			refused(i, m.Word(), err)
		}
	}
	if t := in.Rule.Target; t != nil {
		if err := t.Check(in); err != nil {
			refused(len(in.Rule.Matches), t.Word(), err)
		}
	}
}

// anyHook is a Place that is reached from everywhere.
const anyHook = 1<<(packet.Postrouting+1) - 1

// placeWords remembers where the words of a rule stand that the kernel may refuse.
// That depends on hooks which are not known before the end of the table, and so does
// whether the rule is still there.
func (rd *reader) placeWords(c *command, r *ruleset.Rule) {
	rd.checkWords(c, r, func(word, at int) {
		if rd.cur.columns == nil {
			rd.cur.columns = map[*ruleset.Rule]map[int]int{}
		}
		if rd.cur.columns[r] == nil {
			rd.cur.columns[r] = map[int]int{}
		}
		rd.cur.columns[r][word] = rd.pos(at).Col
	})
}

// checkWords tells which words of a rule the kernel may refuse, and where they stand.
func (rd *reader) checkWords(c *command, r *ruleset.Rule, refused func(word, at int)) {
	in := &rd.scratch
	*in = ruleset.Place{Family: rd.o.Family, Bases: tables.Bases(rd.cur.name), Hooks: anyHook, Rule: r}
	checkRule(in, func(word int, _ string, _ error) {
		at, first := c.at, len(r.Matches)-len(c.words)
		switch {
		case word == len(r.Matches):
			at = c.jump.at
		case word >= first:
			at = c.words[word-first].at
		}
		refused(word, at)
	})
}
