package shim

import (
	"slices"

	"github.com/bpftables/bpftables/bpf/anchor"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// Grown gives what a layout has more than another one of the same generation, where more actions have numbers: as
// a layout of the chains, base chains among them, that are new or different, and of the programs that are new.
// False: something of the other one is not in it.
func Grown(from, to *Layout) (more *Layout, ok bool) {
	if len(from.Late.Entries)+len(to.Late.Entries) > 0 {
		return nil, false
	}
	more = &Layout{Family: to.Family, Gen: to.Gen, Table: to.Table, Root: to.Root}
	bases, rules := map[string][]Rule{}, map[string][]Rule{}
	for _, e := range from.Entries {
		bases[baseChain(from.Table, &e)] = e.Rules
	}
	for _, e := range to.Entries {
		name := baseChain(to.Table, &e)
		if have, is := bases[name]; !is || !slices.Equal(have, e.Rules) {
			more.Entries = append(more.Entries, e)
		}
		delete(bases, name)
	}
	for _, c := range from.Chains {
		rules[c.Name] = c.Rules
	}
	for _, c := range to.Chains {
		if have, is := rules[c.Name]; !is || !slices.Equal(have, c.Rules) {
			more.Chains = append(more.Chains, c)
		}
		delete(rules, c.Name)
	}
	for _, p := range to.Programs {
		if !slices.Contains(from.Programs, p) {
			more.Programs = append(more.Programs, p)
		}
	}
	return more, len(bases)+len(rules) == 0 && len(from.Programs)+len(more.Programs) == len(to.Programs)
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
