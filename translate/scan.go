package translate

import (
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/parallel"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

// scanned is what rules of a chain are found to ask and to do.
type scanned struct {
	reasons  []plan.Reason // why BPF cannot run them
	reads    pred.Reads
	asks     bool        // a condition calls a function of the C part
	shims    bool        // a rule has a target that netfilter runs
	numbered bool        // a condition has a slot
	asked    pred.Hidden // what effects of other rules may hide
}

// scanBlock is how many rules are looked at on one processor at a time.
const scanBlock = 1 << 10

// scan looks at all rules of a chain; those that are not kept it lowers for that.
func (t *table) scan(c *ruleset.Chain) {
	blocks := make([]scanned, (len(c.Rules)+scanBlock-1)/scanBlock)
	at := t.src.Place(t.family, t.hooks[c])
	parallel.Each(len(blocks), func(i int) {
		place := *at // each has its rule
		var room lowered
		for _, r := range c.Rules[i*scanBlock : min(len(c.Rules), (i+1)*scanBlock)] {
			l := t.lines[r]
			if l == nil {
				l = &room
				t.lowerRule(l, r, &place)
				blocks[i].numbered = blocks[i].numbered || l.numbered()
			}
			t.examine(&blocks[i], r, l, t.hooks[c])
		}
	})
	var all scanned
	for i := range blocks {
		b := &blocks[i]
		t.out.Reasons = append(t.out.Reasons, b.reasons...)
		all.reads |= b.reads
		all.asked |= b.asked
		all.asks, all.shims, all.numbered = all.asks || b.asks, all.shims || b.shims, all.numbered || b.numbered
	}
	t.out.Asked |= all.asked
	t.reads[c], t.asks[c], t.shims = all.reads, all.asks, t.shims || all.shims
	if all.numbered {
		t.keep(c)
	}
}

// examine adds what a rule that packets meet at some hooks asks and does, and reasons why BPF
// cannot run it.
func (t *table) examine(out *scanned, r *ruleset.Rule, l *lowered, hooks uint8) {
	out.reads |= l.reads(t.family)
	out.asks = out.asks || !l.inMemory()
	for i, p := range l.conds {
		out.asked |= pred.AsksHidden(p)
		if why := t.unfit(p); why != "" {
			thing := "the effect"
			if i < len(r.Matches) {
				thing = r.Matches[i].Word()
			}
			out.reasons = append(out.reasons, reason(r, thing, why))
		}
	}
	if l.action.Op != pred.Do {
		return
	}
	out.shims = true
	out.asked |= pred.NeedsHidden(l.action.Effect)
	if how, why := t.can(l.action.Effect, hooks); how == Never {
		out.reasons = append(out.reasons, reason(r, r.Target.Word(), why))
	}
}
