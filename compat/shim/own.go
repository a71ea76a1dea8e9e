package shim

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/google/nftables"

	"github.com/bpftables/bpftables/bpf/anchor"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// Own gives the chains of our table in nf_tables that do what a layout says. The error
// says what they cannot do: that layout is for the tools of iptables.
func Own(l *Layout) ([]anchor.Chain, error) {
	if l.Whole {
		return nil, fmt.Errorf("table %s as a whole", l.Table)
	}
	var out []anchor.Chain
	for _, e := range slices.Concat(l.Entries, l.Late.Entries) {
		name := baseChain(l.Table, &e)
		rules, err := spot{l.Family, name, e.Hook}.rules(e.Rules)
		if err != nil {
			return nil, err
		}
		out = append(out, anchor.Chain{
			Name: name, Tag: Prefix(l.Gen),
			Base:  &anchor.Base{Type: chainType(&e), Hook: e.Hook, Priority: e.Priority},
			Rules: rules,
		})
	}
	jumped, err := OwnChains(l.Family, slices.Concat(l.Chains, l.Late.Chains))
	return append(out, jumped...), err
}

// baseChain is the name of a base chain. It is that of all generations: chains of others at the
// same priority come before it, or behind, as they did.
func baseChain(table string, e *Entry) string {
	name := fmt.Sprintf(stem+"-%s-%s%d", shortName(table), e.Hook, e.Priority)
	if kind := chainType(e); kind != nftables.ChainTypeFilter {
		name += "-" + string(kind)
	}
	return name
}

// IsBase says whether a chain of our table is a base chain of a layout.
func IsBase(chain string) bool { return strings.HasPrefix(chain, stem+"-") }

// Bases are the base chains that a layout has in our table, with how many rules each has.
func Bases(l *Layout) map[string]uint32 {
	out := map[string]uint32{}
	for _, e := range slices.Concat(l.Entries, l.Late.Entries) {
		out[baseChain(l.Table, &e)] += uint32(len(e.Rules))
	}
	return out
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

// rules are the rules of a chain.
func (at spot) rules(rules []Rule) ([]anchor.Rule, error) {
	out := make([]anchor.Rule, 0, len(rules))
	for i := range rules {
		r := &rules[i]
		if r.Ends {
			end, err := at.ending(r.Effect)
			if err != nil {
				return nil, err
			}
			out = append(out, end)
			continue
		}
		if r.Effect != nil {
			effect, err := at.runs(r.Effect)
			if err != nil {
				return nil, err
			}
			out = append(out, r.own(effect)...)
			continue
		}
		var one anchor.Rule
		if r.Ask != "" {
			one = append(one, anchor.Ask(r.Ask))
		}
		switch {
		case r.Jump != "":
			one = append(one, anchor.Jump(r.Jump))
		case r.Goto != "":
			one = append(one, anchor.Goto(r.Goto))
		case r.Policy == "DROP":
			one = append(one, anchor.Drop())
		default:
			one = append(one, anchor.Accept())
		}
		out = append(out, one)
	}
	return out, nil
}

// own gives the rules that run an effect: one of them takes the action and does it. What is done before it is
// taken, as it may not succeed, waits for its turn.
func (r *Rule) own(all []run) []anchor.Rule {
	out := make([]anchor.Rule, len(all))
	for i, one := range all {
		if len(one.first) > 0 {
			out[i] = append(anchor.Rule{anchor.Ask(r.Is)}, one.first...)
		}
		out[i] = append(append(out[i], anchor.Ask(cmp.Or(r.Own, r.Ask))), one.then...)
		if i < len(all)-1 || !pred.Ends(r.Effect) { // what follows is of other actions
			out[i] = append(out[i], anchor.Return())
		}
	}
	return out
}

// Belongs says whether a chain of our table in nf_tables is of a generation and a table.
func Belongs(chain string, gen uint32, table string) bool {
	name := chainName(gen, table)
	rest, is := strings.CutPrefix(chain, name)
	return is && (rest == "" || rest[0] == '-' || rest[0] >= '0' && rest[0] <= '9')
}
