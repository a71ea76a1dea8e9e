package edit_test

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"math/rand"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/bpf/attach"
	"github.com/bpftables/bpftables/codegen"
	"github.com/bpftables/bpftables/codegen/rows"
	"github.com/bpftables/bpftables/codegen/rows/edit"
	"github.com/bpftables/bpftables/compat/shim"
	"github.com/bpftables/bpftables/conformance/gen"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/interp"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate"
	"github.com/bpftables/bpftables/translate/plan"
)

var (
	seed  = flag.Int64("seed", 1, "of rules, edits and packets")
	edits = flag.Int("edits", 40, "how many batches of edits, for each run")
)

// TestEdit edits chains at random and compares what packets meet with package interp,
// after every batch.
func TestEdit(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("REQUIRE_KERNEL") != "" {
			t.Fatal("needs root")
		}
		t.Skip("needs root")
	}
	for i, family := range []packet.Family{packet.IPv4, packet.IPv6} {
		for _, size := range []int{2, 60} {
			t.Run(fmt.Sprintf("%s %d", family, size), func(t *testing.T) {
				newEditor(t, family, *seed*100+int64(i), size).run(*edits)
			})
		}
	}
}

// entry is a rule where it stands.
type entry struct {
	rule    *ruleset.Rule
	plan    *plan.Rule
	row, id uint32
}

// chain is what a classified chain should hold.
type chain struct {
	*plan.Class
	entries []entry
	policy  string
}

func (c *chain) clone() *chain {
	out := *c
	out.entries = slices.Clone(c.entries)
	return &out
}

// editor edits the chains of a program that runs packets, and knows what should be there.
type editor struct {
	*testing.T
	r       *rand.Rand
	family  packet.Family
	pool    map[string][]*ruleset.Rule
	in      *translate.InPlace
	classes *attach.Classes
	runner  *attach.Runner
	chains  []*chain // live
	next    []*chain // as the batch at hand leaves them
	batch   *edit.Batch
	place   map[string]int // where rules were put last, by chain
	tally   map[string]int
	serial  int
}

var names = []string{"INPUT", "user0", "user1", "user2", "user3", "user4"}

func newEditor(t *testing.T, family packet.Family, seed int64, size int) *editor {
	e := &editor{T: t, r: rand.New(rand.NewSource(seed)), family: family, pool: map[string][]*ruleset.Rule{},
		place: map[string]int{}, tally: map[string]int{}}
	for range 150 {
		e.learn(e.read(gen.Ruleset(e.r, family)))
	}
	var text strings.Builder
	text.WriteString("*filter\n")
	for _, name := range names[1:] {
		fmt.Fprintf(&text, ":%s - [0:0]\n", name)
	}
	for i, name := range names {
		for n := 0; n < size; {
			line := iptables.PrintRule(e.draw(name), name) + "\n"
			if !strings.Contains(line, "ipv6header") && (n == 0 && size < 10 || !strings.Contains(line, "LOG")) {
				text.WriteString(line)
				n++
			}
		}
		if i > 0 { // all are met
			fmt.Fprintf(&text, "-A INPUT -m comment --comment x -j %s\n", name)
		}
	}
	e.load(e.read(text.String() + "COMMIT\n"))
	return e
}

func (e *editor) read(text string) *ruleset.Ruleset {
	rs, _, err := iptables.Read(strings.NewReader(text), iptables.Options{Family: e.family, Resolver: iptables.NewResolver()})
	if err != nil {
		e.Fatalf("%v\n%s", err, text)
	}
	return rs
}

func (e *editor) learn(rs *ruleset.Ruleset) {
	for _, c := range rs.Table("filter").Chains {
		e.pool[c.Name] = append(e.pool[c.Name], c.Rules...)
	}
}

// draw gives a rule of the pool; few that end a chain for all packets.
func (e *editor) draw(name string) *ruleset.Rule {
	rules := e.pool[name]
	for {
		r := *rules[e.r.Intn(len(rules))]
		if len(r.Matches) > 0 || e.r.Intn(12) == 0 {
			return &r
		}
	}
}

// again makes the program anew from what should be there.
func (e *editor) again() {
	e.tally["again"]++
	e.load(e.read(e.text()))
}

// text is what should be there.
func (e *editor) text() string {
	var text strings.Builder
	text.WriteString("*filter\n")
	for _, c := range e.chains {
		fmt.Fprintf(&text, ":%s %s [0:0]\n", c.Chain, cmp.Or(c.policy, "-"))
	}
	for _, c := range e.chains {
		for _, one := range c.entries {
			text.WriteString(iptables.PrintRule(one.rule, c.Chain) + "\n")
		}
	}
	return text.String() + "COMMIT\n"
}

