package shim

import (
	"slices"

	"github.com/bpftables/bpftables/bpf/anchor"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// Grown gives the chains that a layout needs besides those of another one of the same
// generation, and those that are different: as they are where more actions have numbers; and the programs
// that come to it. False: base chains are other ones, too.
func Grown(from, to *Layout) (chains []Chain, programs []Program, ok bool) {
	sameEntry := func(a, b Entry) bool {
		return baseChain(from.Table, &a) == baseChain(to.Table, &b) && slices.Equal(a.Rules, b.Rules)
	}
	if !slices.EqualFunc(from.Entries, to.Entries, sameEntry) || len(from.Late.Entries)+len(to.Late.Entries) > 0 {
		return nil, nil, false
	}
	for _, p := range to.Programs {
		if !slices.Contains(from.Programs, p) {
			programs = append(programs, p)
		}
	}
	rules := map[string][]Rule{}
	for _, c := range from.Chains {
		rules[c.Name] = c.Rules
	}
	for _, c := range to.Chains {
		if have, is := rules[c.Name]; !is || !slices.Equal(have, c.Rules) {
			chains = append(chains, c)
		}
		delete(rules, c.Name)
	}
	return chains, programs, len(rules) == 0 && len(chains) > 0
}

// OwnChains gives chains of a layout as our table in nf_tables has them.
func OwnChains(family packet.Family, chains []Chain) (out []anchor.Chain, err error) {
	for _, c := range chains {
		rules, err := spot{family, c.Name, c.Hook}.rules(c.Rules)
		if err != nil {
			return nil, err
		}
		out = append(out, anchor.Chain{Name: c.Name, Rules: rules})
	}
	return out, nil
}
