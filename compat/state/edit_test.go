package state

import (
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/ruleset"
)

// model is the chains of one table, as plain data.
type model struct{ chains []modelChain }

type modelChain struct {
	Name, Policy string
	Counters     ruleset.Counters
	Rules        []Rule
}

func (m *model) clone() *model {
	out := &model{chains: slices.Clone(m.chains)}
	for i := range out.chains {
		out.chains[i].Rules = slices.Clone(out.chains[i].Rules)
	}
	return out
}

// modelOf reads a table of a store.
func modelOf(t *Table) *model {
	m := &model{}
	for _, c := range t.Chains() {
		mc := modelChain{Name: c.Name, Policy: c.Policy, Counters: c.Counters}
		for i := range c.Len() {
			r := c.Rule(i)
			r.Text = slices.Clone(r.Text)
			mc.Rules = append(mc.Rules, r)
		}
		m.chains = append(m.chains, mc)
	}
	return m
}

func (m *model) same(other *model) bool {
	return slices.EqualFunc(m.chains, other.chains, func(a, b modelChain) bool {
		return a.Name == b.Name && a.Policy == b.Policy && a.Counters == b.Counters &&
			slices.EqualFunc(a.Rules, b.Rules, func(x, y Rule) bool {
				return string(x.Text) == string(y.Text) && x.Slot == y.Slot && x.Row == y.Row && x.Counters == y.Counters && x.Origin == y.Origin
			})
	})
}

func (m *model) String() string {
	var b strings.Builder
	for _, c := range m.chains {
		fmt.Fprintf(&b, "%s %s %v\n", c.Name, c.Policy, c.Counters)
		for _, r := range c.Rules {
			fmt.Fprintf(&b, "  %s slot %d row %d %v %v\n", r.Text, r.Slot, r.Row, r.Counters, r.Origin)
		}
	}
	return b.String()
}

// editor does the same random things to a table and to its model.
type editor struct {
	random *rand.Rand
	e      *Edit
	t      *Table
	m      *model
	named  int
}

func (d *editor) rule() Rule {
	texts := []string{"", "-j DROP", "-p tcp -j user", fmt.Sprintf("-m mark --mark %d -j ACCEPT", d.random.IntN(9))}
	return Rule{Text: []byte(texts[d.random.IntN(len(texts))]), Slot: d.random.Uint32N(99), Row: d.random.Uint32N(99),
		Counters: ruleset.Counters{Packets: d.random.Uint64(), Bytes: d.random.Uint64()}, Origin: NoOrigin}
}

// step does one thing, if it can be done.
func (d *editor) step() {
	i := d.random.IntN(len(d.m.chains))
	c, mc := d.t.Chains()[i], &d.m.chains[i]
	if len(mc.Rules) > 0 && d.onRule(c, mc, d.random.IntN(len(mc.Rules))) {
		return
	}
	switch d.random.IntN(10) {
	case 0:
		d.e.Flush(c)
		mc.Rules = nil
	case 1:
		d.named++
		name := fmt.Sprintf("chain%d", d.named)
		d.e.NewChain(d.t, name)
		d.m.chains = append(d.m.chains, modelChain{Name: name})
	case 2:
		if mc.Policy == "" && len(d.m.chains) > 2 {
			d.e.DeleteChain(c)
			d.m.chains = slices.Delete(d.m.chains, i, i+1)
		}
	case 3:
		if mc.Policy != "" {
			mc.Policy = []string{"ACCEPT", "DROP"}[d.random.IntN(2)]
			d.e.SetPolicy(c, mc.Policy)
			mc.Counters = ruleset.Counters{Packets: d.random.Uint64()}
			d.e.SetCounters(c, None, mc.Counters)
		}
	default:
		at, r := d.random.IntN(len(mc.Rules)+1), d.rule()
		d.e.Insert(c, at, r)
		mc.Rules = slices.Insert(mc.Rules, at, r)
	}
}

func (d *editor) onRule(c *Chain, mc *modelChain, at int) bool {
	switch d.random.IntN(8) {
	case 0, 1:
		d.e.Delete(c, at)
		mc.Rules = slices.Delete(mc.Rules, at, at+1)
	case 2:
		r := d.rule()
		d.e.Replace(c, at, r)
		mc.Rules[at] = r
	case 3:
		n := d.random.IntN(len(mc.Rules) - at + 1)
		counters := make([]ruleset.Counters, n)
		for i := range counters {
			counters[i].Bytes = d.random.Uint64()
			mc.Rules[at+i].Counters = counters[i]
		}
		d.e.SetCounters(c, at, counters...)
	case 4:
		if found := c.Find(mc.Rules[at].Text); found > at || string(mc.Rules[max(found, 0)].Text) != string(mc.Rules[at].Text) {
			d.e.err = fmt.Errorf("rule %d is found at %d", at, found)
		}
	default:
		return false
	}
	return true
}

