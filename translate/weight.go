package translate

import (
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// tooHeavy is what heavier chains weigh: copies of copies grow fast.
const tooHeavy = 1 << 40

// size is the weight of a chain's rules, about one per instruction.
func (b *hookBuilder) size(c *ruleset.Chain) int {
	if b.classes[c] != nil {
		return classWeight
	}
	if n, ok := b.sizes[c]; ok {
		return n
	}
	n := 0
	for _, r := range c.Rules {
		n += b.ruleSize(r)
	}
	n = min(n, tooHeavy)
	b.sizes[c] = n
	return n
}

func (b *hookBuilder) ruleSize(r *ruleset.Rule) int {
	n := 14
	for _, p := range b.lines[r].conds {
		n += weight(p)
	}
	if name := b.callee(r); name != "" && b.inline[b.src.Chain(name)] {
		n += b.size(b.src.Chain(name))
	}
	return n
}

// weight estimates the instructions of a predicate.
func weight(p pred.Pred) int {
	switch p := p.(type) {
	case pred.Not:
		return weight(p.P)
	case pred.HotdropIf:
		return weight(p.P)
	case pred.And:
		return weightAll(p)
	case pred.Or:
		return weightAll(p)
	case pred.Addr, pred.Name, pred.AddrRange:
		return 12
	case pred.U32:
		return 40 * len(p.Tests)
	}
	return 6
}

func weightAll(ps []pred.Pred) int {
	n := 1
	for _, p := range ps {
		n += weight(p) + 1
	}
	return n
}
