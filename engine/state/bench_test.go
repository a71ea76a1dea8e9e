package state_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/bpftables/bpftables/engine/state"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// many is the state of a chain of n rules as block lists have them, in a directory.
func many(b *testing.B, n int) string {
	b.Helper()
	dir := b.TempDir()
	s := state.NewBuilder(state.Head{Family: packet.IPv4, Generation: 1, Carried: true})
	s.Table(state.TableSpec{Name: "filter", InBPF: true})
	s.Chain(state.ChainSpec{Name: "INPUT", Policy: "ACCEPT", Slot: 0, Origin: state.NoOrigin})
	for i := range n {
		s.Rule(state.Rule{Text: fmt.Appendf(nil, "-s 198.%d.%d.%d/32 -p udp -m udp --dport %d -j DROP", 18+i>>16&1, i>>8&255, i&255, 1+i%65535),
			Slot: uint32(i), Row: uint32(i), Origin: state.NoOrigin})
	}
	if err := s.Write(dir); err != nil {
		b.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		b.Fatal(err)
	}
	st, err := os.Stat(files[0])
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(st.Size())/float64(n), "file-B/rule")
	return dir
}

func openMany(b *testing.B, dir string, version uint32) *state.Store {
	b.Helper()
	s, err := state.Open(dir, 1, version)
	if err != nil {
		b.Fatal(err)
	}
	return s
}

const rules = 160_000

func BenchmarkOpen(b *testing.B) {
	for _, n := range []int{10, 10_000, rules} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			dir := many(b, n)
			b.ReportAllocs()
			for b.Loop() {
				openMany(b, dir, 0).Close()
			}
		})
	}
}

// BenchmarkChange is all that a command does to the state: open, find, insert in the
// middle, commit.
func BenchmarkChange(b *testing.B) {
	dir := many(b, rules)
	text := fmt.Appendf(nil, "-s 198.18.%d.%d/32 -p udp -m udp --dport %d -j DROP", rules/3>>8, rules/3&255, 1+rules/3)
	b.ReportAllocs()
	for b.Loop() {
		s := openMany(b, dir, 0)
		c := s.Table("filter").Chain("INPUT")
		at := c.Find(text, nil)
		if at < 0 {
			b.Fatal("not found")
		}
		e := s.Edit(1) // never live: the next round starts where this one did
		e.Insert(c, at, state.Rule{Text: text, Slot: 7, Row: 7})
		if err := e.Commit(); err != nil {
			b.Fatal(err)
		}
		s.Close()
	}
}

// BenchmarkResident is a change in a state that stays open.
func BenchmarkResident(b *testing.B) {
	for _, where := range []string{"first", "middle", "last", "by turns"} {
		b.Run(where, func(b *testing.B) {
			s := openMany(b, many(b, rules), 0)
			defer s.Close()
			version := uint32(0)
			for b.Loop() {
				c := s.Table("filter").Chain("INPUT")
				at := map[string]int{"first": 0, "middle": c.Len() / 2, "last": c.Len(), "by turns": int(version%2) * c.Len()}[where]
				version++
				e := s.Edit(version)
				e.Insert(c, at, state.Rule{Text: []byte("-s 192.0.2.1/32 -j DROP")})
				if err := e.Commit(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkReplay opens a state whose journal is as long as it may get.
func BenchmarkReplay(b *testing.B) {
	dir := many(b, rules)
	s := openMany(b, dir, 0)
	version := uint32(0)
	for ; !s.Worn(); version++ {
		c := s.Table("filter").Chain("INPUT")
		e := s.Edit(version + 1)
		e.Insert(c, int(version*2654435761)%c.Len(), state.Rule{Text: []byte("-s 192.0.2.1/32 -j DROP")})
		if err := e.Commit(); err != nil {
			b.Fatal(err)
		}
	}
	s.Close()
	for b.Loop() {
		openMany(b, dir, version).Close()
	}
}

func BenchmarkCompact(b *testing.B) {
	s := openMany(b, many(b, rules), 0)
	defer s.Close()
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Compact(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWriteText(b *testing.B) {
	s := openMany(b, many(b, rules), 0)
	defer s.Close()
	live := func(c state.Cell) ruleset.Counters { return ruleset.Counters{Packets: uint64(c.Slot)} }
	b.ReportAllocs()
	for b.Loop() {
		if err := s.WriteText(io.Discard, state.TextOptions{PrintOptions: iptables.PrintOptions{Counters: true}, Live: live}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCreate(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		many(b, rules)
	}
}
