package shim

import (
	"fmt"
	"hash/fnv"

	"github.com/bpftables/bpftables/bpf/anchor"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// Held is what a rule that no packet meets names, and netfilter holds for it.
type Held struct {
	Rule   string      // it and its table, in words: its chain is named by them
	Effect pred.Effect // nil: none
	Sets   []string    // of the kernel's ip_set
}

// Hold gives a chain of our table in nf_tables, to which nothing jumps, that holds some things. The error says that it
// cannot: it is for the tools of iptables.
func Hold(family packet.Family, gen uint32, h Held) (anchor.Chain, error) {
	sum := fnv.New64a()
	sum.Write([]byte(h.Rule))
	c := anchor.Chain{Name: fmt.Sprintf("%s-%x", Holder(gen), sum.Sum(nil))}
	for _, set := range h.Sets {
		c.Rules = append(c.Rules, anchor.HoldSet(family, set))
	}
	if h.Effect == nil {
		return c, nil
	}
	rules, err := spot{family, c.Name, packet.Prerouting}.holds(h.Effect)
	c.Rules = append(c.Rules, rules...)
	return c, err
}

// usesObject says whether an effect needs an object of the table, which has the name of its chain.
func usesObject(e pred.Effect) bool {
	_, marks := e.(pred.SecMark)
	return marks || endsBehindConntrack(e)
}

// holds gives the rules that an effect has, wherever they stand.
func (at spot) holds(e pred.Effect) ([]anchor.Rule, error) {
	all, err := at.runs(e)
	if err != nil {
		return nil, err
	}
	var out []anchor.Rule
	for _, r := range all {
		out = append(out, append(append(anchor.Rule{}, r.first...), r.then...))
	}
	if endsBehindConntrack(e) {
		end, err := at.ending(e)
		if err != nil {
			return nil, err
		}
		out = append(out, end)
	}
	return out, nil
}
