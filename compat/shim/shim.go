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
//	bpftables7-f-a0: -m bpf bit 0 -g bpftables7-f-a1 the number of the action is odd
//	                 -m bpf take -j LOG              action 0
//	bpftables7-f-a1: -m bpf take -j REJECT           action 1
//	bpftables7-f-end: -m bpf drop -j DROP            the verdict that follows the actions
package shim

import (
	"fmt"
	"math"
	"math/bits"
	"slices"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

// Targets lays out the actions of a table that runs in BPF. pins is the directory
// of the generation's pins. Nil when the table has no such actions.
func Targets(family packet.Family, t *plan.Table, gen uint32, pins string) *Layout {
	b := &builder{Layout: Layout{Family: family, Gen: gen, Table: t.Name, Root: chainName(gen, t.Name)}, pins: pins}
	if translates(t) || t.Alone() && len(t.Actions) > 0 {
		b.each(t)
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
	if parted(t) {
		b.parts(t)
		return &b.Layout
	}
	for _, h := range t.Hooks {
		if h.Shim {
			b.entry(h, b.Root)
		}
	}
	b.actions(b.Root, numbered(t), steps(t))
	return &b.Layout
}

// translates says whether netfilter asks the base chains of a table about the first packets
// of connections.
func translates(t *plan.Table) bool {
	return len(t.Hooks) > 0 && t.Hooks[0].NAT
}

// each lays out a table whose base chains have matches of their own. Where they translate
// addresses they are there without actions, too: where one is, connections that nothing
// translates are kept apart from others (nf_nat_alloc_null_binding(), net/netfilter/nf_nat_core.c). Each has its own tree, of those
// actions that may stand there, and that packets can be given there.
func (b *builder) each(t *plan.Table) {
	for i, h := range t.Hooks {
		b.at = h
		root := fmt.Sprintf("%s-b%d", b.Root, i)
		here := actionsAt(t, h.Hook)
		if !h.NAT {
			here = slices.DeleteFunc(here, func(a action) bool { return !slices.Contains(h.Met, a.number) })
		}
		if !h.Shim || len(here) == 0 {
			if h.NAT {
				b.Entries = append(b.Entries, entry(h))
			}
			continue
		}
		b.entry(h, root)
		if h.NAT {
			b.around(h)
		}
		b.actions(root, here, steps(t))
	}
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
func (b *builder) parts(t *plan.Table) {
	for _, h := range t.Hooks {
		here := actionsAt(t, h.Hook)
		if !h.Shim || len(here) == 0 {
			continue
		}
		root := fmt.Sprintf("%s%d", b.Root, h.Hook)
		b.entry(h, root)
		b.actions(root, here, steps(t))
	}
}

// steps are how many actions a packet can have: one more may come with changes in place.
func steps(t *plan.Table) int { return min(t.Longest+1, plan.MaxRuns) }

// action is an action of a table and its number.
type action struct {
	number int
	effect pred.Effect
}

func numbered(t *plan.Table) []action {
	out := make([]action, len(t.Actions))
	for i, a := range t.Actions {
		out[i] = action{i, a.Effect}
	}
	return out
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

// actions adds the chains that run actions, one after the other, in the order of a note. The
// steps stand side by side, as nf_tables nests at most 16 jumps (NFT_JUMP_STACK_SIZE).
func (b *builder) actions(root string, all []action, longest int) {
	high := bits.Len(uint(all[len(all)-1].number))
	end := root + "-end"
	at := len(b.Chains)
	b.chain(root)
	top := b.tree(root, all, high, Bit, b.take)
	b.Chains[at].Rules = append(b.steps(root, top, end, max(longest, 1)), Rule{Policy: "DROP"})
	b.chain(end, Rule{Ask: b.ask(DropNoted), Policy: "DROP"})
}

// mostSteps is how many steps stand in one chain.
const mostSteps = plan.MaxNotes

// steps are rules that go to a chain so many times, until no action is left. Many stand in a chain of their
// own, which is gone through several times; its other end is an empty chain, from which packets come back.
func (b *builder) steps(root, top, end string, n int) (rules []Rule) {
	if n > mostSteps {
		round, back := root+"-r", root+"-back"
		b.chain(back)
		at := len(b.Chains)
		b.chain(round)
		b.Chains[at].Rules = b.steps(root, top, back, mostSteps)
		top, n = round, (n+mostSteps-1)/mostSteps
	}
	for range n {
		rules = append(rules, Rule{Jump: top}, Rule{Ask: b.ask(Done), Goto: end})
	}
	return rules
}

// take is the rule that runs an action. What says how a packet is to be tracked leaves those alone of which
// something is said: xt_CT looks for that itself, nf_tables' expressions look less closely
// (nft_ct_set_zone_eval(), nft_notrack_eval(), net/netfilter/nft_ct.c).
func (b *builder) take(a action) Rule {
	r := Rule{Ask: b.ask(Take), Effect: a.effect}
	switch {
	case b.late && endsBehindConntrack(a.effect):
		r.Own = b.ask(TakeLate)
	case pred.Untracks(a.effect) || pred.Attaches(a.effect):
		r.Own = b.ask(TakeUnmet)
	}
	return r
}

// tree adds the chains that lead to one of some actions, whose numbers differ in their low bits,
// and gives the first. Each asks for the bits from the highest on, and has the rule of the action
// whose remaining bits are all 0 at its end.
func (b *builder) tree(root string, some []action, low int, bit Kind, leaf func(action) Rule) string {
	name := fmt.Sprintf("%s-a%d", root, some[0].number>>low<<low)
	at := len(b.Chains)
	b.chain(name)
	var rules []Rule
	for low > 0 && len(some) > 0 {
		low--
		i := slices.IndexFunc(some, func(a action) bool { return a.number>>low&1 == 1 })
		if i < 0 {
			rules = append(rules, Rule{Ask: b.askBit(bit, low), Policy: "DROP"}) // there is none
			continue
		}
		rules = append(rules, Rule{Ask: b.askBit(bit, low), Goto: b.tree(root, some[i:], low, bit, leaf)})
		some = some[:i]
	}
	if len(some) > 0 {
		rules = append(rules, leaf(some[0]))
	}
	b.Chains[at].Rules = rules
	return name
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
