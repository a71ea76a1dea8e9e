package match_test

import (
	"strings"
	"testing"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
	"github.com/bpftables/bpftables/ruleset/match/rows"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// TestRows judges every row by the parser and printer, by Eval and by pred.Eval of
// Lower. The BPF program and netfilter judge them in package conformance.
func TestRows(t *testing.T) {
	all, err := rows.Load("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		t.Run(r.Name(), func(t *testing.T) { judge(t, r) })
	}
}

func judge(t *testing.T, r *rows.Row) {
	rule, err := parse(r, r.Rule)
	if r.Refused != "" {
		if err == nil || !strings.Contains(err.Error(), r.Refused) {
			t.Errorf("%s: error %v, want one with %q", r.Pos, err, r.Refused)
		}
		return
	}
	if err != nil {
		t.Fatalf("%s: %v", r.Pos, err)
	}
	judgePrint(t, r, rule)
	lowered, reason := r.Lower(rule)
	judgePackets(t, r, "Eval", func(f *packet.Facts) pred.Answer { return rows.Eval(rule, f) })
	if reason == "" {
		judgePackets(t, r, "pred.Eval of Lower", func(f *packet.Facts) pred.Answer { return pred.Eval(lowered, f) })
	}
}

// parse reads the rule as a line of a table in its chain, and asks the kernel's checks.
func parse(r *rows.Row, text string) (*ruleset.Rule, error) {
	table := "*" + r.Table + "\n-A " + r.Chain + " " + text + "\nCOMMIT\n"
	if tables.Base(r.Table, r.Chain, "") == nil {
		table = "*" + r.Table + "\n:" + r.Chain + " - [0:0]\n-A " + r.Chain + " " + text + "\nCOMMIT\n"
	}
	o := iptables.Options{Family: r.Family, Resolver: rows.Resolver{}}
	rs, _, err := iptables.Read(strings.NewReader(table), o)
	if err != nil {
		return nil, err
	}
	rule := rs.Table(r.Table).Chain(r.Chain).Rules[0]
	return rule, r.Check(rule)
}

// judgePrint compares the text of the rule, and reads it again.
func judgePrint(t *testing.T, r *rows.Row, rule *ruleset.Rule) {
	text := rows.Text(rule)
	if text != r.Prints {
		t.Errorf("%s: prints %q, want %q", r.Pos, text, r.Prints)
	}
	if r.Lossy != "" {
		return
	}
	again, err := parse(r, text)
	if err != nil {
		t.Errorf("%s: its own print %q is refused: %v", r.Pos, text, err)
	} else if got := rows.Text(again); got != text {
		t.Errorf("%s: %q read again prints %q", r.Pos, text, got)
	}
}

func judgePackets(t *testing.T, r *rows.Row, judge string, eval func(*packet.Facts) pred.Answer) {
	facts, err := r.Facts()
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range facts {
		if got := eval(f); got != r.Packets[i].Want {
			t.Errorf("%s: %s says %v, want %v: %s", r.Packets[i].Pos, judge, got, r.Packets[i].Want, r.Packets[i].Text)
		}
	}
}
