package state

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/ruleset"
)

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
		"a chain that is there":     func(e *Edit) { e.NewChain(filter, "INPUT", 9) },
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

func TestExtra(t *testing.T) {
	dir := write(t, small(1))
	s := open(t, dir, 1, 5)
	e := s.Edit(6)
	e.SetPart("extra", []byte("new"))
	if err := e.Commit(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if s := open(t, dir, 1, 6); string(s.Part("extra")) != "new" {
			t.Errorf("extra %s", s.Part("extra"))
		}
		if err := s.Compact(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCarry(t *testing.T) {
	b := small(1)
	b.head.Carried = false
	dir := write(t, b)
	s := open(t, dir, 1, 5)
	if err := s.Edit(6).Commit(); err == nil {
		t.Error("a state is edited whose counters are not all there")
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
	for _, s := range []*Store{s, open(t, dir, 1, 5)} {
		in := s.Table("filter").Chain("INPUT")
		if !s.Carried || in.Counters.Packets != 3+1 || in.Rule(2).Counters.Packets != 2+4 {
			t.Errorf("carried %v, %+v, %+v", s.Carried, in.ChainSpec, in.Rule(2))
		}
	}
	commit(t, s, 6)
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

// TestNewTable adds a table: taken back, left behind by a killed process, read from the journal and from a base that was
// written anew.
func TestNewTable(t *testing.T) {
	dir := write(t, small(1))
	chains := []ChainSpec{{Name: "PREROUTING", Slot: 70, Class: 7}, {Name: "OUTPUT", Slot: 71, Class: 8}}
	add := func(s *Store, version uint32) *Edit {
		e := s.Edit(version)
		table := e.NewTable("raw", chains)
		e.SetPolicy(table.Chain("OUTPUT"), "DROP")
		e.Insert(table.Chain("PREROUTING"), 0, Rule{Text: []byte("-p udp -j DROP"), Slot: 72, Row: 9})
		e.NewChain(table, "user", 9)
		return e
	}
	s := open(t, dir, 1, 5)
	tables := len(s.Tables())
	add(s, 6).Abort()
	if s.Table("raw") != nil || len(s.Tables()) != tables {
		t.Error("it is there although it was taken back")
	}
	if err := add(s, 6).Commit(); err != nil {
		t.Fatal(err)
	}
	if before := open(t, dir, 1, 5); before.Table("raw") != nil {
		t.Error("it is there before its version is live")
	}
	want := "OUTPUT DROP 71 8 0, PREROUTING ACCEPT 70 7 1, user  4294967295 9 0"
	check := func(s *Store) {
		t.Helper()
		var all []string
		for _, c := range s.Table("raw").Chains() {
			all = append(all, fmt.Sprintf("%s %s %d %d %d", c.Name, c.Policy, c.Slot, c.Class, c.Len()))
			if s.ChainAt(c.Number()) != c {
				t.Errorf("chain %s has the number of another one", c.Name)
			}
		}
		slices.Sort(all)
		if got := strings.Join(all, ", "); got != want || !s.Table("raw").InBPF {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	check(s)
	check(open(t, dir, 1, 6))
	if err := s.Compact(); err != nil {
		t.Fatal(err)
	}
	check(open(t, dir, 1, 6))
	if e := s.Edit(7); e.NewTable("raw", chains) != nil || e.Commit() == nil {
		t.Error("there are two tables of one name")
	}
}
