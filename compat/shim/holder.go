package shim

import (
	"fmt"

	"github.com/bpftables/bpftables/bpf/anchor"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// Held is what rules that no packet meets name, and netfilter holds for them.
type Held struct {
	Effect pred.Effect // nil: none
	Sets   []string    // of the kernel's ip_set
}

// Hold gives chains of our table in nf_tables, to which nothing jumps, that hold some things. The error
// says which one they cannot: it is for the tools of iptables.
func Hold(family packet.Family, gen uint32, all []Held) ([]anchor.Chain, error) {
	if len(all) == 0 {
		return nil, nil
	}
	shared := anchor.Chain{Name: Holder(gen)}
	var own []anchor.Chain
	for i, h := range all {
		for _, set := range h.Sets {
			shared.Rules = append(shared.Rules, anchor.HoldSet(family, set))
		}
		if h.Effect == nil {
			continue
		}
		c := &shared
		if usesObject(h.Effect) {
			own = append(own, anchor.Chain{Name: fmt.Sprintf("%s-%d", Holder(gen), i)})
			c = &own[len(own)-1]
		}
		rules, err := spot{family, c.Name, packet.Prerouting}.holds(h.Effect)
		if err != nil {
			return nil, err
		}
		c.Rules = append(c.Rules, rules...)
	}
	return append(own, shared), nil
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
