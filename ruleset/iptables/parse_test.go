package iptables_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/packet"
)

func mustRead(t *testing.T, text string, o iptables.Options) (*ruleset.Ruleset, iptables.Report) {
	t.Helper()
	o.Family = packet.IPv4
	rs, report, err := iptables.Read(strings.NewReader(text), o)
	if err != nil {
		t.Fatal(err)
	}
	return rs, report
}

// TestParseRule reads the rules of command lines.
func TestParseRule(t *testing.T) {
	base, _ := mustRead(t, "*filter\n:X - [0:0]\nCOMMIT\n", iptables.Options{})
	for _, c := range []struct{ args, want string }{
		{"-p tcp --dport 22 -j ACCEPT", "-A C -p tcp -m tcp --dport 22 -j ACCEPT"},
		{"-i eth0 -o eth1 -g X", "-A C -i eth0 -o eth1 -g X"},
		{"-s 192.0.2.1,192.0.2.2 -j X -t filter", "-A C -s 192.0.2.1/32 -j X; -A C -s 192.0.2.2/32 -j X"},
		{"", "-A C"},
		{"-p tcp --dport 99999", `4: tcp: --dport: "99999" is not a tcp service or a port up to 65535`},
		{"-j Y", `2: Y: no such target or chain; a chain must be created before it is named, with ":Y - [0:0]"`},
		{"-D INPUT", "1: -D: cannot be used with -A; one command a line"},
		{"-t nat", `1: -t: names table "nat" in a rule of table "filter"`},
		{"-p", "1: -p: needs an argument"},
	} {
		rules, err := iptables.ParseRule(strings.Fields(c.args), iptables.Options{Family: packet.IPv4, Base: base}, "filter")
		var got []string
		for _, r := range rules {
			got = append(got, iptables.PrintRule(r, "C"))
		}
		text := strings.Join(got, "; ")
		if err != nil {
			text = strings.ReplaceAll(columns(err), "\n", "; ")
		}
		if text != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.args, text, c.want)
		}
	}
	if _, err := iptables.ParseRule(nil, iptables.Options{}, "nonsense"); err == nil {
		t.Error("a table that is not there is taken")
	}
}

// columns is the text of joined errors with the columns alone.
func columns(err error) string {
	var lines []string
	for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
		re := e.(*ruleset.Error)
		col := re.Pos.Col
		at := *re
		at.Pos = ruleset.Pos{}
		lines = append(lines, strings.TrimSpace(strings.Join([]string{strconv.Itoa(col), at.Error()}, ": ")))
	}
	return strings.Join(lines, "\n")
}

// TestPositions wants the place of tables, chains and rules.
func TestPositions(t *testing.T) {
	rs, _ := mustRead(t, "# x\n*filter\n:INPUT DROP [0:0]\n:X - [0:0]\n[1:2]  -A INPUT -j X\n-N Y\n-I Y -s 192.0.2.1,192.0.2.2\nCOMMIT\n",
		iptables.Options{File: "f"})
	table := rs.Tables[0]
	for _, c := range []struct {
		of   string
		got  ruleset.Pos
		want string
	}{
		{"table", table.Pos, "f:2:1"},
		{"built-in chain", table.Chain("INPUT").Pos, "f:3:2"},
		{"user chain", table.Chain("X").Pos, "f:4:2"},
		{"rule", table.Chain("INPUT").Rules[0].Pos, "f:5:8"},
		{"new chain", table.Chain("Y").Pos, "f:6:4"},
		{"second rule of a line", table.Chain("Y").Rules[1].Pos, "f:7:1"},
	} {
		if got := c.got.String(); got != c.want {
			t.Errorf("%s: %s, want %s", c.of, got, c.want)
		}
	}
}

const liveText = "*filter\n:INPUT DROP [7:9]\n:X - [0:0]\n[5:6] -A INPUT -j X\n[7:8] -A X -j ACCEPT\n[1:1] -A OUTPUT -j ACCEPT\nCOMMIT\n" +
	"*nat\n[3:3] -A OUTPUT -j ACCEPT\nCOMMIT\n"

// TestKept wants the rules that stay to be the same, so that their counters go on.
func TestKept(t *testing.T) {
	base, _ := mustRead(t, liveText, iptables.Options{Counters: true})
	before := base.Table("filter")
	rs, report := mustRead(t, "*filter\n-A INPUT -j DROP\n-Z OUTPUT\n-E X Y\nCOMMIT\n*nat\n-X\nCOMMIT\n*raw\nCOMMIT\n",
		iptables.Options{Base: base, NoFlush: true})
	after := rs.Table("filter")
	if rs.Table("nat") != base.Table("nat") {
		t.Error("a table without a change is another one")
	}
	if before.Chain("X") == nil || len(before.Chain("INPUT").Rules) != 1 {
		t.Error("the base was changed")
	}
	if after.Chain("Y").Rules[0] != before.Chain("X").Rules[0] {
		t.Error("a rule that stays is another one")
	}
	jump := after.Chain("INPUT").Rules[0]
	if report.Table("filter").Moved[jump] != before.Chain("INPUT").Rules[0] || jump.Counters.Packets != 5 {
		t.Error("a jump to a renamed chain lost its counters")
	}
	if zeroed := after.Chain("OUTPUT").Rules[0]; zeroed == before.Chain("OUTPUT").Rules[0] || zeroed.Counters.Packets != 0 {
		t.Error("a rule that was zeroed keeps its counters")
	}
	if report.Table("filter").KeptPolicy["INPUT"] || after.Chain("INPUT").Counters.Packets != 0 {
		t.Error("the policy counters of a changed table go on")
	}
	if !report.Table("nat").KeptPolicy["OUTPUT"] {
		t.Error("the policy counters of a table without a change do not go on")
	}
	if report.Table("raw") == nil || report.Table("mangle") != nil || len(rs.Tables) != 3 {
		t.Error("the tables of the report or of the result are wrong")
	}
}

// TestFlushed wants nothing to stay of a table that a text without -n names, but its
// policies.
func TestFlushed(t *testing.T) {
	base, _ := mustRead(t, liveText, iptables.Options{Counters: true})
	rs, _ := mustRead(t, "*filter\n-A OUTPUT -j ACCEPT\nCOMMIT\n", iptables.Options{Base: base})
	table := rs.Table("filter")
	if table.Chain("X") != nil || len(table.Chain("INPUT").Rules) != 0 || table.Chain("INPUT").Base.Policy != ruleset.Drop {
		t.Error("the table was not flushed, or its policy was")
	}
	if table.Chain("OUTPUT").Rules[0] == base.Table("filter").Chain("OUTPUT").Rules[0] {
		t.Error("a rule that the text gives is that of the base")
	}
}
