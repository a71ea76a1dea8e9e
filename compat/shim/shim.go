// Package shim writes the rules that netfilter runs for us: targets that only the
// kernel's own code can run, told by BPF, and tables that are left to netfilter
// whole.
//
// In: a table of a plan or of a ruleset, and the generation. Out: a Layout, which
// becomes chains of our table in nf_tables or, where that cannot hold it,
// iptables-restore text; and the small programs that its "-m bpf" matches need.
// Everything carries the generation's number, so that rules of two generations stand
// side by side during a switch:
//
//	entry:      -m bpf pending -j bpftables7     something is noted for this packet
//	bpftables7: -j bpftables7-a0-9               the tree of targets
//	            -m bpf range -j bpftables7-a0-9  again, where the order asks for it
//	            -m bpf left -j DROP              never: fails closed
//	            -m bpf drop -j DROP              the verdict that follows the targets
package shim

import (
	"fmt"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

// fanout is how many matches a packet meets on one level of the tree of targets.
const fanout = 12

// Targets lays out the actions of a table that runs in BPF. pins is the directory
// of the generation's pins. Nil when the table has no such actions.
func Targets(family packet.Family, t *plan.Table, gen uint32, pins string) *Layout {
	if len(t.Actions) == 0 {
		return nil
	}
	b := &builder{Layout: Layout{Family: family, Table: t.Name}, gen: gen, pins: pins}
	// iptables-nft hangs this table at priority 150, behind the guard.
	b.Exact = t.Name == "security"
	for _, a := range t.Actions {
		b.Exact = b.Exact || len(guard(a.Effect)) > 0
	}
	root := chainName(gen, t.Name)
	for _, h := range t.Hooks {
		if !h.Shim {
			continue
		}
		kind := Pending
		if h.Hook == packet.Output || h.Hook == packet.Postrouting {
			kind = PendingOut
		}
		b.Entries = append(b.Entries, Entry{
			Hook: h.Hook, Priority: h.Priority, NAT: h.NAT, Route: h.Route, Chain: h.Hook.String(),
			Rules: []Rule{{Ask: b.ask(kind, 0, 0), Jump: root}},
		})
	}
	top := treeName(root, 0, len(t.Actions))
	b.chain(root, b.passes(top, t.Passes)...)
	b.tree(root, t.Actions, 0, len(t.Actions))
	return &b.Layout
}

// passes runs the tree, and again while actions are left. The passes stand side by side,
// as nf_tables nests at most 16 jumps (NFT_JUMP_STACK_SIZE).
func (b *builder) passes(top string, n int) []Rule {
	rules := []Rule{{Jump: top}}
	for range n - 1 {
		rules = append(rules, Rule{Ask: b.ask(Range, 0, anyAction), Jump: top})
	}
	return append(rules,
		Rule{Ask: b.ask(Left, 0, 0), Policy: "DROP"},
		Rule{Ask: b.ask(DropNoted, 0, 0), Policy: "DROP"})
}

// anyAction is beyond the number of every action.
const anyAction = 0xffff

func treeName(root string, lo, hi int) string { return fmt.Sprintf("%s-a%d-%d", root, lo, hi) }

// tree adds the chains that run actions lo to hi-1.
func (b *builder) tree(root string, actions []plan.Action, lo, hi int) {
	step := 1
	for (hi-lo+step-1)/step > fanout {
		step *= fanout
	}
	at := len(b.Chains)
	b.chain(treeName(root, lo, hi))
	var rules []Rule
	for i := lo; i < hi; i += step {
		end := min(i+step, hi)
		if step == 1 {
			rules = append(rules, b.take(i, actions[i].Effect))
			continue
		}
		rules = append(rules, Rule{Ask: b.ask(Range, i, end-1), Jump: treeName(root, i, end)})
		b.tree(root, actions, i, end)
	}
	b.Chains[at].Rules = rules
}

// take runs one action. Where the rule can fail to do it, another program asks first whether
// it is next.
func (b *builder) take(i int, e pred.Effect) Rule {
	r := Rule{Ask: b.ask(Take, i, i), Effect: e}
	if _, is := pred.ChangesHeader(b.Family, e); is {
		r.Next = b.ask(Range, i, i)
	}
	return r
}

// Whole lays out a table that is left to netfilter: every chain under a name of the
// generation, entered from the built-in chains while the generation is live. The
// policy is a rule behind the chain, so that RETURN and goto end there. Entering takes the
// note with which a program before the table sees that its rules are there. line writes a rule
// as the tool reads it, or says why that is not possible.
func Whole(family packet.Family, t *ruleset.Table, gen uint32, pins string, line func(r *ruleset.Rule, chain string) (string, error)) (*Layout, error) {
	b := &builder{Layout: Layout{Family: family, Table: t.Name, Exact: true, Whole: true}, gen: gen, pins: pins}
	names := map[string]string{}
	for i, c := range t.Chains {
		names[c.Name] = wholeName(gen, t.Name, i)
	}
	for _, c := range t.Chains {
		if c.BuiltIn() {
			live := b.ask(ActiveGen, 0, 0)
			b.Entries = append(b.Entries, Entry{
				Hook: c.Base.Hook, Priority: c.Base.Priority, NAT: c.Base.Type == ruleset.NAT, Chain: c.Name,
				Rules: []Rule{
					{Ask: b.enter(c.Base.Hook), Jump: names[c.Name]}, {Ask: live, Policy: c.Base.Policy.String()},
				},
			})
		}
		rules := make([]Rule, 0, len(c.Rules))
		for _, r := range c.Rules {
			to := renamed(r, names)
			text, err := line(to, names[c.Name])
			if err != nil {
				return nil, err
			}
			rules = append(rules, Rule{Rule: to, Text: text})
		}
		b.chain(names[c.Name], rules...)
	}
	return &b.Layout, nil
}

// wholeName is the name of the chain with a number in its table.
func wholeName(gen uint32, table string, i int) string {
	return fmt.Sprintf("%s-%d", chainName(gen, table), i)
}

// renamed is the rule with its jump going to the chain's name in the kernel.
func renamed(r *ruleset.Rule, names map[string]string) *ruleset.Rule {
	j, ok := r.Target.(interface{ ChainName() string })
	if !ok {
		return r
	}
	out := *r
	out.Target = jump{r.Target, names[j.ChainName()]}
	return &out
}

// jump is a jump to a chain under another name.
type jump struct {
	ruleset.Target
	chain string
}

func (j jump) Word() string      { return j.chain }
func (j jump) Args() []string    { return []string{j.chain} }
func (j jump) ChainName() string { return j.chain }