// TestRandomEdits compares a store with plain lists through long sequences of
// batches: kept, taken back, left behind by a killed process, compacted.
func TestRandomEdits(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 1))
		dir := write(t, small(1))
		version := uint32(5)
		s := open(t, dir, 1, version)
		want := modelOf(s.Table("filter"))
		named := 0
		for batch := range 60 {
			before := want.clone()
			d := &editor{random: random, e: s.Edit(version + 1), t: s.Table("filter"), m: want, named: named}
			for range random.IntN(12) {
				d.step()
			}
			named = d.named
			switch random.IntN(5) {
			case 0:
				d.e.Abort()
				want = before
			case 1:
				if err := d.e.Commit(); err != nil {
					t.Fatal(err)
				}
				d.e.Abort()
				want = before
			case 2: // killed before the version was live
				if err := d.e.Commit(); err != nil {
					t.Fatal(err)
				}
				s, want = open(t, dir, 1, version), before
			default:
				if err := d.e.Commit(); err != nil {
					t.Fatal(err)
				}
				version++
			}
			if random.IntN(10) == 0 {
				if err := s.Compact(); err != nil {
					t.Fatal(err)
				}
			}
			for _, have := range []*Store{s, open(t, dir, 1, version)} {
				if got := modelOf(have.Table("filter")); !got.same(want) || have.Version != version {
					t.Fatalf("seed %d, batch %d, version %d: got\n%s\nwant\n%s", seed, batch, have.Version, got, want)
				}
			}
		}
	}
}

// A journal cut at any byte, or with any byte changed, gives what is before the batch
// that it hits, and not even part of that batch.
func TestTornJournal(t *testing.T) {
	dir := write(t, small(1))
	s := open(t, dir, 1, 5)
	states := []*model{modelOf(s.Table("filter"))}
	ends := []int64{0}
	for version := uint32(6); version < 9; version++ {
		e := s.Edit(version)
		in := s.Table("filter").Chain("INPUT")
		e.Delete(in, 0)
		e.Insert(in, 1, Rule{Text: fmt.Appendf(nil, "-m mark --mark %d", version)})
		e.NewChain(s.Table("filter"), fmt.Sprint("new", version))
		e.SetPolicy(in, []string{"DROP", "ACCEPT"}[version%2])
		e.SetCounters(in, 0, ruleset.Counters{Packets: 1}, ruleset.Counters{Packets: uint64(version)})
		if err := e.Commit(); err != nil {
			t.Fatal(err)
		}
		states, ends = append(states, modelOf(s.Table("filter"))), append(ends, s.end)
	}
	path := journalPath(dir, 1)
	good, err := os.ReadFile(path)
	if err != nil || int64(len(good)) != ends[3] {
		t.Fatalf("journal of %d bytes, want %d: %v", len(good), ends[3], err)
	}
	check := func(journal []byte, whole int) {
		t.Helper()
		if err := os.WriteFile(path, journal, 0o600); err != nil {
			t.Fatal(err)
		}
		for i, want := range states {
			s, err := Open(dir, 1, uint32(5+i))
			switch {
			case i > whole:
				if err == nil {
					t.Fatalf("version %d was read from a journal cut at %d of %d", 5+i, len(journal), len(good))
				}
				continue
			case err != nil:
				t.Fatal(err)
			}
			if got := modelOf(s.Table("filter")); !got.same(want) {
				t.Fatalf("version %d of a journal cut at %d: got\n%s\nwant\n%s", 5+i, len(journal), got, want)
			}
			s.Close()
		}
	}
	for i := range good {
		whole := 0
		for whole < 3 && ends[whole+1] <= int64(i) {
			whole++
		}
		check(good[:i], whole)
		bad := slices.Clone(good)
		bad[i] ^= 0x40
		check(bad, whole)
	}
	check(append(slices.Clone(good), 1, 0, 0), 3)

	// A writer after a kill cuts the tail off and goes on.
	check(good[:len(good)-1], 2)
	commit(t, open(t, dir, 1, 7), 9)
	if c := open(t, dir, 1, 9).Table("filter").Chain("new8"); c != nil {
		t.Error("a batch that was never live is read")
	}
}

