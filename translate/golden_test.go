package translate_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/bpftables/bpftables/codegen"
	"github.com/bpftables/bpftables/compat/shim"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/translate"
)

var update = flag.Bool("update", false, "write the output into the golden files")

// Each testdata/*.txtar holds rules (file "rules.v4" or "rules.v6"), the plan, and,
// if the file has it, the instructions.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no golden files", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) { golden(t, file) })
	}
}

func golden(t *testing.T, file string) {
	ar, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got := render(t, ar)
	if *update {
		if err := os.WriteFile(file, txtar.Format(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	for i, f := range ar.Files {
		if !bytes.Equal(f.Data, got.Files[i].Data) {
			t.Errorf("%s: got\n%s\nwant\n%s", f.Name, got.Files[i].Data, f.Data)
		}
	}
}

func render(t *testing.T, ar *txtar.Archive) *txtar.Archive {
	t.Helper()
	out := &txtar.Archive{Comment: ar.Comment}
	var res *translate.Result
	var rules txtar.File
	for _, f := range ar.Files {
		switch {
		case strings.HasPrefix(f.Name, "rules"):
			res, rules = translateText(t, f.Name, f.Data), f
		case f.Name == "early", f.Name == "early exact":
			f.Data = early(t, rules, f.Name == "early exact")
		case f.Name == "plan":
			f.Data = []byte(res.Plan.String())
		case f.Name == "insns":
			f.Data = instructions(t, res)
		}
		out.Files = append(out.Files, f)
	}
	return out
}

// early is the plan of the early stage alone.
func early(t *testing.T, rules txtar.File, exact bool) []byte {
	t.Helper()
	rs := readRules(t, rules.Name, rules.Data)
	res := translate.Translate(rs, translate.Options{Text: iptables.PrintRule, Can: shim.Can})
	translate.Early(translate.EarlyOptions{Options: translate.Options{Text: iptables.PrintRule, Can: shim.Can}, Exact: exact}, res)
	if _, err := codegen.GenerateEarly(res.Plan, nil); err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(res.Plan.String(), "\nearly ")
	return []byte("early " + text)
}

func translateText(t *testing.T, name string, text []byte) *translate.Result {
	t.Helper()
	return translate.Translate(readRules(t, name, text), translate.Options{Text: iptables.PrintRule, Can: shim.Can})
}

func readRules(t *testing.T, name string, text []byte) *ruleset.Ruleset {
	t.Helper()
	family := packet.IPv4
	if strings.HasSuffix(name, "6") {
		family = packet.IPv6
	}
	rs, _, err := iptables.Read(bytes.NewReader(text), iptables.Options{
		File: name, Family: family, Resolver: iptables.NewResolver(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return rs
}

func instructions(t *testing.T, res *translate.Result) []byte {
	t.Helper()
	progs, err := codegen.Generate(res.Plan, nil)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	for _, p := range progs {
		fmt.Fprintf(&b, "# %s %s needs=%#x\n%v%v\n", p.Table, p.Hook, p.Needs, p.Lead.Insns, p.Insns)
	}
	return b.Bytes()
}
