package iptables_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// FuzzRead wants no panic, no hang, and a text that stays as it is: what is printed
// is read again and printed the same.
func FuzzRead(f *testing.F) {
	paths, _ := filepath.Glob("testdata/restore/*.txtar")
	for _, path := range paths {
		if a, err := txtar.ParseFile(path); err == nil {
			in, _ := section(a, "in")
			f.Add(in, false, uint8(0))
			f.Add(in, true, uint8(3))
		}
	}
	dir := os.Getenv("BPFTABLES_CORPUS")
	if files, _ := filepath.Glob(filepath.Join(dir, "iptables", "*")); dir != "" {
		for i, path := range files {
			if text, err := os.ReadFile(path); err == nil && i%7 == 0 && len(text) < 8<<10 {
				f.Add(string(text), false, uint8(1))
			}
		}
	}
	f.Fuzz(func(t *testing.T, text string, six bool, flags uint8) {
		o := iptables.Options{File: "fuzz", Family: packet.IPv4, Counters: flags&1 != 0, NoFlush: flags&2 != 0}
		if six {
			o.Family = packet.IPv6
		}
		sameReplay(t, text, o)
		rs, _, err := iptables.Read(strings.NewReader(text), o)
		if err != nil {
			if err.Error() == "" {
				t.Fatal("an error without a text")
			}
			return
		}
		sameStored(t, rs, nil)
		first := printed(t, rs)
		if oneWay(rs) {
			return
		}
		o.Counters, o.NoFlush = true, false
		text = first
		for range 2 { // the order of the tables turns round each time
			again, _, err := iptables.Read(strings.NewReader(text), o)
			if err != nil {
				t.Fatalf("what was printed is refused: %v\n%s", err, text)
			}
			text = printed(t, again)
		}
		if text != first {
			t.Fatalf("what was printed is printed otherwise: %s", diff(text, first))
		}
		for _, table := range rs.Tables {
			for _, numeric := range []bool{true, false} {
				lo := iptables.ListOptions{Family: o.Family, Verbose: true, Numeric: numeric}
				if err := iptables.List(discard{}, table, lo); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

// oneWay says whether iptables-save prints something that iptables-restore does not
// take back: names with blanks or quotes, which it prints without quotes, comments
// with newlines, and chain names that -E made too long.
func oneWay(rs *ruleset.Ruleset) bool {
	for _, t := range rs.Tables {
		for _, c := range t.Chains {
			if len(c.Name) > 28 || strings.ContainsAny(c.Name, "\" \t\n") {
				return true
			}
			for _, r := range c.Rules {
				text := iptables.PrintRule(r, "")
				if strings.Contains(text, "\n") {
					return true
				}
				for _, m := range r.Matches {
					if w := m.Word(); (w == "-i" || w == "-o") && strings.ContainsAny(strings.Join(m.Args(), ""), "\" \t") {
						return true
					}
				}
			}
		}
	}
	return false
}
