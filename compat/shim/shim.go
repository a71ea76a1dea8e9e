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
//	entry:          -m bpf pending -j bpftables7-f   something is noted for this packet
//	bpftables7-f:   -j bpftables7-f-a0               runs the next action
//	                -m bpf done -g bpftables7-f-end  that was the last one
//	                ...                              as often as a packet may need it
//	                -j DROP                          never: fails closed
//	bpftables7-f-a0: -m bpf bit 3 -g bpftables7-f-a8 the number of the action is 8 or more
//	                 -m bpf take 0 -j LOG            action 0
//	                 -m bpf take 1 -j REJECT         action 1
//	                 ...
//	bpftables7-f-end: -m bpf drop -j DROP            the verdict that follows the actions
package shim

import (
	"fmt"
	"math"
	"slices"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

// Targets lays out the actions of a table that runs in BPF. pins is the directory
// of the generation's pins. Nil when the table has no such actions.
func Targets(family packet.Family, t *plan.Table, gen uint32, pins string) *Layout {
	b := &builder{
		Layout: Layout{Family: family, Gen: gen, Table: t.Name, Root: chainName(gen, t.Name)}, pins: pins,
		effect: func(n int) (pred.Effect, error) { return t.Actions[n].Effect, nil },
	}
	stands := AllStand(t)
	here := func(h packet.Hook) []action { return actionsAt(stands, h) }
	if translates(t) || t.Alone() && len(t.Actions) > 0 {
		b.each(t, here)
		return &b.Layout
	}
	if len(t.Actions) == 0 {
		return nil
	}
	// Of the two tools this one has the table where netfilter has it.
	b.Exact = t.Name == "security"
	for _, a := range t.Actions {
		b.Exact = b.Exact || len(guard(a.Effect)) > 0
	}
	b.late = endsLate(t)
	if b.late {
		b.endings(t)
	}
	if parted(t, stands) {
		b.parts(t, here)
		return &b.Layout
	}
	b.whole(t, numbered(len(t.Actions)))
	return &b.Layout
}

// whole lays out a table whose actions can all stand at all of its hooks.
func (b *builder) whole(t *plan.Table, all []action) {
	for _, h := range t.Hooks {
		if h.Shim {
			b.entry(h, b.Root)
		}
	}
	b.actions(b.Root, all, steps(t))
}

// translates says whether netfilter asks the base chains of a table about the first packets
// of connections.
func translates(t *plan.Table) bool {
	return len(t.Hooks) > 0 && t.Hooks[0].NAT
}

// each lays out a table whose base chains have matches of their own. Where they translate
// addresses they are there without actions, too: where one is, connections that nothing
// translates are kept apart from others (nf_nat_alloc_null_binding(), net/netfilter/nf_nat_core.c). Each has a tree
// of those actions that may stand there, and that packets can be given there; PREROUTING and OUTPUT, to which the
// same may stand, have one between them.
func (b *builder) each(t *plan.Table, at func(packet.Hook) []action) {
	var trees []tree
	for i, h := range t.Hooks {
		b.at = h
		here := at(h.Hook)
		if !h.NAT {
			here = slices.DeleteFunc(here, func(a action) bool { return !slices.Contains(h.Met, a.number) })
		}
		if !h.Shim || len(here) == 0 {
			if h.NAT {
				b.Entries = append(b.Entries, entry(h))
			}
			continue
		}
		own := tree{root: fmt.Sprintf("%s-b%d", b.Root, i), at: h, actions: here}
		same := slices.IndexFunc(trees, own.same)
		if b.growing != nil && same != slices.IndexFunc(trees, func(o tree) bool { return own.was(b.growing.had).same(*o.was(b.growing.had)) }) {
			b.failed = true // it had the chains of another one, or has them now
		}
		if same < 0 {
			same = len(trees)
			trees = append(trees, own)
		}
		b.entry(h, trees[same].root)
		if h.NAT {
			b.around(h)
		}
		if trees[same].at == h {
			b.actions(own.root, here, steps(t))
		}
	}
}

// tree is the actions of a base chain.
type tree struct {
	root    string
	at      *plan.Hook
	actions []action
}

// was is the tree before its actions became more.
func (t *tree) was(had int) *tree {
	out := *t
	out.actions = before(t.actions, had)
	return &out
}

// same says whether packets can be led to the chains of another base chain: they translate alike, and the programs
// find notes of packets that processes send wherever those of the other's packets are (find_any(), bpf/shim.bpf.c).
func (t *tree) same(other tree) bool {
	return t.at.NAT && other.at.NAT && t.at.Hook.Local() && translatesSource(t.at.Hook) == translatesSource(other.at.Hook) &&
		slices.Equal(t.actions, other.actions)
}

// Priorities before and behind all chains that translate (nft_chain_parse_hook(),
// net/netfilter/nf_tables_api.c: above NF_IP_PRI_CONNTRACK).
const (
	beforeNAT = -199
	behindNAT = math.MaxInt32
)

// around adds the chains around one that translates: a chain of others may settle the
// addresses of a packet as they are, and then netfilter asks no further one. The first says that it was
// asked; the last drops what still has a note, as the chain with our rules is not there.
func (b *builder) around(h *plan.Hook) {
	first, last := entry(h), entry(h)
	first.Priority, first.Rules = beforeNAT, []Rule{{Ask: b.ask(Asked), Policy: "ACCEPT"}}
	last.Priority, last.Rules = behindNAT, []Rule{{Ask: b.ask(pendingAt(h)), Policy: "DROP"}}
	b.Entries = append(b.Entries, first, last)
}

// parts lays out a table in which some actions can stand at some hooks only.
func (b *builder) parts(t *plan.Table, at func(packet.Hook) []action) {
	for _, h := range t.Hooks {
		here := at(h.Hook)
		if !h.Shim || len(here) == 0 {
			continue
		}
		root := fmt.Sprintf("%s%d", b.Root, h.Hook)
		b.entry(h, root)
		b.actions(root, here, steps(t))
	}
}

// entry is the place of a base chain.
func entry(h *plan.Hook) Entry {
	return Entry{Hook: h.Hook, Priority: h.Priority, NAT: h.NAT, Route: h.Route, Chain: h.Hook.String()}
}

// entry adds an entry that leads packets with actions to a chain.
func (b *builder) entry(h *plan.Hook, root string) {
	e := entry(h)
	e.Rules = []Rule{{Ask: b.askOf(Program{Name: string(pendingAt(h)), Kind: pendingAt(h), Late: b.late}), Jump: root}}
	b.Entries = append(b.Entries, e)
}

// pendingAt is the program that says whether a packet has actions.
func pendingAt(h *plan.Hook) Kind {
	if h.Hook.Local() {
		return PendingOut
	}
	return Pending
}

// Whole lays out a table that is left to netfilter: every chain under a name of the
// generation, entered from the built-in chains while the generation is live. The
// policy is a rule behind the chain, so that RETURN and goto end there; both are in a chain of
// their own, as who has entered meets the policy even if another generation is live by then. Entering takes the
// note with which a program before the table sees that its rules are there. line writes a rule
// as the tool reads it, or says why that is not possible.
func Whole(family packet.Family, t *ruleset.Table, gen uint32, pins string, line func(r *ruleset.Rule, chain string) (string, error)) (*Layout, error) {
	b := &builder{Layout: Layout{Family: family, Gen: gen, Table: t.Name, Root: chainName(gen, t.Name), Exact: true, Whole: true}, pins: pins}
	names := map[string]string{}
	for i, c := range t.Chains {
		names[c.Name] = wholeName(gen, t.Name, i)
	}
	for i, c := range t.Chains {
		if c.BuiltIn() {
			base := baseName(gen, t.Name, i)
			b.Entries = append(b.Entries, Entry{
				Hook: c.Base.Hook, Priority: c.Base.Priority, NAT: c.Base.Type == ruleset.NAT, Chain: c.Name,
				Rules: []Rule{{Ask: b.enter(c.Base), Jump: base}},
			})
			b.chain(base, Rule{Jump: names[c.Name]}, Rule{Policy: c.Base.Policy.String()})
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

// baseName is the name of the chain that leads to such a chain, and to its policy.
func baseName(gen uint32, table string, i int) string {
	return fmt.Sprintf("%s-b%d", chainName(gen, table), i)
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
