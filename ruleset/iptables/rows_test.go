package iptables_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
	"github.com/bpftables/bpftables/ruleset/match/rows"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// wordRow is a rule of match/testdata or target/testdata.
type wordRow struct {
	at           string
	family       packet.Family
	table, chain string
	rule         string
}

// wordRows are the rules of all words.
func wordRows(t testing.TB) []wordRow {
	t.Helper()
	all, err := rows.Load("../match/testdata")
	if err != nil {
		t.Fatal(err)
	}
	var out []wordRow
	for _, r := range all {
		out = append(out, wordRow{r.Name(), r.Family, r.Table, r.Chain, r.Rule})
	}
	files, err := filepath.Glob("../target/testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no rows of targets: ", err)
	}
	for _, file := range files {
		out = append(out, targetRows(t, file)...)
	}
	return out
}

// targetRows reads lines "rule FAMILIES TABLE/HOOK,... RULE".
func targetRows(t testing.TB, file string) (out []wordRow) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	for line := 1; s.Scan(); line++ {
		value, ok := strings.CutPrefix(s.Text(), "rule ")
		if !ok {
			continue
		}
		fields := strings.SplitN(value, " ", 3)
		table, hooks, _ := strings.Cut(fields[1], "/")
		chain, _, more := strings.Cut(hooks, ",")
		if more || chain == "-" {
			chain = "user"
		}
		for _, f := range fields[0] {
			at := fmt.Sprintf("%s:%d/%c", strings.TrimSuffix(filepath.Base(file), ".txt"), line, f)
			out = append(out, wordRow{at, packet.Family(f - '0'), table, chain, fields[2]})
		}
	}
	return out
}

func (w *wordRow) word() string { return w.at[:strings.IndexByte(w.at, ':')] }

// text is a table with a rule alone.
func (w *wordRow) text(rule string) string {
	s := "*" + w.table + "\n"
	if tables.Base(w.table, w.chain, "") == nil {
		s += ":" + w.chain + " - [0:0]\n"
	}
	return s + "-A " + w.chain + " " + rule + "\nCOMMIT\n"
}

// ruleset reads it.
func (w *wordRow) ruleset(rule string) (*ruleset.Ruleset, error) {
	rs, _, err := iptables.Read(strings.NewReader(w.text(rule)), iptables.Options{Family: w.family, Resolver: rows.Resolver{}})
	return rs, err
}

// only gives the rule of a ruleset that has but one.
func (w *wordRow) only(rs *ruleset.Ruleset) *ruleset.Rule {
	if rules := rs.Table(w.table).Chain(w.chain).Rules; len(rules) == 1 {
		return rules[0]
	}
	return nil
}

// mutator makes rules that are nearly those of the rows.
type mutator struct {
	*rand.Rand
	rows []wordRow
	args map[string][][]string // of the rows of a word, by word and family
}

func newMutator(t testing.TB, seed uint64) *mutator {
	m := &mutator{Rand: rand.New(rand.NewPCG(seed, 1)), rows: wordRows(t), args: map[string][][]string{}}
	for i := range m.rows {
		k := m.key(&m.rows[i])
		m.args[k] = append(m.args[k], cutWords(m.rows[i].rule))
	}
	return m
}

func (m *mutator) key(w *wordRow) string { return w.word() + w.family.String() }

// rule gives a row, and a rule that is the row's with a few words changed.
func (m *mutator) rule() (*wordRow, string) {
	w := &m.rows[m.IntN(len(m.rows))]
	args := cutWords(w.rule)
	for range 1 + m.IntN(3) {
		args = m.change(args, m.args[m.key(w)])
	}
	return w, quoteWords(args)
}

func (m *mutator) change(args []string, others [][]string) []string {
	at := m.IntN(len(args))
	other := others[m.IntN(len(others))]
	switch m.IntN(8) {
	case 0:
		if strings.HasPrefix(args[at], "--") {
			return slices.Insert(args, at, "!")
		}
	case 1:
		if at < len(other) {
			args[at] = other[at]
		}
	case 2: // another option with its argument
		if from := m.IntN(len(other)); strings.HasPrefix(other[from], "--") {
			return append(args, other[from:min(len(other), from+2)]...)
		}
	default:
		if !strings.HasPrefix(args[at], "-") {
			args[at] = m.value(args[at])
		}
	}
	return args
}

var aNumber = regexp.MustCompile(`0[xX][0-9a-fA-F]+|[0-9]+`)

var oddNumbers = []string{
	"0", "1", "2", "3", "5", "7", "8", "15", "16", "31", "32", "33", "63", "64", "127", "128", "255", "256", "1000", "4095",
	"65535", "65536", "99999", "1000001", "0x0", "0xff", "0x7fffffff", "0x80000000", "4294967295", "4294967294", "010", "00",
	"18446744073709551615", "9223372036854775808",
}

// value changes a number of an argument, or its form.
func (m *mutator) value(arg string) string {
	odd := oddNumbers[m.IntN(len(oddNumbers))]
	if found := aNumber.FindAllStringIndex(arg, -1); len(found) > 0 && m.IntN(5) > 0 {
		f := found[m.IntN(len(found))]
		return arg[:f[0]] + odd + arg[f[1]:]
	}
	return [...]string{":" + arg, arg + ":", arg + "," + arg, arg + "/" + odd, "", arg + ` x\"y'z`}[m.IntN(6)]
}

var aWord = regexp.MustCompile(`"(\\.|[^"\\])*"|[^ "]+`)

// cutWords cuts a rule of a row into arguments.
func cutWords(rule string) (out []string) {
	for _, w := range aWord.FindAllString(rule, -1) {
		if w[0] == '"' {
			w = strings.NewReplacer(`\\`, `\`, `\"`, `"`).Replace(w[1 : len(w)-1])
		}
		out = append(out, w)
	}
	return out
}

func quoteWords(args []string) string {
	out := slices.Clone(args)
	for i, a := range out {
		if a == "" || strings.ContainsAny(a, ` "\'`) {
			out[i] = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(a) + `"`
		}
	}
	return strings.Join(out, " ")
}