// load makes the program.
func (e *editor) load(rs *ruleset.Ruleset) {
	e.chains = nil
	res := translate.Translate(rs, translate.Options{Text: iptables.PrintRule, Classifier: translate.ClassifyTuples, Can: shim.Can})
	table := res.Plan.Tables[0]
	if len(table.Reasons) > 0 {
		e.Fatal(table.Reasons)
	}
	image, err := codegen.Image(res.Plan, rows.Drawn())
	if err != nil {
		e.Fatal(err)
	}
	progs, err := codegen.Generate(res.Plan, image)
	if err != nil {
		e.Fatal(err)
	}
	at := slices.IndexFunc(progs, func(p codegen.Program) bool { return p.Hook == packet.Input })
	if e.runner, err = attach.NewRunner(&progs[at], 1000); err != nil {
		e.Fatal(err)
	}
	e.Cleanup(func() { e.runner.Close() })
	if e.classes, err = e.runner.Classes(); err != nil {
		e.Fatal(err)
	}
	e.Cleanup(func() { e.classes.Close() })
	numbers := map[string]int{}
	actions, err := plan.NewActionList(table.Actions)
	if err != nil {
		e.Fatal(err)
	}
	e.in = &translate.InPlace{Family: e.family, Bases: tables.Bases("filter"), Actions: actions, Can: shim.Can,
		Class: func(chain string) (int, bool) { n, is := numbers[chain]; return n, is }}
	for _, class := range res.Plan.Classes {
		if class.Hooks&(1<<packet.Input) == 0 {
			continue
		}
		numbers[class.Chain] = class.Number
		source := rs.Table("filter").Chain(class.Chain)
		c := &chain{Class: class, policy: tables.PolicyOf(source)}
		i := 0
		for planned := range class.All() {
			kept, r := *planned, source.Rules[i]
			kept.Conds = slices.Clone(kept.Conds)
			id := res.Rules[r]
			c.entries = append(c.entries, entry{r, &kept, image.First[id], id})
			i++
		}
		e.chains = append(e.chains, c)
	}
}

func (e *editor) run(n int) {
	e.check()
	for range n {
		e.change()
		e.check()
		if e.r.Intn(10) == 0 {
			e.reclaim()
		}
	}
	e.Logf("%v", e.tally)
}

// change is a batch that ends in one of the ways in which batches end.
func (e *editor) change() {
	e.batch, e.next = e.classes.Edit(), nil
	for _, c := range e.chains {
		e.next = append(e.next, c.clone())
	}
	for range 1 + e.r.Intn(8) {
		if !e.one(e.next[e.r.Intn(len(e.next))]) {
			e.batch.Abort()
			if e.r.Intn(4) == 0 {
				e.again()
			}
			return
		}
	}
	e.packets(3) // they see the rules before
	switch e.r.Intn(6) {
	case 0:
		e.batch.Abort()
		e.tally["abort"]++
	case 1: // killed: the next edit takes it back
		e.tally["kill"]++
	default:
		e.batch.Publish()
		e.chains = e.next
		e.tally["publish"]++
	}
}

// one makes one edit; false: there is no room.
func (e *editor) one(c *chain) bool {
	n := len(c.entries)
	switch op := e.r.Intn(10); {
	case op < 5 || n == 0:
		return e.insert(c, e.where(c))
	case op < 8:
		e.delete(c, e.r.Intn(n))
		return true
	case op < 9:
		at := e.r.Intn(n)
		e.delete(c, at)
		return e.insert(c, at)
	}
	if c.policy == "" {
		return true
	}
	e.tally["policy"]++
	c.policy = []string{"ACCEPT", "DROP"}[e.r.Intn(2)]
	return e.room(e.batch.SetPolicy(c.Number, c.policy == "DROP"))
}

// where is the place of the next rule: often next to the last one, or an end.
func (e *editor) where(c *chain) int {
	n := len(c.entries)
	switch e.r.Intn(6) {
	case 0:
		e.place[c.Chain] = e.r.Intn(n + 1)
	case 1:
		return 0
	case 2:
		return n
	case 3:
		e.place[c.Chain]++
	}
	return min(e.place[c.Chain], n)
}

