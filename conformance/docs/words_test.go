package docs

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/compat/shim"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
	"github.com/bpftables/bpftables/ruleset/match"
	"github.com/bpftables/bpftables/ruleset/match/rows"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/target"
	"github.com/bpftables/bpftables/translate"
)

// word is one line of a table: a word and where its rules run.
type word struct {
	name     string
	families ruleset.Families
	doc      string
	bpf      bool     // with some options it runs in BPF
	shim     bool     // netfilter runs it, told by BPF
	reasons  []string // why, with other options, netfilter runs the whole table
	tables   bool     // it only exists in tables that netfilter runs
	refused  string   // why no rule with it is accepted
}

// where is the table's text.
func (w *word) where() string {
	place := "BPF"
	switch {
	case w.shim:
		place = "netfilter, told by BPF"
	case w.tables:
		return "netfilter, with its table"
	case !w.bpf && len(w.reasons) == 0:
		return w.refused
	case !w.bpf:
		place = ""
	}
	if len(w.reasons) == 0 {
		return place
	}
	fallback := "the whole table in netfilter: " + strings.Join(w.reasons, "; ")
	if place == "" {
		return fallback
	}
	return place + "; otherwise " + fallback
}

// sample is one rule of testdata.
type sample struct {
	table, chain, args string
	family             packet.Family
}

// see adds what translate says about a rule.
func (w *word) see(t *testing.T, s sample) {
	t.Helper()
	text := fmt.Sprintf("*%s\n:user - [0:0]\n-A %s %s\nCOMMIT\n", s.table, s.chain, s.args)
	rs, _, err := iptables.Read(strings.NewReader(text), iptables.Options{
		File: "row", Family: s.family, Resolver: rows.Resolver{},
	})
	if err == nil {
		err = check(rs)
	}
	if err != nil {
		if w.refused == "" {
			_, what, _ := strings.Cut(err.Error(), ": ")
			w.refused = "refused: " + what
		}
		return
	}
	tab := translate.Translate(rs, translate.Options{Can: shim.Can}).Plan.Tables[0]
	switch {
	case tab.InBPF && len(tab.Actions) > 0:
		w.shim = true
	case tab.InBPF:
		w.bpf = true
	case len(tab.Reasons) == 0:
		w.tables = !w.shim && !w.bpf && len(w.reasons) == 0
	}
	for _, n := range tab.Reasons {
		w.because(n.Why)
		w.tables = false
	}
}

// because adds a reason, unless one with the same place in the kernel is there.
func (w *word) because(reason string) {
	if !slices.ContainsFunc(w.reasons, func(have string) bool { return place(have) == place(reason) }) {
		w.reasons = append(w.reasons, reason)
	}
}

// place is the part of a reason that names the kernel's function.
func place(reason string) string {
	if at := strings.Index(reason, "("); at >= 0 {
		return reason[at:]
	}
	return reason
}

// check asks every word of the one rule whether the kernel refuses it.
func check(rs *ruleset.Ruleset) error {
	for _, c := range rs.Tables[0].Chains {
		for _, r := range c.Rules {
			hook, _ := tables.HookOf(c.Name)
			in := rs.Tables[0].Place(rs.Family, 1<<hook)
			in.Rule = r
			if r.Target == nil {
				continue
			}
			if err := r.Target.Check(in); err != nil {
				return err
			}
		}
	}
	return nil
}

// matches are the words after -m, by the rows of their files.
func matches(t *testing.T) []*word {
	all, err := rows.Load("../../ruleset/match/testdata")
	if err != nil {
		t.Fatal(err)
	}
	var out []*word
	for _, k := range match.Kinds {
		w := &word{name: k.Name, families: k.Families, doc: k.Doc}
		for _, r := range all {
			if strings.Contains(" "+r.Rule+" ", " -m "+k.Name+" ") && k.Families.Has(r.Family) && r.Refused == "" {
				w.see(t, sample{r.Table, r.Chain, r.Rule, r.Family})
			}
		}
		out = append(out, w)
	}
	return merged(out)
}

// targets are the words after -j, by the rows of their files.
func targets(t *testing.T) []*word {
	var out []*word
	for _, k := range target.Kinds {
		w := &word{name: k.Name, families: k.Families, doc: k.Doc}
		for _, s := range targetSamples(t, filepath.Join("../../ruleset/target/testdata", k.Name+".txt")) {
			if k.Families.Has(s.family) {
				w.see(t, s)
			}
		}
		out = append(out, w)
	}
	return merged(out)
}

// targetSamples reads the lines "rule FAMILIES TABLE/CHAIN,... ARGS".
func targetSamples(t *testing.T, file string) (all []sample) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Error(err)
		return nil
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		rest, ok := strings.CutPrefix(lines.Text(), "rule ")
		if !ok {
			continue
		}
		families, rest, _ := strings.Cut(rest, " ")
		at, args, _ := strings.Cut(rest, " ")
		table, chain, _ := strings.Cut(at, "/")
		if !tables.Known(table) || strings.Contains(chain, ",") || chain == "-" {
			continue
		}
		for _, f := range families {
			family := packet.IPv4
			if f == '6' {
				family = packet.IPv6
			}
			all = append(all, sample{table, chain, args, family})
		}
	}
	return all
}

// merged joins words of the same name that are for one family each.
func merged(all []*word) (out []*word) {
	for _, w := range all {
		if n := len(out); n > 0 && out[n-1].name == w.name {
			last := out[n-1]
			last.families |= w.families
			last.bpf, last.shim = last.bpf || w.bpf, last.shim || w.shim
			for _, r := range w.reasons {
				last.because(r)
			}
			continue
		}
		out = append(out, w)
	}
	return out
}

func TestEveryWordIsPlaced(t *testing.T) {
	for _, w := range append(matches(t), targets(t)...) {
		if w.where() == "" {
			t.Errorf("%s: no row of its testdata says where it runs", w.name)
		}
		if w.doc == "" {
			t.Errorf("%s: no Doc", w.name)
		}
	}
}
