package iptables

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/target"
)

// tableEdit is a table while its lines are read; it allows and refuses what libiptc
// does. Faults of it have no column of their own.
type tableEdit struct {
	name      string
	family    packet.Family
	base      *ruleset.Table // what it was when this part of the text began
	changed   bool           // false: COMMIT does nothing
	argv      bool           // for a command line
	pos       ruleset.Pos
	chains    map[string]*chainEdit
	order     []*chainEdit                    // built-in chains first, then as they came
	moved     map[*ruleset.Rule]*ruleset.Rule // see TableReport.Moved
	baseRules map[*ruleset.Rule]bool          // see live
	keys      map[*ruleset.Rule]string        // see key
	columns   map[*ruleset.Rule]map[int]int   // see placeWords
	placed    map[*ruleset.Rule]int           // by which command, if it was not -A
}

// chainEdit is a chain of it.
type chainEdit struct {
	name     string
	policy   string
	counters ruleset.Counters
	shown    ruleset.Counters // of the policy, in listings: what was counted until now
	pos      ruleset.Pos
	rules    ruleList
	refs     int // rules that jump here
	jump     ruleset.Target
}

// newTableEdit starts from a table, or from that of the kernel when base is nil.
func newTableEdit(name string, family packet.Family, base *ruleset.Table) *tableEdit {
	t := &tableEdit{name: name, family: family, base: base, chains: map[string]*chainEdit{}}
	from := base
	if from == nil {
		from = tables.New(name, family)
	}
	for _, c := range from.Chains {
		// Policy counters start anew with every change of a table that does not
		// give them (TC_COMMIT in libiptc/libiptc.c).
		e := &chainEdit{name: c.Name, policy: tables.PolicyOf(c), shown: c.Counters, pos: c.Pos, rules: newRuleList(c.Rules)}
		t.chains[c.Name] = e
		t.order = append(t.order, e)
	}
	for _, c := range t.order {
		for _, r := range c.rules.all() {
			t.count(r, 1)
		}
	}
	return t
}

// count keeps the number of references of the chain that a rule jumps to.
func (t *tableEdit) count(r *ruleset.Rule, by int) {
	if name, ok := jumpChain(r.Target); ok {
		if c := t.chains[name]; c != nil {
			c.refs += by
		}
	}
}

// flushAll removes all rules and user chains; policies stay.
func (t *tableEdit) flushAll() {
	var kept []*chainEdit
	for _, c := range t.order {
		c.rules.clear()
		c.refs = 0
		if c.policy == "" {
			delete(t.chains, c.name)
			continue
		}
		kept = append(kept, c)
	}
	t.order = kept
}

func (t *tableEdit) flush(c *chainEdit) {
	for _, r := range c.rules.all() {
		t.count(r, -1)
	}
	c.rules.clear()
}

// create makes a user chain.
func (t *tableEdit) create(name string, pos ruleset.Pos) *fault {
	if t.chains[name] != nil || standardTarget(name) {
		return &fault{thing: name, what: "chain already exists", fix: "name it once, or choose another name", said: saidRules(saidExists)}
	}
	c := &chainEdit{name: name, pos: pos}
	t.chains[name] = c
	t.order = append(t.order, c)
	return nil
}

// remove deletes a user chain.
func (t *tableEdit) remove(name string) *fault {
	c := t.chains[name]
	if c == nil {
		return t.missing(name)
	}
	return t.removeWith(c, c.rules.len(), c.refs)
}

// removeWith deletes a chain that has so many rules, and to which so many jump.
func (t *tableEdit) removeWith(c *chainEdit, rules, refs int) *fault {
	name := c.name
	switch {
	case c.policy != "":
		return &fault{thing: name, what: "a built-in chain cannot be deleted", fix: "flush it with -F", said: saidRules(saidInvalid).onNFT(SaidOfRules, "Directory not empty")}
	case refs > 0:
		return &fault{thing: name, what: "chain still has references", fix: "delete the rules that jump to it first",
			said: saidRules("Too many links").onNFT(SaidByKernel, "CHAIN_DEL failed (Device or resource busy): chain %s", name)}
	case rules > 0:
		return &fault{thing: name, what: "chain is not empty", fix: "flush it with -F first",
			said: saidRules("Directory not empty").onNFT(SaidByKernel, "CHAIN_DEL failed (Device or resource busy): chain %s", name)}
	}
	delete(t.chains, name)
	t.order = slices.Delete(t.order, slices.Index(t.order, c), slices.Index(t.order, c)+1)
	return nil
}

// rename gives a user chain another name. Rules that jump to it are written anew;
// t.moved remembers which they were.
func (t *tableEdit) rename(name, to string) *fault {
	c := t.chains[name]
	switch {
	case t.chains[to] != nil || standardTarget(to):
		said := saidRules("File exists")
		if t.chains[to] == nil && (c == nil || c.policy != "") {
			said.NFT = saidRules(saidNoName)
		}
		return &fault{thing: to, what: "chain already exists", fix: "choose another name", said: said}
	case c == nil || c.policy != "":
		return &fault{thing: name, what: "no such user chain in table " + t.name, fix: "only user chains can be renamed", said: saidRules(saidNoName)}
	case len(to) > 31:
		return &fault{thing: to, what: "chain name too long", fix: fmt.Sprintf("at most %d characters", nameMax), said: saidLong(to)}
	}
	delete(t.chains, name)
	to = to[:min(len(to), nameMax+1)] // what the kernel has room for
	c.name = to
	c.jump = nil
	t.chains[to] = c
	for _, other := range t.order {
		rules := other.rules.all()
		for i, r := range rules {
			if jump, ok := jumpChain(r.Target); ok && jump == name {
				rules[i] = t.retarget(r, c)
			}
		}
	}
	return nil
}

