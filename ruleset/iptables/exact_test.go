package iptables_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
	"github.com/bpftables/bpftables/ruleset/match/rows"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// stored loads what a state would keep of a ruleset.
func stored(rs *ruleset.Ruleset, resolver ruleset.Resolver) (*ruleset.Ruleset, error) {
	l := iptables.NewLoader(iptables.Options{File: "stored", Family: rs.Family, Resolver: resolver})
	for _, t := range rs.Tables {
		l.Table(t.Name)
		for _, c := range t.Chains {
			l.Chain(c.Name, tables.PolicyOf(c), c.Counters)
		}
		isChain := func(name string) bool { return t.Chain(name) != nil }
		for _, c := range t.Chains {
			for _, r := range c.Rules {
				spec := iptables.AppendSpec(nil, r)
				l.Rule(c.Name, spec, iptables.Exact(r, spec, isChain), r.Counters)
			}
		}
	}
	return l.Ruleset()
}

// sameStored wants what is loaded of a ruleset to be what was stored, rule by rule.
func sameStored(t *testing.T, rs *ruleset.Ruleset, resolver ruleset.Resolver) {
	t.Helper()
	again, err := stored(rs, resolver)
	if err != nil {
		t.Fatalf("what is stored cannot be loaded: %v\n%s", err, printed(t, rs))
	}
	if got, want := printed(t, again), printed(t, rs); got != want {
		t.Fatalf("what is loaded is printed otherwise: %s", diff(got, want))
	}
	for i, table := range rs.Tables {
		for j, c := range table.Chains {
			for k, r := range c.Rules {
				if got := again.Tables[i].Chains[j].Rules[k]; meaning(got, table, rs) != meaning(r, again.Tables[i], again) {
					t.Errorf("%s: loaded as another rule:\n%s\nwant\n%s", iptables.PrintRule(r, c.Name), meaning(got, again.Tables[i], again), meaning(r, table, rs))
				}
			}
		}
	}
}

// meaning is what the rule does, in words.
func meaning(r *ruleset.Rule, t *ruleset.Table, rs *ruleset.Ruleset) string {
	in := t.Place(rs.Family, 0xff)
	in.Rule = r
	var b strings.Builder
	fmt.Fprintf(&b, "%q %v", iptables.Key(r), r.Goto)
	for _, m := range r.Matches {
		fmt.Fprintf(&b, "; %v", m.Lower(in))
	}
	fmt.Fprintf(&b, " -> %v %v", in.Action(), r.Counters)
	return b.String()
}

// known says whether the print of a rule is known to be good.
func known(r *ruleset.Rule) bool {
	one := &ruleset.Rule{Source: r.Source, Matches: r.Matches, Target: r.Target, Goto: r.Goto}
	return iptables.Known(one, iptables.AppendSpec(nil, one))
}

