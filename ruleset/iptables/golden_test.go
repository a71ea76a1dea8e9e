package iptables_test

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/packet"
)

var update = flag.Bool("update", false, "write the expected output anew, as the real tool gives it")

// golden is one file of testdata/restore: a text, the options of restore, what was
// there before, and what iptables-legacy-save -c prints afterwards or our refusal.
type golden struct {
	path             string
	archive          *txtar.Archive
	family           packet.Family
	flags            []string
	base, in         string
	out, refused     string
	counters, append bool
	table            string
}

func section(a *txtar.Archive, name string) (string, bool) {
	for _, f := range a.Files {
		if f.Name == name {
			return string(f.Data), true
		}
	}
	return "", false
}

func setSection(a *txtar.Archive, name, text string) {
	for i, f := range a.Files {
		if f.Name == name {
			a.Files[i].Data = []byte(text)
			return
		}
	}
	a.Files = append(a.Files, txtar.File{Name: name, Data: []byte(text)})
}

func dropSection(a *txtar.Archive, name string) {
	a.Files = slices.DeleteFunc(a.Files, func(f txtar.File) bool { return f.Name == name })
}

func readGolden(t *testing.T, path string) *golden {
	a, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	g := &golden{path: path, archive: a, family: packet.IPv4}
	flags, _ := section(a, "flags")
	words := strings.Fields(flags)
	for i := 0; i < len(words); i++ {
		switch words[i] {
		case "-6":
			g.family = packet.IPv6
			continue
		case "-c":
			g.counters = true
		case "-n":
			g.append = true
		case "-T":
			g.table = words[i+1]
			g.flags = append(g.flags, words[i])
			i++
		}
		g.flags = append(g.flags, words[i])
	}
	unescape := strings.NewReplacer("␍", "\r", "␀", "\x00", "␄\n", "") // carriage return, NUL, no newline at the end
	g.base, _ = section(a, "base")
	g.in, _ = section(a, "in")
	g.in = unescape.Replace(g.in)
	g.out, _ = section(a, "out")
	g.refused, _ = section(a, "refused")
	return g
}

// ours is what we print, or our refusal.
func (g *golden) ours(t *testing.T) (out, refused string) {
	o := iptables.Options{File: "in", Family: g.family, Resolver: iptables.NewResolver()}
	if g.base != "" {
		o.Counters = true
		base, _, err := iptables.Read(strings.NewReader(g.base), o)
		if err != nil {
			t.Fatal("base: ", err)
		}
		o.Base = base
	}
	o.Counters, o.NoFlush, o.Table = g.counters, g.append, g.table
	rs, _, err := iptables.Read(strings.NewReader(g.in), o)
	if err != nil {
		return "", err.Error() + "\n"
	}
	return printed(t, rs), ""
}

func printed(t *testing.T, rs *ruleset.Ruleset) string {
	t.Helper()
	var b strings.Builder
	if err := iptables.Print(&b, rs, iptables.PrintOptions{Counters: true}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// real is what the real tool saves, or its refusal.
func (g *golden) real(t *testing.T) (out, refused string) {
	o := newOracle(t, g.family)
	defer o.close()
	if g.base != "" {
		if _, errs, err := o.run(g.base, "-restore", "-c"); err != nil {
			t.Fatal("base: ", err, errs)
		}
	}
	_, errs, err := o.run(g.in, "-restore", g.flags...)
	if err != nil {
		return "", errs
	}
	return o.save(t, "-c"), ""
}

// TestGolden reads the texts of testdata/restore. Where the real tool can be asked,
// it must load, print and refuse the same.
func TestGolden(t *testing.T) {
	paths, _ := filepath.Glob("testdata/restore/*.txtar")
	if len(paths) == 0 {
		t.Fatal("no testdata/restore")
	}
	for _, path := range paths {
		g := readGolden(t, path)
		name := strings.TrimSuffix(filepath.Base(path), ".txtar")
		t.Run(name, func(t *testing.T) {
			out, refused := g.ours(t)
			if *update {
				haveOracle(t)
				realOut, realRefused := g.real(t)
				if (realRefused == "") != (refused == "") {
					t.Errorf("refusals differ: ours %q, real %q", refused, realRefused)
				}
				if realRefused == "" {
					setSection(g.archive, "out", realOut)
					dropSection(g.archive, "refused")
				} else {
					setSection(g.archive, "refused", refused)
					dropSection(g.archive, "out")
				}
				if err := os.WriteFile(path, txtar.Format(g.archive), 0o644); err != nil {
					t.Fatal(err)
				}
				g = readGolden(t, path)
			}
			if refused != g.refused {
				t.Errorf("refusal:\n got %s\nwant %s", refused, g.refused)
			}
			if out != g.out {
				t.Error(diff(out, g.out))
			}
		})
		t.Run("real/"+name, func(t *testing.T) {
			haveOracle(t)
			out, refused := g.real(t)
			if (refused == "") != (g.refused == "") {
				t.Fatalf("the real tool says %q, the golden %q", refused, g.refused)
			}
			if refused == "" && out != g.out {
				t.Error(diff(g.out, out))
			}
		})
	}
}