func (t *tableEdit) retarget(r *ruleset.Rule, c *chainEdit) *ruleset.Rule {
	anew := *r
	anew.Target, anew.Source = c.jumpHere(), 0
	return t.replaced(r, &anew)
}

// replaced notes that a rule goes on as another one.
func (t *tableEdit) replaced(r, anew *ruleset.Rule) *ruleset.Rule {
	first := r
	if before, ok := t.moved[r]; ok {
		first = before
		delete(t.moved, r)
	}
	if t.moved == nil {
		t.moved = map[*ruleset.Rule]*ruleset.Rule{}
	}
	t.moved[anew] = first
	return anew
}

func (c *chainEdit) jumpHere() ruleset.Target {
	if c.jump == nil {
		c.jump = target.NewJump(c.name)
	}
	return c.jump
}

func (t *tableEdit) missing(name string) *fault {
	f := &fault{thing: name, what: "no such chain in table " + t.name,
		fix: fmt.Sprintf("create it before, with \":%s - [0:0]\"", name), said: saidRules(saidNoName)}
	if t.argv {
		f.fix = "create it before, with -N " + name
	}
	return f
}

// zero sets the counters of a chain, or of one of its rules, to 0. Counters that the
// text itself gives stay, as in libiptc.
func (t *tableEdit) zero(c *chainEdit, number int) *fault {
	rules := c.rules.all()
	if number > len(rules) {
		return noCounters(c, number, len(rules))
	}
	for i, r := range rules {
		if (number != 0 && i != number-1) || !t.live(r) {
			continue
		}
		anew := *r
		anew.Counters = ruleset.Counters{}
		delete(t.moved, r)
		rules[i] = &anew
	}
	return nil
}

// noCounters is the fault of a rule's number, where there are so many rules.
func noCounters(c *chainEdit, number, rules int) *fault {
	return &fault{thing: c.name, what: fmt.Sprintf("has no rule %d", number), fix: fmt.Sprintf("it has %d rules", rules),
		said: saidTooBig(cmdZeroNum).onNFT(SaidOfRules, saidBadRule)}
}

// live says whether the counters of a rule go on from what was there.
func (t *tableEdit) live(r *ruleset.Rule) bool {
	if _, ok := t.moved[r]; ok || t.base == nil {
		return ok
	}
	if t.baseRules == nil {
		t.baseRules = rulesOf(t.base)
	}
	return t.baseRules[r]
}

func rulesOf(t *ruleset.Table) map[*ruleset.Rule]bool {
	all := map[*ruleset.Rule]bool{}
	for _, c := range t.Chains {
		for _, r := range c.Rules {
			all[r] = true
		}
	}
	return all
}

// setPolicy sets the policy of a built-in chain; its counters start with n.
func (t *tableEdit) setPolicy(c *chainEdit, policy string, n ruleset.Counters) *fault {
	switch {
	case c.policy == "":
		return &fault{thing: c.name, what: "a user chain has no policy", fix: "give - for it", said: saidRules("Bad built-in chain name")}
	case !validPolicy(policy):
		return &fault{thing: c.name, what: fmt.Sprintf("bad policy %q", policy), fix: "give ACCEPT or DROP", said: saidRules(saidPolicy)}
	}
	c.policy, c.counters, c.shown = policy, n, n
	return nil
}

func validPolicy(word string) bool {
	_, ok := tables.ParsePolicy(word)
	return ok
}

// find gives the position of the first rule equal to r in all but its counters, or -1.
func (t *tableEdit) find(c *chainEdit, r *ruleset.Rule) int {
	want := ""
	for i, have := range c.rules.all() {
		if have.Goto != r.Goto || len(have.Matches) != len(r.Matches) || (have.Target == nil) != (r.Target == nil) {
			continue
		}
		if have.Target != nil && have.Target.Word() != r.Target.Word() {
			continue
		}
		if want == "" {
			want = key(r)
		}
		if t.key(have) == want {
			return i
		}
	}
	return -1
}

// key is that of a rule, kept for the next -D.
func (t *tableEdit) key(r *ruleset.Rule) string {
	if k, ok := t.keys[r]; ok {
		return k
	}
	if t.keys == nil {
		t.keys = map[*ruleset.Rule]string{}
	}
	t.keys[r] = key(r)
	return t.keys[r]
}

// finish makes the table: built-in chains in hook order, then user chains by name,
// as libiptc keeps them.
func (t *tableEdit) finish() *ruleset.Table {
	out := &ruleset.Table{Family: t.family, Name: t.name, Owner: tables.Owner, Pos: t.pos}
	for _, c := range t.sorted() {
		out.AddChain(&ruleset.Chain{Name: c.name, Base: tables.Base(t.name, c.name, c.policy), Counters: c.counters, Rules: c.rules.finished(), Pos: c.pos})
	}
	return out
}

// listed is the table as -L and -S show it.
func (t *tableEdit) listed() *ruleset.Table {
	out := t.finish()
	for i, c := range t.sorted() {
		out.Chains[i].Counters = c.shown
	}
	return out
}

// sorted gives the chains in the order in which libiptc walks them.
func (t *tableEdit) sorted() []*chainEdit {
	user := t.order[len(tables.BuiltIns(t.name)):]
	slices.SortStableFunc(user, func(a, b *chainEdit) int { return strings.Compare(a.name, b.name) })
	return slices.Clone(t.order)
}
