package shim

import (
	"fmt"
	"math"
	"math/bits"
	"slices"

	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

// The chains that lead to an action are a tree over the bits of its number, the highest first. A chain
// asks for one bit after the other: where it is set, the packet goes on in another chain, and where it is not, in
// this one. So a number is found behind as many jumps as it has bits that are set. Each question costs a packet
// some 90 ns.
//
// A few actions, as those of POSTROUTING often are, stand in one chain, and are asked for by their whole
// numbers. Where there are many, the first ones are asked for before all bits: what many rules ask for, as for the
// mark of kube-proxy, is met first when rules are numbered.
//
// nf_tables nests at most 16 chains, whichever way they are led to (NFT_JUMP_STACK_SIZE;
// nft_chain_validate(), net/netfilter/nf_tables_api.c). Where numbers have more bits than that leaves, the
// highest are asked for in pairs: one jump for both costs a packet a quarter of a question more.

// leafBits are the lowest bits of a number: actions that differ in them alone stand in one chain, each with the program
// that takes it if it is the one that is wanted.
var leafBits = bits.Len(plan.Leaf - 1)

const (
	// jumpsLeft is how many chains may follow on the first ones of a tree, to which the base chain, the chain with
	// the steps, and that with rounds of steps lead.
	jumpsLeft = 16 - 5
	// mostFew is how many actions are few.
	mostFew = 6
	// firstFrom is from how many bits on the first actions are asked for before all bits but the lowest.
	firstFrom = 3
)

// action is an action of a table, by its number.
type action struct{ number int }

// numbered are the first n.
func numbered(n int) []action {
	out := make([]action, n)
	for i := range out {
		out[i].number = i
	}
	return out
}

// before are those of some, in order, with smaller numbers.
func before(all []action, number int) []action {
	i, _ := slices.BinarySearchFunc(all, number, func(a action, n int) int { return a.number - n })
	return all[:i]
}

// steps are how many actions a packet can have: one more may come with changes in place.
func steps(t *plan.Table) int { return min(t.Longest+1, plan.MaxRuns) }

// actions adds the chains that run actions, one after the other, in the order of a note. The
// steps stand side by side, so that they do not nest.
func (b *builder) actions(root string, all []action, longest int) {
	end := root + "-end"
	if b.growing != nil {
		had, some := b.changes(all)
		to := b.branches(root, Bit, leafBits, b.take)
		to.same = min(to.single(had), to.single(all))
		if to.shape(had) != to.shape(all) {
			to.same = -1
		}
		if b.growing.before {
			all = had
		}
		if some {
			to.from(all)
		}
		if b.growing.same || b.failed {
			return
		}
	}
	at := len(b.Chains)
	b.chain(root)
	top := root + "-a0"
	if b.growing == nil {
		b.branches(root, Bit, leafBits, b.take).from(all)
	}
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
	effect, err := b.effect(a.number)
	if err != nil {
		b.err = err
		return Rule{Policy: "DROP"}
	}
	r := Rule{Ask: b.askLeaf(Take, a), Effect: effect}
	if writesFirst(b.Family, effect) {
		r.Is = b.askLeaf(Wanted, a)
	}
	switch {
	case b.late && endsBehindConntrack(effect):
		r.Own = b.askLeaf(TakeLate, a)
	case pred.Untracks(effect) || pred.Attaches(effect):
		r.Own = b.askLeaf(TakeUnmet, a)
	}
	return r
}

// branches are the chains of a tree.
type branches struct {
	*builder
	root string
	bit  Kind // the program that tells bits
	leaf func(action) Rule
	low  int // bits that the rules of a leaf tell apart
	one  int // up to where bits are asked for one by one
	same int // up to where they are whether or not the actions have become more
}

func (b *builder) branches(root string, bit Kind, low int, leaf func(action) Rule) *branches {
	return &branches{builder: b, root: root, bit: bit, leaf: leaf, low: low}
}

// from adds the chains for some actions, and gives the first.
func (b *branches) from(all []action) string {
	b.one = b.single(all)
	name := b.name(0)
	b.few = b.shape(all) == few
	switch b.shape(all) {
	case few:
		at := len(b.Chains)
		b.chain(name)
		b.Chains[at].Rules = b.leaves(all)
	case firstApart:
		i := slices.IndexFunc(all, func(a action) bool { return a.number >= 1<<b.low })
		at, rest := len(b.Chains), b.root+"-a"
		b.chain(name)
		b.add(rest, all[i:], b.high(all))
		ask := b.askOf(Program{Name: string(AnyBit), Kind: AnyBit, Bits: math.MaxUint32 << b.low})
		b.Chains[at].Rules = append([]Rule{{Ask: ask, Goto: rest}}, b.leaves(all[:i])...)
	default:
		b.add(name, all, b.high(all))
	}
	b.few = false
	return name
}

// The shapes of a tree.
const (
	byBits     = iota
	few        // one chain
	firstApart // the first actions are asked for before all others
)

func (b *branches) shape(all []action) int {
	switch {
	case b.low == 0:
		return byBits
	case len(all) <= mostFew:
		return few
	case b.high(all)-b.low >= firstFrom:
		return firstApart
	}
	return byBits
}

func (b *branches) leaves(some []action) (rules []Rule) {
	for _, a := range some {
		rules = append(rules, b.leaf(a))
	}
	return rules
}

// high is how many bits the numbers of actions have.
func (b *branches) high(all []action) int {
	if len(all) == 0 {
		return b.low
	}
	return max(bits.Len(uint(all[len(all)-1].number)), b.low)
}

// single is up to where bits are asked for one by one.
func (b *branches) single(all []action) int {
	asked := b.high(all) - b.low
	return b.low + min(asked, 2*jumpsLeft-asked)
}

// stays says whether the chains for the numbers from one on, with so many bits that differ, are as they were before the
// actions became more.
func (b *branches) stays(first, below int) bool {
	return b.growing != nil && bits.TrailingZeros(uint(first)) <= b.same && first+1<<below <= b.growing.had
}

// add adds the chains that lead to one of some actions, whose numbers differ in their bits below
// one; the first has the name.
func (b *branches) add(name string, some []action, below int) {
	at := len(b.Chains)
	b.chain(name)
	var rules []Rule
	for below > b.low && len(some) > 0 {
		asked := 1
		if below > b.one {
			asked = 2
		}
		below -= asked
		for value := 1<<asked - 1; value > 0; value-- {
			var rule Rule
			rule, some = b.branch(some, value<<below, below)
			rules = append(rules, rule)
		}
	}
	b.Chains[at].Rules = append(rules, b.leaves(some)...)
}

// name is that of the chain for the numbers from one on.
func (b *branches) name(first int) string { return fmt.Sprintf("%s-a%d", b.root, first) }

// branch gives the rule for those of some actions whose numbers have all of some bits, which are the last
// ones, and the others.
func (b *branches) branch(some []action, set, below int) (rule Rule, rest []action) {
	ask := b.askBits(b.bit, set)
	i := slices.IndexFunc(some, func(a action) bool { return a.number&set == set })
	if i < 0 {
		return Rule{Ask: ask, Policy: "DROP"}, some // there is none
	}
	first := some[i].number >> below << below
	if !b.stays(first, below) {
		b.add(b.name(first), some[i:], below)
	}
	return Rule{Ask: ask, Goto: b.name(first)}, some[:i]
}
