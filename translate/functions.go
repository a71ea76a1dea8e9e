package translate

import (
	"fmt"
	"slices"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

// Limits of BPF functions (kernel/bpf/verifier.c). Eight call frames, of which the
// hook program is one and the C functions that generated code calls need up to
// helperFrames. A function has a budget of its own for pending branches
// (BPF_COMPLEXITY_LIMIT_JMP_SEQ) and jumps over at most 32,767 instructions.
// A program has at most 256 functions (BPF_MAX_SUBPROGS), those of the C part
// included.
const (
	maxFrames    = 7
	maxFunctions = 200
	helperFrames = 2
	partWeight   = 24000
	inlineWeight = 600000
)

// functions makes the functions of every hook of the table.
func (t *table) functions() {
	t.classify()
	for _, c := range t.src.Chains {
		if !c.BuiltIn() {
			continue
		}
		h := c.Base.Hook
		b := &hookBuilder{table: t, bit: 1 << h, sizes: map[*ruleset.Chain]int{}, inline: map[*ruleset.Chain]bool{}}
		hook, err := b.build(c, h)
		if err != "" {
			t.out.Reasons = append(t.out.Reasons, plan.Reason{Pos: c.Pos.String(), Thing: "chain " + c.Name, Why: err})
			return
		}
		t.out.Hooks = append(t.out.Hooks, hook)
	}
	if t.out.Alone() && t.shims {
		t.part()
	}
}

// part gives each base chain the actions that packets can be given in it: others, the kernel
// might refuse there.
func (t *table) part() {
	i := 0
	for _, c := range t.src.Chains {
		if !c.BuiltIn() {
			continue
		}
		if h := t.out.Hooks[i]; !h.NAT {
			h.Met = t.met(c)
			h.Shim = len(h.Met) > 0
		}
		i++
	}
}

// met are the numbers of the actions that a base chain reaches, sorted.
func (t *table) met(base *ruleset.Chain) (out []int) {
	seen := map[*ruleset.Chain]bool{}
	var visit func(c *ruleset.Chain)
	visit = func(c *ruleset.Chain) {
		if c == nil || seen[c] {
			return
		}
		seen[c] = true
		for _, r := range c.Rules {
			if a := t.lines[r].action; a.Op == pred.Do && !slices.Contains(out, t.numbers[a.Effect]) {
				out = append(out, t.numbers[a.Effect])
			}
			visit(t.src.Chain(t.callee(r)))
		}
	}
	visit(base)
	slices.Sort(out)
	return out
}

// hookBuilder makes the functions of one hook.
type hookBuilder struct {
	*table
	bit     uint8
	sizes   map[*ruleset.Chain]int // weight of the rules, inlined callees included
	inline  map[*ruleset.Chain]bool
	symbols map[*ruleset.Chain]string
	hook    *plan.Hook
}

func (b *hookBuilder) build(base *ruleset.Chain, h packet.Hook) (*plan.Hook, string) {
	b.hook = &plan.Hook{Hook: h, Priority: base.Base.Priority, NAT: base.Base.Type == ruleset.NAT,
		Route: base.Base.Type == ruleset.Route, Shim: len(b.out.Actions) > 0}
	why := b.shape(base)
	if b.crowded && why != "" {
		return nil, fmt.Sprintf("it reaches more chains and rules than a BPF program can have, and of more than %d chains none are looked up", plan.MaxClasses)
	}
	if why != "" && b.classifyAll(base) {
		why = ""
	}
	if why != "" {
		return nil, why
	}
	b.symbols = map[*ruleset.Chain]string{base: "chain"}
	b.emit(base)
	return b.hook, ""
}

// shape decides which chains are put inline, so that the rest fits into a program.
func (b *hookBuilder) shape(base *ruleset.Chain) (why string) {
	for {
		frames := b.frames(base, map[*ruleset.Chain]int{})
		if frames <= maxFrames {
			break
		}
		if !b.inlineDeepest(base, max(1, frames-2*maxFrames)) {
			return "its jumps nest deeper than BPF calls can, and the chains are too long to be copied in place"
		}
		clear(b.sizes)
		if b.total(base) > inlineWeight {
			return "its jumps nest deeper than BPF calls can, and copying the chains in place would make too long a program"
		}
	}
	if !b.inlineSmall(base) {
		return "it reaches more chains and rules than a BPF program can have"
	}
	if b.longRule(base) {
		return "its jumps nest deeper than BPF calls can, and a chain is too long to be copied in place of a jump"
	}
	return ""
}

// longRule says whether there is a rule that no function can hold: a jump with all that
// is copied instead of it.
func (b *hookBuilder) longRule(base *ruleset.Chain) bool {
	callers := b.callers(base)
	for _, c := range b.src.Chains {
		if c != base && callers[c] == 0 || b.inline[c] || b.classes[c] != nil {
			continue
		}
		if slices.ContainsFunc(c.Rules, func(r *ruleset.Rule) bool { return b.ruleSize(r) > partWeight }) {
			return true
		}
	}
	return false
}

// inlineSmall puts chains inline until the program has few enough functions, first
// those that grow it least. False when that is not possible.
func (b *hookBuilder) inlineSmall(base *ruleset.Chain) bool {
	for {
		callers := b.callers(base)
		functions := 0
		var small []*ruleset.Chain
		for _, c := range b.src.Chains {
			if callers[c] == 0 || b.inline[c] {
				continue
			}
			functions += 1 + b.size(c)*5/4/partWeight
			if c != base && b.classes[c] == nil && b.size(c) < partWeight/2 {
				small = append(small, c)
			}
		}
		excess := functions - maxFunctions
		if excess <= 0 {
			return true
		}
		if len(small) == 0 || b.total(base) > inlineWeight {
			return false
		}
		growth := func(c *ruleset.Chain) int { return b.size(c) * (callers[c] - 1) }
		slices.SortStableFunc(small, func(x, y *ruleset.Chain) int { return growth(x) - growth(y) })
		for _, c := range small[:min(len(small), 1+excess/2)] {
			b.inline[c] = true
		}
		clear(b.sizes)
	}
}

// total is the weight of all functions.
func (b *hookBuilder) total(base *ruleset.Chain) int {
	n := 0
	for c := range b.callers(base) {
		if !b.inline[c] {
			n += b.size(c)
		}
	}
	return n
}

// callers counts the rules that call each chain that can be reached.
func (b *hookBuilder) callers(base *ruleset.Chain) map[*ruleset.Chain]int {
	out := map[*ruleset.Chain]int{base: 1}
	todo := []*ruleset.Chain{base}
	for len(todo) > 0 {
		c := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, callee := range b.callees(c) {
			if out[callee] == 0 {
				todo = append(todo, callee)
			}
			out[callee]++
		}
	}
	return out
}

// callees are the chains that rules of c call as functions, in order.
func (b *hookBuilder) callees(c *ruleset.Chain) []*ruleset.Chain {
	if b.classes[c] != nil {
		return nil
	}
	var out []*ruleset.Chain
	for _, r := range c.Rules {
		if name := b.callee(r); name != "" {
			out = append(out, b.src.Chain(name))
		}
	}
	return out
}

// frames is the number of call frames that a chain needs as a function.
func (b *hookBuilder) frames(c *ruleset.Chain, memo map[*ruleset.Chain]int) int {
	if n, ok := memo[c]; ok {
		return n
	}
	if b.classes[c] != nil {
		memo[c] = b.classCalls(c, map[*ruleset.Chain]bool{})
		return memo[c]
	}
	deepest := 0
	if b.callsHelper(c) {
		deepest = helperFrames
	}
	for _, callee := range b.callees(c) {
		n := b.frames(callee, memo)
		if b.inline[callee] {
			n-- // its own frame is the caller's
		}
		deepest = max(deepest, n)
	}
	n := 1 + deepest
	if b.size(c) > partWeight && !b.inline[c] {
		n++
	}
	memo[c] = n
	return n
}

// callsHelper says whether the rules of a chain may call functions of the C part.
func (b *hookBuilder) callsHelper(c *ruleset.Chain) bool {
	if b.asks[c] {
		return true
	}
	for _, r := range c.Rules {
		if l := b.lines[r]; l != nil && l.action.Op == pred.Do {
			return true
		}
	}
	return false
}

// inlineDeepest puts the chains inline that stand at the end of the longest call
// paths, so that these become shorter by some steps. False when there is nothing left to put
// inline.
func (b *hookBuilder) inlineDeepest(base *ruleset.Chain, steps int) bool {
	depth := map[*ruleset.Chain]int{base: 1}
	for _, c := range b.order {
		d, met := depth[c]
		if !met {
			continue
		}
		for _, callee := range b.callees(c) {
			step := 1
			if b.inline[callee] {
				step = 0
			}
			depth[callee] = max(depth[callee], d+step)
		}
	}
	deepest := 1
	for c, d := range depth {
		if !b.inline[c] && b.classes[c] == nil {
			deepest = max(deepest, d)
		}
	}
	for c, d := range depth {
		if d > deepest-steps && c != base && b.classes[c] == nil {
			b.inline[c] = true
		}
	}
	return deepest > 1
}

// emit adds the function of a chain, before those that it calls.
func (b *hookBuilder) emit(c *ruleset.Chain) {
	f := &plan.Func{Symbol: b.symbols[c], Chain: c.Name}
	if c.BuiltIn() {
		f.Policy = &plan.Policy{ID: b.policyID(c), Drop: c.Base.Policy == ruleset.Drop}
	}
	b.hook.Funcs = append(b.hook.Funcs, f)
	if f.Class = b.classes[c]; f.Class != nil {
		f.Policy = nil
		return
	}
	if b.size(c) > partWeight {
		b.emitParts(f, c)
		return
	}
	f.Rules = b.rules(c)
}

// emitParts splits a long chain into functions that the chain calls in turn.
func (b *hookBuilder) emitParts(f *plan.Func, c *ruleset.Chain) {
	var part *plan.Func
	filled := 0
	for _, r := range c.Rules {
		size := b.ruleSize(r)
		if part == nil || filled+size > partWeight {
			part = &plan.Func{Symbol: fmt.Sprintf("%s_%d", f.Symbol, len(f.Parts)), Chain: c.Name, Part: true}
			f.Parts = append(f.Parts, part.Symbol)
			b.hook.Funcs = append(b.hook.Funcs, part)
			filled = 0
		}
		part.Rules = append(part.Rules, b.rule(r, c))
		filled += size
	}
}

func (b *hookBuilder) rules(c *ruleset.Chain) []*plan.Rule {
	out := make([]*plan.Rule, len(c.Rules))
	for i, r := range c.Rules {
		out[i] = b.rule(r, c)
	}
	return out
}

func (b *hookBuilder) rule(r *ruleset.Rule, c *ruleset.Chain) *plan.Rule {
	b.coded[c] = true
	out := b.planned(r)
	out.Text = b.text(r, c.Name)
	switch l := b.lines[r]; l.action.Op {
	case pred.Jump, pred.Goto:
		callee := b.src.Chain(l.action.Chain)
		if out.Class = b.classes[callee]; out.Class != nil {
			break
		}
		if b.inline[callee] {
			out.Inline = b.rules(callee)
			if out.Inline == nil {
				out.Inline = []*plan.Rule{}
			}
			break
		}
		out.Call = b.function(callee)
	}
	return out
}

// planned is a rule as the plan has it, without what it calls.
func (t *table) planned(r *ruleset.Rule) *plan.Rule {
	l := t.lines[r]
	out := &plan.Rule{ID: t.ruleID(r), Action: *l.action, Pos: r.Pos.String(), Ends: r.Ends()}
	out.Conds = make([]pred.Pred, len(l.conds))
	limits, nths, recents := len(t.res.Plan.Limits), len(t.res.Plan.Nths), len(t.res.Plan.Recents)
	for i, p := range l.conds {
		out.Conds[i] = t.slots.assign(p, stateKey{r, i})
	}
	for ; limits < len(t.res.Plan.Limits); limits++ {
		t.out.Limits = append(t.out.Limits, plan.Slot{Rule: out.ID, Slot: limits})
	}
	for ; nths < len(t.res.Plan.Nths); nths++ {
		t.out.Nths = append(t.out.Nths, plan.Slot{Rule: out.ID, Slot: nths})
	}
	for ; recents < len(t.res.Plan.Recents); recents++ {
		t.out.Recents = append(t.out.Recents, plan.Slot{Rule: out.ID, Slot: recents})
	}
	if slices.ContainsFunc(out.Conds, func(p pred.Pred) bool { return pred.Any(p, pred.Keeps) }) {
		t.out.Keepers = append(t.out.Keepers, out.ID)
	}
	if l.action.Op == pred.Do {
		out.Number = t.numbers[l.action.Effect]
	}
	return out
}

// stateKey identifies the state of a stateful match: the rule and the match.
type stateKey struct {
	rule  *ruleset.Rule
	match int
}

func (b *hookBuilder) function(c *ruleset.Chain) string {
	if s, ok := b.symbols[c]; ok {
		return s
	}
	s := fmt.Sprintf("c%d", len(b.symbols))
	b.symbols[c] = s
	b.emit(c)
	return s
}

func (t *table) ruleID(r *ruleset.Rule) uint32 {
	if id, ok := t.res.Rules[r]; ok {
		return id
	}
	id := t.nextID()
	t.res.Rules[r] = id
	return id
}

func (t *table) policyID(c *ruleset.Chain) uint32 {
	if id, ok := t.res.Policies[c]; ok {
		return id
	}
	id := t.nextID()
	t.res.Policies[c] = id
	return id
}

func (t *table) nextID() uint32 {
	t.res.Plan.Counters++
	return uint32(t.res.Plan.Counters - 1)
}
