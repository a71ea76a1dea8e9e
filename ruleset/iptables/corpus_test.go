package iptables_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// corpusDir finds the collected rulesets, which are not part of the repository.
func corpusDir(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("BPFTABLES_CORPUS")
	if dir == "" {
		dir = "../../../shared/corpus"
	}
	dir = filepath.Join(dir, "iptables")
	if _, err := os.Stat(filepath.Join(dir, "ORIGINS.tsv")); err != nil {
		if os.Getenv("REQUIRE_KERNEL") != "" {
			t.Fatalf("no corpus at %s: set BPFTABLES_CORPUS", dir)
		}
		t.Skipf("no corpus at %s: set BPFTABLES_CORPUS", dir)
	}
	return dir
}

type corpusFile struct {
	name   string
	family packet.Family
	text   string
}

func corpus(t *testing.T) []corpusFile {
	dir := corpusDir(t)
	index, err := os.ReadFile(filepath.Join(dir, "ORIGINS.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	var all []corpusFile
	for _, l := range strings.Split(string(index), "\n")[1:] {
		columns := strings.Split(l, "\t")
		if len(columns) < 4 {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, columns[0]))
		if err != nil {
			t.Error(err)
			continue
		}
		f := corpusFile{columns[0], packet.IPv4, string(text)}
		if columns[3] == "ipv6" {
			f.family = packet.IPv6
		}
		all = append(all, f)
	}
	return all
}

// ourSave reads a text and prints it with counters.
func ourSave(f corpusFile, counters bool) (string, error) {
	rs, _, err := iptables.Read(strings.NewReader(f.text), iptables.Options{
		File: f.name, Family: f.family, Resolver: iptables.NewResolver(), Counters: counters,
	})
	if err != nil {
		return "", err
	}
	var b strings.Builder
	err = iptables.Print(&b, rs, iptables.PrintOptions{Counters: true})
	return b.String(), err
}

// hostRefusals are texts that the real tool refuses for what the host lacks, not for
// what they say.
var hostRefusals = map[string]string{
	"Set ":                "an ipset does not exist",
	"Couldn't load match": "an extension is not installed",
}

// TestCorpus reads every ruleset of the corpus that iptables-legacy-restore loads and
// wants the text of iptables-legacy-save; what the real tool refuses must be refused.
func TestCorpus(t *testing.T) {
	haveOracle(t)
	loaded, same, refused := 0, 0, 0
	for _, f := range corpus(t) {
		t.Run(f.name, func(t *testing.T) {
			for _, flag := range []string{"-c", ""} {
				o := newOracle(t, f.family)
				args := []string{}
				if flag != "" {
					args = append(args, flag)
				}
				_, errs, realErr := o.run(f.text, "-restore", args...)
				got, ourErr := ourSave(f, flag == "-c")
				if flag == "" {
					loaded++
				}
				switch {
				case realErr != nil && ourErr != nil:
					if flag == "" {
						loaded--
						refused++
					}
				case realErr != nil:
					for mark, why := range hostRefusals {
						if strings.Contains(errs, mark) {
							t.Skipf("the real tool refuses it: %s: %s", why, errs)
						}
					}
					t.Errorf("restore %s: the real tool refuses it: %s", flag, errs)
				case ourErr != nil:
					t.Errorf("restore %s: refused: %v", flag, ourErr)
				default:
					if want := o.save(t, "-c"); got != want {
						t.Errorf("restore %s: %s", flag, diff(got, want))
					} else if flag == "" {
						same++
					}
				}
				o.close()
			}
		})
	}
	t.Logf("%d of %d loadable rulesets are printed as iptables-legacy-save prints them; %d are refused by both", same, loaded, refused)
}

// diff shows the first lines that differ.
func diff(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := 0; i < len(g) || i < len(w); i++ {
		a, b := "(nothing)", "(nothing)"
		if i < len(g) {
			a = g[i]
		}
		if i < len(w) {
			b = w[i]
		}
		if a != b {
			return "first difference:\n got " + a + "\nwant " + b
		}
	}
	return "same"
}
