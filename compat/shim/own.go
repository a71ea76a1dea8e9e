package shim

import (
	"fmt"
	"strings"

	"github.com/google/nftables"

	"github.com/bpftables/bpftables/bpf/anchor"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// Own gives the chains of our table in nf_tables that do what a layout says. The error
// says what they cannot do: that layout is for the tools of iptables.
func Own(l *Layout) ([]anchor.Chain, error) {
	if l.Whole {
		return nil, fmt.Errorf("table %s as a whole", l.Table)
	}
	var out []anchor.Chain
	for _, e := range l.Entries {
		rules, err := ownRules(l.Family, e.Rules)
		if err != nil {
			return nil, err
		}
		out = append(out, anchor.Chain{
			Name:  entryName(l, e.Hook),
			Base:  &anchor.Base{Type: chainType(&e), Hook: e.Hook, Priority: e.Priority},
			Rules: rules,
		})
	}
	for _, c := range l.Chains {
		rules, err := ownRules(l.Family, c.Rules)
		if err != nil {
			return nil, err
		}
		out = append(out, anchor.Chain{Name: c.Name, Rules: rules})
	}
	return out, nil
}

// chainType is the type of a base chain. One that routes looks again for the way of a packet
// of this host whose mark, addresses or type of service its rules have changed
// (nf_route_table_hook4(), net/netfilter/nft_chain_route.c), as table mangle does
// (ipt_mangle_out(), net/ipv4/netfilter/iptable_mangle.c).
func chainType(e *Entry) nftables.ChainType {
	switch {
	case e.NAT:
		return nftables.ChainTypeNAT
	case e.Route:
		return nftables.ChainTypeRoute
	}
	return nftables.ChainTypeFilter
}

// entryName is the name of the base chain of a hook: that of the first chain behind it
// with the hook.
func entryName(l *Layout, h packet.Hook) string {
	first, _, _ := strings.Cut(l.Chains[0].Name, "-")
	return chainOf(first, l.Table) + "-" + h.String()
}

func ownRules(family packet.Family, rules []Rule) ([]anchor.Rule, error) {
	out := make([]anchor.Rule, 0, len(rules))
	for i := range rules {
		r := &rules[i]
		if r.Effect != nil {
			effect, err := runs(family, r.Effect)
			if err != nil {
				return nil, err
			}
			for _, one := range effect {
				out = append(out, r.own(one))
			}
			continue
		}
		var one anchor.Rule
		if r.Ask != "" {
			one = append(one, anchor.Ask(r.Ask))
		}
		switch {
		case r.Jump != "":
			one = append(one, anchor.Jump(r.Jump))
		case r.Policy == "DROP":
			one = append(one, anchor.Drop())
		default:
			one = append(one, anchor.Accept())
		}
		out = append(out, one)
	}
	return out, nil
}

// own is a rule that runs an effect.
func (r *Rule) own(of run) anchor.Rule {
	var out anchor.Rule
	if len(of.first) > 0 {
		out = append(append(out, anchor.Ask(r.Next)), of.first...)
	}
	return append(append(out, anchor.Ask(r.Ask)), of.then...)
}

// Belongs says whether a chain of our table in nf_tables is of a generation and a table.
func Belongs(chain string, gen uint32, table string) bool {
	name := chainName(gen, table)
	return chain == name || strings.HasPrefix(chain, name+"-")
}