// TestStored stores rules that iptables-save prints with loss, or in a form that
// iptables-restore does not read.
func TestStored(t *testing.T) {
	long := strings.Repeat("x", 25)
	for name, text := range map[string]string{
		"as printed":        "*filter\n-A INPUT -s 192.0.2.1/32 -j DROP\nCOMMIT\n",
		"other spelling":    "*filter\n-A INPUT -j DROP -s 192.0.2.1,192.0.2.2\nCOMMIT\n",
		"counters":          "*filter\n[1:2] -A INPUT -s 192.0.2.1/32 -j DROP\nCOMMIT\n",
		"newline comment":   "*filter\n-A INPUT -m comment --comment \"a\nCOMMIT\n",
		"blank interface":   "*filter\n-A INPUT -i \"a b\" -j DROP\nCOMMIT\n",
		"renamed too long":  "*filter\n:a - [0:0]\n-A INPUT -j a\n-E a " + long + "abcdef\nCOMMIT\n",
		"renamed":           "*filter\n:a - [0:0]\n-A INPUT -j a\n-E a b\nCOMMIT\n",
		"goto":              "*filter\n:a - [0:0]\n-A INPUT -g a\nCOMMIT\n",
		"chain LOG":         "*filter\n:LOG - [0:0]\n-A INPUT -j LOG\nCOMMIT\n",
		"target and chain":  "*filter\n-A INPUT -j LOG\n:LOG - [0:0]\n-A INPUT -j LOG\nCOMMIT\n",
		"options and chain": "*filter\n-A INPUT -j LOG --log-prefix x\n:LOG - [0:0]\nCOMMIT\n",
		"set called -j":     "*filter\n:src - [0:0]\n-A INPUT -m set --match-set -j src\nCOMMIT\n",
		"comment called -j": "*filter\n:src - [0:0]\n-A INPUT -m comment --comment \"-j src\"\nCOMMIT\n",
		"chain LOG in nat":  "*filter\n-A INPUT -j LOG --log-prefix x\nCOMMIT\n*nat\n:LOG - [0:0]\nCOMMIT\n",
		"only in some hook": "*filter\n:a - [0:0]\n-A a -j REJECT --reject-with icmp-port-unreachable\n-A INPUT -j a\nCOMMIT\n",
		"negated full":      "*filter\n-A INPUT -p udp ! --dport 0:65535\n-A INPUT ! -i +\n-A INPUT -p 108 -m ipcomp --ipcompspi :\nCOMMIT\n",
	} {
		rs, _, err := iptables.Read(strings.NewReader(text), iptables.Options{Family: packet.IPv4})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		t.Run(name, func(t *testing.T) { sameStored(t, rs, nil) })
	}
}

// TestStoredArguments stores what only a command line can say.
func TestStoredArguments(t *testing.T) {
	long := "0=" + strings.Repeat("0:4294967295,", 9) + "1"
	long = strings.Repeat(long+"&&", 9) + long
	for _, args := range [][]string{
		{"-m", "comment", "--comment", "a\nb \"c\" 'd' \\ #"},
		{"-m", "comment", "--comment", "caf\xe9"},
		{"-m", "comment", "--comment", ""},
		{"-m", "comment", "--comment", "!"},
		{"-m", "string", "--algo", "bm", "--string", "a\nb"},
		{"-m", "u32", "--u32", long},
		{"-i", "a\tb"},
		{"-j", "LOG", "--log-prefix", "\"x' \\"},
	} {
		rules, err := iptables.ParseRule(args, iptables.Options{Family: packet.IPv4}, "filter")
		if err != nil {
			t.Errorf("%q: %v", args, err)
			continue
		}
		table := tables.New("filter", packet.IPv4)
		table.Chain("INPUT").Rules = rules
		sameStored(t, &ruleset.Ruleset{Family: packet.IPv4, Tables: []*ruleset.Table{table}}, nil)
	}
}

// TestStoredRows stores every row of every word, and rules that are nearly rows.
func TestStoredRows(t *testing.T) {
	store := func(w *wordRow, rule string) {
		if rs, err := w.ruleset(rule); err == nil {
			t.Run(w.at, func(t *testing.T) { sameStored(t, rs, rows.Resolver{}) })
		}
	}
	for _, w := range wordRows(t) {
		store(&w, w.rule)
	}
	m := newMutator(t, 2)
	for range 20_000 {
		store(m.rule())
	}
}

// TestNamesThatChange wants rules to stay what they are when the names by which they are
// printed get another meaning.
func TestNamesThatChange(t *testing.T) {
	text := "*filter\n-A INPUT -p vrrp -j DROP\n-A INPUT -p tcp --dport http -j DROP\nCOMMIT\n"
	rs, _, err := iptables.Read(strings.NewReader(text), iptables.Options{Family: packet.IPv4, Resolver: rows.Resolver{}})
	if err != nil {
		t.Fatal(err)
	}
	again, err := stored(rs, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := printed(t, again); !strings.Contains(got, "-p 112 -j DROP") || !strings.Contains(got, "--dport 80 ") {
		t.Errorf("without the names: %s", got)
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

// TestCorpusStored stores all rulesets of the corpus.
func TestCorpusStored(t *testing.T) {
	verbatim, all := 0, 0
	for _, f := range corpus(t) {
		rs, _, err := iptables.Read(strings.NewReader(f.text), iptables.Options{Family: f.family})
		if err != nil {
			continue
		}
		sameStored(t, rs, nil)
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
