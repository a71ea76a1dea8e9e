package commands

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/ruleset/iptables"
)

// drawnLines is how many command lines are drawn for each dialect and family; with -long twenty times as many.
const drawnLines = 60

// TestWordsDrawn gives command lines to the programs of iptables and to ours that are drawn from the rules of the rows,
// with words left out, doubled, negated or replaced: callers misspell, and read what is said of it.
// Lines that change something are not among them: -C finds nothing, and -A is given what is refused.
func TestWordsDrawn(t *testing.T) {
	program := prepare(t)
	n := drawnLines
	if *long {
		n *= 20
	}
	for _, dialect := range []string{"legacy", "nft"} {
		for _, family := range []string{"iptables", "ip6tables"} {
			t.Run(family+" "+dialect, func(t *testing.T) {
				d := &drawer{Rand: rand.New(rand.NewPCG(uint64(*seed), 0)), specs: rowSpecs(t, family)}
				real, ours := newTalk(t, "", family, dialect), newTalk(t, links(t, program), family, dialect)
				for range n {
					line := "$I -C " + d.spec()
					if want, got := real.run(line), ours.run(line); got != want && !knownWords(want) {
						t.Errorf("seed %d: %s\n got %s\nwant %s", *seed, line, got, want)
					}
				}
			})
		}
	}
}

// knownWords says whether the programs of iptables say something of a line in which we differ from them, as faces.md tells.
func knownWords(want string) bool {
	for _, known := range []string{
		"doesn't exist", "deprecated", // sets are looked for when a rule is made, not when it is read
		"Temporary failure in name resolution", // what a resolver says that cannot be reached
		"missing kernel module", "mktime", "--localtz", "Invalid MH type", "no valid digits", "can't be inverted",
		"match requires '-p", "Shifted portmap", "only works with TCP", "double --", "Bad TCP option",
	} {
		if strings.Contains(want, known) {
			return true
		}
	}
	return false
}

// rowSpecs are the rules of the rows of all matches and targets, cut into words.
func rowSpecs(t *testing.T, family string) (specs [][]string) {
	t.Helper()
	digit := map[string]string{"iptables": "4", "ip6tables": "6"}[family]
	for _, glob := range []string{"../../ruleset/match/testdata/*.txt", "../../ruleset/target/testdata/*.txt"} {
		files, err := filepath.Glob(glob)
		if err != nil || len(files) == 0 {
			t.Fatal(glob, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(text)) {
				rest, ok := strings.CutPrefix(line, "rule ")
				families, rule, _ := strings.Cut(rest, " ")
				if !ok || !strings.Contains(families, digit) {
					continue
				}
				if s := specOf(rule); s != nil {
					specs = append(specs, s)
				}
			}
		}
	}
	return specs
}

// specOf gives "CHAIN -t TABLE OPTIONS" of a row.
func specOf(rule string) []string {
	words, err := iptables.Words(rule)
	if err != nil || len(words) == 0 {
		return nil
	}
	spec := []string{"INPUT"}
	if table, chain, ok := strings.Cut(words[0].Text, "/"); ok && !words[0].Quoted && !strings.HasPrefix(table, "-") {
		spec, words = []string{chain, "-t", table}, words[1:]
	}
	for _, w := range words {
		if strings.ContainsRune(w.Text, 0) {
			return nil
		}
		spec = append(spec, w.Text)
	}
	return spec
}

// drawer changes rules.
type drawer struct {
	*rand.Rand
	specs [][]string
}

// junk is put where it has no meaning, or another one.
var junk = []string{"", "0", "-1", "65536", "4294967296", "0x10", "x", "1:2", "2:1", ":", "1,2", "1,", "!", "192.0.2.4", "192.0.2.4/24", "::1",
	"all", "-", "99999999999999999999", "1-2", "eth+", "1/s", "a b", "-j", "-m", "-p", "tcp", "udp", "--comment"}

// spec is a rule with a fault or two, for a shell.
func (d *drawer) spec() string {
	s := slices.Clone(d.specs[d.IntN(len(d.specs))])
	for range 1 + d.IntN(2) {
		at := min(len(s), 1+d.IntN(len(s)))
		switch d.IntN(6) {
		case 0:
			s = s[:at]
		case 1:
			s = slices.Insert(s, at, "!")
		case 2:
			s = slices.Insert(s, at, junk[d.IntN(len(junk))])
		case 3:
			if at < len(s) {
				s[at] = junk[d.IntN(len(junk))]
			}
		case 4:
			if at < len(s) {
				s = slices.Insert(s, at, s[at])
			}
		case 5:
			s = append(s, d.specs[d.IntN(len(d.specs))][1:]...)
		}
	}
	for i, w := range s {
		s[i] = quoted(w)
	}
	return strings.Join(s, " ")
}

// quoted is a word for a shell.
func quoted(w string) string { return "'" + strings.ReplaceAll(w, "'", `'\''`) + "'" }
