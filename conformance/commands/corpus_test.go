package commands

import (
	"fmt"
	"math/rand"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/conformance"
)

// corpusFiles is how many rulesets of the corpus are changed; with -long ten times as many.
const corpusFiles = 4

// TestCorpusChanged loads rulesets of hosts, and moves their rules about by single commands: in most of them some chains are
// long and others short, and several tables have rules.
func TestCorpusChanged(t *testing.T) {
	all := conformance.MustCorpus(t, "../..")
	program := prepare(t)
	r := rand.New(rand.NewSource(*seed))
	n := corpusFiles
	if *long {
		n *= 10
	}
	for _, at := range r.Perm(len(all)) {
		if n == 0 {
			break
		}
		file := all[at]
		if len(file.Text) > 200<<10 {
			continue
		}
		t.Run(file.Name, func(t *testing.T) {
			m := &mover{&tables{duo: newDuo(t, file.Family, program, nil), r: r}}
			if _, code := m.duo.run(&m.ref, string(file.Text), m.ref.load...); code != 0 {
				t.Log("this kernel does not take it")
				return
			}
			n--
			m.changes(string(file.Text))
		})
	}
}

// mover moves rules about.
type mover struct{ *tables }

func (m *mover) changes(text string) {
	m.batch(text)
	m.loose = true
	for done := range 16 {
		m.move()
		if done%2 == 1 {
			m.talk()
		}
	}
}

// move takes a rule away, or puts one of the same table elsewhere.
func (m *mover) move() {
	var lines []string // "TABLE RULE"
	table := ""
	for line := range strings.Lines(comment.ReplaceAllString(m.saved(&m.ref), "")) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "*"); ok {
			table = name
		}
		if _, rule, ok := strings.Cut(line, "] -A "); ok && !strings.Contains(rule, fragWord) {
			lines = append(lines, table+" "+rule)
		}
	}
	if len(lines) == 0 {
		return
	}
	one := strings.SplitN(lines[m.r.Intn(len(lines))], " ", 3)
	to := strings.SplitN(lines[m.r.Intn(len(lines))], " ", 3)
	if to[0] != one[0] || m.r.Intn(2) == 0 {
		to = one
	}
	count := 0
	for _, l := range lines {
		if strings.HasPrefix(l, to[0]+" "+to[1]+" ") {
			count++
		}
	}
	place := 1 + m.r.Intn(count)
	switch m.r.Intn(4) {
	case 0:
		m.single("-t", to[0], "-D", to[1], fmt.Sprint(place))
	case 1:
		m.single(append([]string{"-t", one[0], "-A", to[1]}, words(one[2])...)...)
	default:
		m.single(append([]string{"-t", one[0], "-I", to[1], fmt.Sprint(place)}, words(one[2])...)...)
	}
}
