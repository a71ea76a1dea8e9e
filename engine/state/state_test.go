package state

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// small is a state with two tables of a few rules.
func small(gen uint32) *Builder {
	b := NewBuilder(Head{Family: packet.IPv6, Generation: gen, Version: 5, Previous: 2, PreviousVersion: 9, Conntrack: true, Carried: true})
	b.SetPart("extra", []byte(`{"early":"off"}`))
	b.Table(TableSpec{Name: "nat", Shims: 0})
	b.Chain(ChainSpec{Name: "PREROUTING", Policy: "ACCEPT", Slot: None, Origin: NoOrigin})
	b.Table(TableSpec{Name: "filter", InBPF: true, Shims: 3})
	b.Chain(ChainSpec{Name: "INPUT", Policy: "DROP", Counters: ruleset.Counters{Packets: 3, Bytes: 1 << 40}, Slot: 7, Origin: Origin{1, None}})
	for i := range uint32(3) {
		b.Rule(Rule{Text: fmt.Appendf(nil, "-p tcp -m tcp --dport %d -j user", i), Slot: i, Row: 10 + i,
			Counters: ruleset.Counters{Packets: uint64(i)}, Origin: Origin{4, i}})
	}
	b.Chain(ChainSpec{Name: "user", Slot: None, Origin: NoOrigin})
	b.Rule(Rule{Slot: 4, Row: None, Origin: NoOrigin})
	return b
}

func write(t *testing.T, b *Builder) string {
	t.Helper()
	dir := t.TempDir()
	if err := b.Write(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func open(t *testing.T, dir string, gen, version uint32) *Store {
	t.Helper()
	s, err := Open(dir, gen, version)
	if err != nil {
		t.Fatal(err)
	}
	if s == nil {
		t.Fatalf("no state of generation %d", gen)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestRoundTrip(t *testing.T) {
	s := open(t, write(t, small(3)), 3, 5)
	want := Head{Family: packet.IPv6, Generation: 3, Version: 5, Previous: 2, PreviousVersion: 9, Conntrack: true, Carried: true}
	if s.Head != want || string(s.Part("extra")) != `{"early":"off"}` {
		t.Errorf("head %+v, extra %s", s.Head, s.Part("extra"))
	}
	nat, filter := s.Table("nat"), s.Table("filter")
	if len(s.Tables()) != 2 || nat.InBPF || !filter.InBPF || filter.Shims != 3 || filter.Len() != 4 || s.Table("raw") != nil {
		t.Errorf("tables %+v %+v", nat, filter)
	}
	in := filter.Chain("INPUT")
	spec := ChainSpec{Name: "INPUT", Policy: "DROP", Counters: ruleset.Counters{Packets: 3, Bytes: 1 << 40}, Slot: 7, Origin: Origin{1, None}}
	if in.ChainSpec != spec || in.Len() != 3 || in.Number() != 1 || s.ChainAt(1) != in || s.ChainAt(3) != nil || in.Table() != filter {
		t.Errorf("INPUT %+v, number %d", in.ChainSpec, in.Number())
	}
	rule := Rule{Text: []byte("-p tcp -m tcp --dport 2 -j user"), Slot: 2, Row: 12, Counters: ruleset.Counters{Packets: 2}, Origin: Origin{4, 2}}
	if got := in.Rule(2); !reflect.DeepEqual(got, rule) {
		t.Errorf("rule %+v", got)
	}
	if i, j := in.Find(rule.Text, nil), in.Find([]byte("-j DROP"), nil); i != 2 || j != -1 {
		t.Errorf("found at %d and %d", i, j)
	}
	user := filter.Chain("user")
	if got := user.Rule(0); len(got.Text) != 0 || got.Row != None || !got.Origin.None() || user.Find(nil, nil) != 0 {
		t.Errorf("rule without text: %+v", got)
	}
	if n, err := filter.References("user"); n != 3 || err != nil {
		t.Errorf("%d references, want 3 (%v)", n, err)
	}
}

// Chains are found by an index after some lookups; both ways must agree.
func TestChainByName(t *testing.T) {
	s := open(t, write(t, small(1)), 1, 5)
	filter := s.Table("filter")
	for range 2 * indexFrom {
		if c := filter.Chain("user"); c == nil || c.Name != "user" || filter.Chain("other") != nil {
			t.Fatalf("chain %+v", c)
		}
	}
}

func TestOthersAndRemove(t *testing.T) {
	dir := t.TempDir()
	for _, gen := range []uint32{2, 3, 4} {
		if err := small(gen).Write(dir); err != nil {
			t.Fatal(err)
		}
	}
	commit(t, open(t, dir, 2, 5), 6)
	// What a killed Write and earlier versions leave is found, too.
	for _, name := range []string{"state-9.db.new", "state-8.json"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if others, err := Others(dir, 3); err != nil || !reflect.DeepEqual(others, []uint32{2, 4, 8, 9}) {
		t.Errorf("others %v, %v", others, err)
	}
	if err := Remove(dir, 3); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(left) != 1 || filepath.Base(left[0]) != "state-3.db" {
		t.Errorf("left: %v, %v", left, err)
	}
	if s, err := Open(dir, 2, 5); s != nil || err != nil {
		t.Errorf("removed state: %v, %v", s, err)
	}
}

// commit makes some change that leads to a version.
func commit(t *testing.T, s *Store, version uint32) {
	t.Helper()
	e := s.Edit(version)
	e.Insert(s.Table("filter").Chain("user"), 0, Rule{Text: fmt.Appendf(nil, "-m mark --mark %d", version), Slot: version, Row: None})
	if err := e.Commit(); err != nil {
		t.Fatal(err)
	}
}

// A file in which any byte is another, or that is cut anywhere, is refused.
func TestDamagedBase(t *testing.T) {
	dir := write(t, small(1))
	path := basePath(dir, 1)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what string, data []byte) {
		t.Helper()
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(dir, 1, 5)
		if err == nil {
			err = s.WriteText(io.Discard, TextOptions{})
			s.Close()
		}
		if !errors.Is(err, ErrUnreadable) {
			t.Fatalf("%s: %v", what, err)
		}
	}
	for i := range good {
		bad := append([]byte(nil), good...)
		bad[i] ^= 0x10
		refused(fmt.Sprintf("byte %d changed", i), bad)
		refused(fmt.Sprintf("cut at %d", i), good[:i])
	}
	refused("longer", append(good[:len(good):len(good)], 0))
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path, basePath(dir, 2)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, 2, 5); err == nil {
		t.Error("the state of another generation was read")
	}
}

// A base that is ahead of the version asked for, or a journal that does not reach it,
// is told apart from damage: the reader may look again.
func TestStale(t *testing.T) {
	dir := write(t, small(1))
	commit(t, open(t, dir, 1, 5), 6)
	for _, version := range []uint32{0, 4, 7} {
		if _, err := Open(dir, 1, version); !errors.Is(err, ErrStale) {
			t.Errorf("version %d: %v", version, err)
		}
	}
}

func TestBuilderRefusesPolicy(t *testing.T) {
	b := NewBuilder(Head{Generation: 1})
	b.Table(TableSpec{Name: "filter"})
	b.Chain(ChainSpec{Name: "INPUT", Policy: "QUEUE"})
	if err := b.Write(t.TempDir()); err == nil {
		t.Error("a policy that is none was stored")
	}
}
