package rows_test

import (
	"strings"
	"testing"

	"github.com/bpftables/bpftables/ruleset/match/rows"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

func TestParse(t *testing.T) {
	const text = `
# A comment.
rule 46 -p tcp --dport ssh
prints -p tcp -m tcp --dport 22
packet tcp 192.0.2.1:5 > 198.51.100.1:22 -> match
packet tcp [2001:db8::1]:5 > [2001:db8::2]:23 -> no
packet 4: tcp cut 39 -> hotdrop
unsent for a test
older match until 6.17
packet udp -> match+hotdrop
at filter INPUT
rule 6 -m nope
refused nope
`
	all, err := rows.Parse(strings.NewReader(text), "testdata/tcp.txt")
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 3 {
		t.Fatalf("%d rows, want 3", len(all))
	}
	v4, v6, bad := all[0], all[1], all[2]
	if v4.Name() != "tcp:3/ipv4" || v4.Prints != "-p tcp -m tcp --dport 22" || v4.Table != "raw" || len(v4.Packets) != 3 {
		t.Errorf("%+v", v4)
	}
	if v6.Family != packet.IPv6 || len(v6.Packets) != 2 || v6.Packets[0].Want != pred.No || !v6.Packets[1].Counted {
		t.Errorf("%+v", v6)
	}
	if v4.Packets[1].Unsent != "for a test" || v4.Packets[1].Want != pred.Hotdrop ||
		v4.Packets[1].Older.Want != pred.Yes || v4.Packets[0].Older != nil {
		t.Errorf("%+v", v4.Packets[1])
	}
	if bad.Refused != "nope" || bad.Table != "filter" || bad.Chain != "INPUT" {
		t.Errorf("%+v", bad)
	}
}

func TestFaults(t *testing.T) {
	for text, want := range map[string]string{
		"packet udp -> no":                          "x.txt:1: packet: a rule line must come first",
		"rule 5 -p tcp":                             "give 4, 6 or 46",
		"rule 4 -p tcp\npacket udp":                 "x.txt:2: packet: no answer",
		"rule 4 -p tcp\npacket udp -> maybe":        `answer "maybe"`,
		"rule 4 -p tcp\npacket udp nope -> no":      "nope",
		"rule 4 -p tcp\npacket 6: udp -> no":        "another family",
		"at nowhere INPUT":                          "give a table",
		"rule 4 -p tcp\npacket udp -> no\nolder no": "give an answer and a reason",
		"rule 4 -p tcp\nwhat is this":               "unknown line",
		"rule 4 -p tcp\npacket 4: tcp cut 1 > no":   "no answer",
	} {
		_, err := rows.Parse(strings.NewReader(text), "x.txt")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
