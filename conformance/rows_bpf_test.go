package conformance_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/bpf/attach"
	"github.com/bpftables/bpftables/codegen"
	coderows "github.com/bpftables/bpftables/codegen/rows"
	"github.com/bpftables/bpftables/compat/shim"
	"github.com/bpftables/bpftables/conformance"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
	"github.com/bpftables/bpftables/ruleset/match/rows"
	"github.com/bpftables/bpftables/translate"
)

// TestRowsInBPF judges the rows of all words by the generated program under
// BPF_PROG_TEST_RUN (judge 4; package match has judges 1 to 3).
func TestRowsInBPF(t *testing.T) {
	needRoot(t)
	all, err := rows.Load("../ruleset/match/testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, how := range []translate.Classifier{translate.ClassifyCode, translate.ClassifyTuples, translate.ClassifyTree, translate.ClassifyRows} {
		t.Run(translate.ClassifierNames[how], func(t *testing.T) { rowsInBPF(t, all, how) })
	}
}

func rowsInBPF(t *testing.T, all []*rows.Row, how translate.Classifier) {
	judged, packets, left := 0, 0, map[string]int{}
	for i, r := range all {
		if i%*conformance.Every != 0 || r.Refused != "" || len(r.Packets) == 0 {
			continue
		}
		t.Run(r.Name(), func(t *testing.T) {
			prog, why := rowProgram(t, r, how)
			if why != "" {
				left[r.Word]++
				return
			}
			judged++
			packets += judgeInBPF(t, r, prog)
		})
	}
	t.Logf("%d rules, %d packets judged by BPF; rules that BPF does not run, by word: %v", judged, packets, left)
	if judged == 0 {
		t.Error("no row was judged")
	}
}

// rowProgram generates the program of a rule with target DROP; why is set when
// the rule does not run in BPF.
func rowProgram(t *testing.T, r *rows.Row, how translate.Classifier) (prog *codegen.Program, why string) {
	t.Helper()
	table, chain := bpfPlace(r)
	text := fmt.Sprintf("*%s\n-A %s %s -j DROP\nCOMMIT\n", table, chain, r.Rule)
	rs, _, err := iptables.Read(strings.NewReader(text), iptables.Options{Family: r.Family, Resolver: rows.Resolver{}})
	if err != nil {
		t.Fatalf("%s: %v", r.Pos, err)
	}
	res := translate.Translate(rs, translate.Options{Text: iptables.PrintRule, Classifier: how, Can: shim.Can})
	if reasons := res.Plan.Tables[0].Reasons; len(reasons) > 0 {
		return nil, reasons[0].Why
	}
	image, err := codegen.Image(res.Plan, coderows.Drawn())
	if err != nil {
		t.Fatalf("%s: %v", r.Pos, err)
	}
	progs, err := codegen.Generate(res.Plan, image)
	if err != nil {
		t.Fatalf("%s: %v", r.Pos, err)
	}
	hook, _ := tables.HookOf(chain)
	for i := range progs {
		if progs[i].Hook == hook {
			return &progs[i], ""
		}
	}
	t.Fatalf("%s: no program for %s", r.Pos, chain)
	return nil, ""
}

// bpfPlace is a table and chain that BPF runs and where the word may stand as it does
// in the row's.
func bpfPlace(r *rows.Row) (table, chain string) {
	chain = r.Chain
	if chain == "POSTROUTING" {
		chain = "OUTPUT"
	}
	for _, table := range []string{"raw", "filter"} {
		if c := tables.Base(table, chain, ""); c != nil && (table == r.Table || table == "filter" || r.Table != "filter") {
			return table, chain
		}
	}
	return "filter", "INPUT"
}

func judgeInBPF(t *testing.T, r *rows.Row, prog *codegen.Program) int {
	t.Helper()
	facts, err := r.Facts()
	if err != nil {
		t.Fatal(err)
	}
	runner, err := attach.NewRunner(prog, 1000)
	if err != nil {
		t.Fatalf("%s: %v", r.Pos, err)
	}
	defer runner.Close()
	for i, f := range facts {
		out, err := runner.Run(f)
		if err != nil {
			t.Errorf("%s: %s: %v", r.Packets[i].Pos, r.Packets[i].Text, err)
			continue
		}
		if got, want := answer(out.Verdict), r.Packets[i].Want.String(); got != want {
			t.Errorf("%s: %s: BPF says %s, want %s", r.Packets[i].Pos, r.Packets[i].Text, got, want)
		}
	}
	return len(facts)
}

func answer(verdict int32) string {
	switch verdict {
	case abi.Drop:
		return "match"
	case abi.Accept:
		return "no"
	case abi.Hotdrop:
		return "hotdrop"
	}
	return fmt.Sprintf("verdict %d", verdict)
}
