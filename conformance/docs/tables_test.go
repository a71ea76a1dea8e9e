package docs

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/ruleset"
)

var update = flag.Bool("update", false, "write README.md and docs/words.md")

const (
	readme    = "../../README.md"
	wordsFile = "../../docs/words.md"
)

const wordsHead = `# Words after -m and -j

Written by ` + "`go test ./conformance/docs -update`" + ` from the words' definitions and the rows of their tests.
"BPF": the rule runs in BPF. "netfilter, told by BPF": BPF decides which packets, netfilter's own target acts on
them. "the whole table in netfilter": the table with such a rule is left to netfilter, and ` + "`bpftables status`" + ` says so.
The base options -p, -s, -d, -i, -o and -f always run in BPF.

`

func TestWordsPageIsUpToDate(t *testing.T) {
	var b strings.Builder
	b.WriteString(wordsHead)
	table(&b, "-m", matches(t))
	b.WriteString("\n")
	table(&b, "-j", targets(t))
	b.WriteString("\nA user chain after -j or -g, and a rule without target, run in BPF.\n")
	same(t, wordsFile, b.String())
}

func table(b *strings.Builder, option string, words []*word) {
	fmt.Fprintf(b, "| %s | IPv | what | where it runs |\n|---|---|---|---|\n", option)
	for _, w := range words {
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", w.name, families(w.families), w.doc, w.where())
	}
}

func families(f ruleset.Families) string {
	return map[ruleset.Families]string{ruleset.OnlyIPv4: "4", ruleset.OnlyIPv6: "6", ruleset.Both: "4, 6"}[f]
}

func TestReadmeTableIsUpToDate(t *testing.T) {
	old, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	mark := regexp.MustCompile(`(?s)(<!-- words -->\n).*(<!-- end of words -->)`)
	if !mark.Match(old) {
		t.Fatal("README.md has no place for the table of words")
	}
	same(t, readme, mark.ReplaceAllString(string(old), "${1}"+strings.ReplaceAll(summary(t), "$", "$$")+"${2}"))
}

// summary is the README's table: words by where they run.
func summary(t *testing.T) string {
	var b strings.Builder
	b.WriteString("| where | `-m` | `-j` |\n|---|---|---|\n")
	ms, ts := matches(t), targets(t)
	for _, g := range []struct {
		title string
		in    func(w *word) bool
	}{
		{"in BPF", func(w *word) bool { return w.bpf && !w.shim && len(w.reasons) == 0 }},
		{"netfilter acts, BPF says on which packets", func(w *word) bool { return w.shim && len(w.reasons) == 0 }},
		{"as above, with some options the whole table in netfilter", func(w *word) bool { return (w.bpf || w.shim) && len(w.reasons) > 0 }},
		{"the whole table in netfilter", func(w *word) bool { return !w.bpf && !w.shim && (w.tables || len(w.reasons) > 0) }},
		{"refused, as no current kernel has it", func(w *word) bool { return strings.HasPrefix(w.where(), "refused") }},
	} {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", g.title, names(ms, g.in), names(ts, g.in))
	}
	return b.String()
}

func names(words []*word, in func(w *word) bool) string {
	var out []string
	for _, w := range words {
		if in(w) {
			out = append(out, w.name)
		}
	}
	return strings.Join(out, " ")
}

func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^):#]+)\)`)
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range append(pages, readme, "../../ARCHITECTURE.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
	}
}

// same compares a file with what it must hold, or writes it.
func same(t *testing.T, file, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != want {
		t.Errorf("%s is out of date; run 'go test ./conformance/docs -update' and commit", file)
	}
}
