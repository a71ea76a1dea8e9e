package iptables_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// readback asks for the whole of a ruleset.
func readback(rs *ruleset.Ruleset, o iptables.Options) error {
	b := iptables.NewReadback(rs)
	for _, t := range rs.Tables {
		b.Table(t)
		for _, c := range t.Chains {
			for _, r := range c.Rules {
				b.Rule(c.Name, r, iptables.AppendSpec(nil, r))
			}
		}
	}
	return b.Check(o)
}

// known says whether the print of a rule is known to be good.
func known(r *ruleset.Rule) bool {
	one := &ruleset.Rule{Source: r.Source, Matches: r.Matches, Target: r.Target, Goto: r.Goto}
	return iptables.Known(one, iptables.AppendSpec(nil, one))
}

// sameReadable wants of a Readback what reading the whole print says. It gives that
// answer.
func sameReadable(t *testing.T, rs *ruleset.Ruleset) error {
	t.Helper()
	turned := &ruleset.Ruleset{Family: rs.Family, Tables: slices.Clone(rs.Tables)}
	slices.Reverse(turned.Tables)
	text := printed(t, turned)
	o := iptables.Options{File: "print", Family: rs.Family, Counters: true}
	_, _, want := iptables.Read(strings.NewReader(text), o)
	got := readback(rs, o)
	if (got == nil) != (want == nil) {
		t.Errorf("readable: %v, but reading all of it: %v\n%s", got, want, text)
	}
	return want
}

func TestReadback(t *testing.T) {
	long := strings.Repeat("x", 25)
	for name, c := range map[string]struct {
		lines string
		ok    bool
	}{
		"as printed":        {"*filter\n-A INPUT -s 192.0.2.1/32 -j DROP\nCOMMIT\n", true},
		"other spelling":    {"*filter\n-A INPUT -j DROP -s 192.0.2.1,192.0.2.2\nCOMMIT\n", true},
		"counters":          {"*filter\n[1:2] -A INPUT -s 192.0.2.1/32 -j DROP\nCOMMIT\n", true},
		"newline comment":   {"*filter\n-A INPUT -m comment --comment \"a\nCOMMIT\n", false},
		"blank interface":   {"*filter\n-A INPUT -i \"a b\" -j DROP\nCOMMIT\n", false},
		"renamed too long":  {"*filter\n:a - [0:0]\n-A INPUT -j DROP\n-E a " + long + "abcdef\nCOMMIT\n", false},
		"renamed":           {"*filter\n:a - [0:0]\n-A INPUT -j a\n-E a b\nCOMMIT\n", true},
		"chain LOG":         {"*filter\n:LOG - [0:0]\n-A INPUT -j LOG\nCOMMIT\n", true},
		"chain LOG in nat":  {"*filter\n-A INPUT -j LOG --log-prefix x\nCOMMIT\n*nat\n:LOG - [0:0]\nCOMMIT\n", true},
		"only in some hook": {"*filter\n:a - [0:0]\n-A a -j REJECT --reject-with icmp-port-unreachable\n-A INPUT -j a\nCOMMIT\n", true},
	} {
		rs, _, err := iptables.Read(strings.NewReader(c.lines), iptables.Options{Family: packet.IPv4})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := sameReadable(t, rs); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSource says of which lines the print is known to be readable.
func TestSource(t *testing.T) {
	text := "*filter\n:a - [0:0]\n" +
		"-A INPUT -s 192.0.2.1/32 -j DROP\n" +
		"[0:0] -A INPUT -s 192.0.2.1/32 -j a\n" +
		"-A INPUT -s 192.0.2.1 -j DROP\n" +
		"-A  INPUT -s 192.0.2.1/32 -j DROP\n" +
		"-I INPUT 5 -s 192.0.2.1/32 -j DROP\n" +
		"-A INPUT -s 192.0.2.1/32 -j DROP \n" +
		"-A INPUT -j a\n" +
		"COMMIT\n"
	rs, _, err := iptables.Read(strings.NewReader(text), iptables.Options{Family: packet.IPv4})
	if err != nil {
		t.Fatal(err)
	}
	want := []bool{true, true, false, false, false, false, true}
	for i, r := range rs.Table("filter").Chain("INPUT").Rules {
		if known(r) != want[i] {
			t.Errorf("rule %d: %v", i+1, known(r))
		}
	}
}

// TestCorpusReadable compares on all rulesets of the corpus.
func TestCorpusReadable(t *testing.T) {
	verbatim, all := 0, 0
	for _, f := range corpus(t) {
		rs, _, err := iptables.Read(strings.NewReader(f.text), iptables.Options{Family: f.family})
		if err != nil {
			continue
		}
		sameReadable(t, rs)
		for _, table := range rs.Tables {
			for _, c := range table.Chains {
				for _, r := range c.Rules {
					if all++; known(r) {
						verbatim++
					}
				}
			}
		}
	}
	t.Logf("%d of %d rules are as printed", verbatim, all)
}
