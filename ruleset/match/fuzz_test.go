package match_test

import (
	"sync"
	"testing"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/match/rows"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// subject is one rule of the rows with both of its meanings.
type subject struct {
	row     *rows.Row
	rule    *ruleset.Rule
	lowered pred.Pred
}

// subjects are the rules of all rows that can be lowered and keep no memory.
var subjects = sync.OnceValues(func() ([]subject, error) {
	all, err := rows.Load("testdata")
	if err != nil {
		return nil, err
	}
	var list []subject
	for _, r := range all {
		rule, err := parse(r, r.Rule)
		if r.Refused != "" || err != nil {
			continue
		}
		lowered, reason := r.Lower(rule)
		if reason == "" && !stateful(lowered) {
			list = append(list, subject{r, rule, lowered})
		}
	}
	return list, nil
})

func stateful(p pred.Pred) bool {
	switch p := p.(type) {
	case pred.Limit, pred.Nth, pred.Random, pred.Recent:
		return true
	case pred.Not:
		return stateful(p.P)
	case pred.HotdropIf:
		return stateful(p.P)
	case pred.And:
		for _, q := range p {
			if stateful(q) {
				return true
			}
		}
	case pred.Or:
		return stateful(pred.And(p))
	}
	return false
}

// FuzzEvalLower: for any bytes, every rule of the rows says the same by Eval and by
// its predicates.
func FuzzEvalLower(f *testing.F) {
	all, err := rows.Load("testdata")
	if err != nil {
		f.Fatal(err)
	}
	for i, r := range all {
		if len(r.Packets) == 0 || i%5 != 0 {
			continue
		}
		facts, err := r.Facts()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(facts[0].Raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		list, err := subjects()
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range []packet.Family{packet.IPv4, packet.IPv6} {
			facts, ok := packet.Decode(family, raw)
			if !ok {
				continue
			}
			for _, s := range list {
				if s.row.Family == family {
					compare(t, s, facts)
				}
			}
		}
	})
}

func compare(t *testing.T, s subject, f *packet.Facts) {
	eval, lowered := rows.Eval(s.rule, f), pred.Eval(s.lowered, f)
	if eval != lowered {
		t.Errorf("%s: %s: Eval %v, Lower %v: %x", s.row.Pos, s.row.Rule, eval, lowered, f.Raw)
	}
}