// A process may be killed at each step of a compaction: before the new base is there,
// and before the journal is gone.
func TestKilledCompact(t *testing.T) {
	dir := write(t, small(1))
	s := open(t, dir, 1, 5)
	commit(t, s, 6)
	commit(t, s, 7)
	want := modelOf(s.Table("filter"))
	journal, err := os.ReadFile(journalPath(dir, 1))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Compact(); err != nil {
		t.Fatal(err)
	}
	for _, left := range [][]byte{nil, journal} {
		if left != nil {
			if err := os.WriteFile(journalPath(dir, 1), left, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s := open(t, dir, 1, 7)
		if got := modelOf(s.Table("filter")); !got.same(want) || s.Worn() {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
		if _, err := Open(dir, 1, 6); err == nil {
			t.Error("a version before the base's was read")
		}
	}
	commit(t, open(t, dir, 1, 7), 8)
	if n := open(t, dir, 1, 8).Table("filter").Chain("user").Len(); n != 4 {
		t.Errorf("%d rules, want 4", n)
	}
}

func TestRename(t *testing.T) {
	dir := write(t, small(1))
	s := open(t, dir, 1, 5)
	filter := s.Table("filter")
	e := s.Edit(6)
	e.Insert(filter.Chain("INPUT"), 0, Rule{Text: []byte(`-m comment --comment "say -j user" -g user`)})
	e.Insert(filter.Chain("INPUT"), 0, Rule{Text: []byte(`-m comment --comment "-j user"`)})
	e.Insert(filter.Chain("INPUT"), 0, Rule{Text: []byte(`-j user`)})
	e.Rename(filter.Chain("user"), "somebody")
	if err := e.Commit(); err != nil {
		t.Fatal(err)
	}
	filter = open(t, dir, 1, 6).Table("filter")
	var texts []string
	for i := range filter.Chain("INPUT").Len() {
		texts = append(texts, string(filter.Chain("INPUT").Rule(i).Text))
	}
	want := []string{`-j somebody`, `-m comment --comment "-j user"`, `-m comment --comment "say -j user" -g somebody`}
	if !reflect.DeepEqual(texts[:3], want) || !strings.HasSuffix(texts[3], "--dport 0 -j somebody") || references(t, filter, "user") != 0 || references(t, filter, "somebody") != 5 {
		t.Errorf("rules %q", texts)
	}
	if filter.Chain("user") != nil || filter.Chain("somebody").Len() != 1 {
		t.Error("the chain has not the new name")
	}
}

func references(t *testing.T, table *Table, chain string) int {
	t.Helper()
	n, err := table.References(chain)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// What cannot be done is refused with the whole batch.
func TestRefusedEdits(t *testing.T) {
	s := open(t, write(t, small(1)), 1, 5)
	filter := s.Table("filter")
	in, user := filter.Chain("INPUT"), filter.Chain("user")
	want := modelOf(filter)
	for name, change := range map[string]func(*Edit){
		"insert behind the end":     func(e *Edit) { e.Insert(in, 4, Rule{}) },
		"delete behind the end":     func(e *Edit) { e.Delete(in, 3) },
		"replace behind the end":    func(e *Edit) { e.Replace(user, 1, Rule{}) },
		"counters behind the end":   func(e *Edit) { e.SetCounters(in, 2, ruleset.Counters{}, ruleset.Counters{}) },
		"policy of a user chain":    func(e *Edit) { e.SetPolicy(user, "DROP") },
		"policy that is none":       func(e *Edit) { e.SetPolicy(in, "QUEUE") },
		"a chain that is there":     func(e *Edit) { e.NewChain(filter, "INPUT") },
		"a name that is there":      func(e *Edit) { e.Rename(user, "INPUT") },
		"a chain that is not there": func(e *Edit) { e.DeleteChain(user); e.Flush(user) },
	} {
		e := s.Edit(6)
		e.Delete(in, 0)
		change(e)
		e.Insert(in, 0, Rule{})
		if err := e.Commit(); err == nil {
			t.Errorf("%s: no error", name)
		}
		if got := modelOf(filter); !got.same(want) || s.Version != 5 {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
		}
	}
	if err := s.Edit(5).Commit(); err == nil {
		t.Error("an edit to the same version is possible")
	}
}

func TestExtraAndCarry(t *testing.T) {
	dir := write(t, small(1))
	s := open(t, dir, 1, 5)
	e := s.Edit(6)
	e.SetExtra([]byte("new"))
	if err := e.Commit(); err != nil {
		t.Fatal(err)
	}
	err := s.Carry(func(c Cell) ruleset.Counters {
		if c.Origin.None() {
			return ruleset.Counters{}
		}
		return ruleset.Counters{Packets: uint64(c.Origin.Chain)}
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Store{s, open(t, dir, 1, 6)} {
		in := s.Table("filter").Chain("INPUT")
		if string(s.Extra()) != "new" || !s.Carried || in.Counters.Packets != 3+1 || in.Rule(2).Counters.Packets != 2+4 {
			t.Errorf("extra %s, carried %v, %+v, %+v", s.Extra(), s.Carried, in.ChainSpec, in.Rule(2))
		}
	}
}

func TestOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	o, want := newOrder(3, 5), []uint32{3, 4, 5, 6, 7}
	for n := range uint32(3000) {
		i := random.IntN(len(want) + 1)
		switch {
		case random.IntN(20) > 8 || i == len(want):
			o.insert(i, n)
			want = slices.Insert(want, i, n)
		case n%2 == 0:
			o.set(i, n)
			want[i] = n
		default:
			if got := o.remove(i); got != want[i] {
				t.Fatalf("removed %d, want %d", got, want[i])
			}
			want = slices.Delete(want, i, i+1)
		}
		if o.len() != len(want) {
			t.Fatalf("%d numbers, want %d", o.len(), len(want))
		}
	}
	for i, n := range want {
		if o.at(i) != n {
			t.Fatalf("number %d is %d, want %d", i, o.at(i), n)
		}
	}
}