func (e *editor) insert(c *chain, at int) bool {
	r := e.draw(c.Chain)
	if e.r.Intn(8) == 0 && len(c.entries) > 0 {
		same := *c.entries[e.r.Intn(len(c.entries))].rule // more of one key
		r = &same
	}
	actions := e.in.Actions.Len()
	p := e.in.Rule(r)
	e.in.Actions.Cut(actions) // no new ones
	if p == nil || codegen.Needs(e.in.Family, p.Rule)&^e.classes.Needs(c.Number) != 0 || p.Refused&(1<<packet.Input) != 0 ||
		p.Number >= actions && p.Action.Op == pred.Do || p.Class != nil && c.Chain != "INPUT" {
		e.tally["not in place"]++
		return true
	}
	before := uint32(0)
	for i := at - 1; i >= 0 && before == 0; i-- {
		before = c.entries[i].row
	}
	row, id, err := e.batch.Insert(c.Number, before, p.Rule)
	if !e.room(err) {
		return false
	}
	e.tally["insert"]++
	c.entries = slices.Insert(c.entries, at, entry{r, p.Rule, row, id})
	return true
}

func (e *editor) delete(c *chain, at int) {
	e.tally["delete"]++
	e.batch.Delete(c.Number, c.entries[at].row)
	c.entries = slices.Delete(c.entries, at, at+1)
}

// room says whether there was room.
func (e *editor) room(err error) bool {
	if err != nil && !errors.Is(err, edit.ErrNoRoom) {
		e.Fatal(err)
	}
	if err != nil {
		e.tally[err.Error()]++
	}
	return err == nil
}

func (e *editor) reclaim() {
	e.tally["reclaim"]++
	e.classes.Reclaim()
	e.check()
}

// check looks at the memory and sends packets.
func (e *editor) check() {
	chains := make([][]edit.Living, len(e.chains))
	for _, c := range e.chains {
		for _, one := range c.entries {
			chains[c.Number] = append(chains[c.Number], edit.Living{Row: one.row, Rule: one.plan})
		}
	}
	if err := e.classes.Chains.Check(chains); err != nil {
		e.Fatal(err)
	}
	e.packets(8)
}

// packets sends some, and compares.
func (e *editor) packets(n int) {
	table := tables.New("filter", e.family)
	ids := map[*ruleset.Rule]uint32{}
	var text strings.Builder
	text.WriteString("*filter\n:INPUT ACCEPT [0:0]\n")
	for _, c := range e.chains {
		to := table.Chain(c.Chain)
		if to == nil {
			to = &ruleset.Chain{Name: c.Chain}
			table.AddChain(to)
		}
		to.Base = tables.Base("filter", c.Chain, c.policy)
		for _, one := range c.entries {
			r := *one.rule
			to.Rules = append(to.Rules, &r)
			ids[&r] = one.id
			text.WriteString(iptables.PrintRule(&r, c.Chain) + "\n")
		}
	}
	m := interp.New(e.family, table, interp.ByLower)
	e.serial++
	g := gen.New(e.family, text.String(), []string{"eth0", "eth1", "wlan0"}, int64(e.serial))
	for range n {
		for _, p := range g.Draw() {
			f := *p.Facts
			f.Hook, f.Out = packet.Input, packet.Iface{}
			if f.In.Name == "" {
				f.In.Name = "eth0"
			}
			e.packet(m, &f, ids)
		}
	}
}

// packet compares the verdicts on one packet, and who gave them.
func (e *editor) packet(m *interp.Machine, f *packet.Facts, ids map[*ruleset.Rule]uint32) {
	want := m.Run(f)
	got, err := e.runner.Run(f)
	if err != nil {
		return // not even an IP header
	}
	e.tally["packets"]++
	verdict, actions := int32(abi.Drop), []string{}
	switch {
	case want.Hotdrop:
		verdict = abi.Hotdrop
	case want.Verdict == interp.Accept:
		verdict = abi.Accept
	}
	for _, a := range want.Effects {
		actions = append(actions, a.String())
	}
	noted := []string{}
	for _, n := range got.Actions {
		effect, err := e.in.Actions.At(int(n))
		if err != nil {
			e.Fatal(err)
		}
		noted = append(noted, effect.String())
	}
	by := want.Decider == nil || want.Hotdrop || ids[want.Decider] == got.Rule
	if got.Verdict != verdict || !by || !slices.Equal(noted, actions) {
		e.Fatalf("%s\n got verdict %d by counter %d, noted %v\nwant verdict %d by %s %d, counter %d, noted %v\n%s",
			f, got.Verdict, got.Rule, noted, verdict, want.Chain, want.Number, ids[want.Decider], actions, e.text())
	}
}
