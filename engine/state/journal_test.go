package state

import (
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/bpftables/bpftables/ruleset"
)

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
		e.NewChain(s.Table("filter"), fmt.Sprint("new", version), version)
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

// FuzzJournal replays operations that nobody wrote: they are refused, or have an
// effect, but never more.
func FuzzJournal(f *testing.F) {
	for kind := opInsert; kind <= opPart+1; kind++ {
		o := op{kind: kind, table: 1, rule: Rule{Text: []byte("-j DROP")}, name: "DROP", counters: []ruleset.Counters{{Packets: 1}}}
		f.Add(o.append(nil))
	}
	dir := f.TempDir()
	if err := small(1).Write(dir); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, ops []byte) {
		s := open(t, dir, 1, 5)
		if err := s.replayBatch(ops); err == nil {
			modelOf(s.Table("filter"))
		}
	})
}
