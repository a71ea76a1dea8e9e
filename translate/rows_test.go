package translate_test

import (
	"strings"
	"testing"

	"github.com/bpftables/bpftables/compat/shim"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/translate"
)

// TestAllRows wants every chain of a table to be rows, one that no packet meets without its rules.
func TestAllRows(t *testing.T) {
	rs, _, err := iptables.Read(strings.NewReader("*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n"+
		":met - [0:0]\n:unmet - [0:0]\n-A INPUT -j met\n-A met -j DROP\n-A unmet -j unmet\nCOMMIT\n"),
		iptables.Options{Family: packet.IPv4, Resolver: iptables.NewResolver()})
	if err != nil {
		t.Fatal(err)
	}
	p := translate.Translate(rs, translate.Options{Classifier: translate.ClassifyRows, Can: shim.Can}).Plan
	rules := map[string]int{}
	for _, c := range p.Classes {
		rules[c.Chain] = c.Len()
		if c.Coded || !c.NoLead || c.Forced {
			t.Errorf("chain %s is code, or not looked up as usual: %+v", c.Chain, c)
		}
	}
	for _, chain := range []struct {
		name  string
		rules int
	}{{"INPUT", 1}, {"FORWARD", 0}, {"OUTPUT", 0}, {"met", 1}, {"unmet", 0}} {
		n, ok := rules[chain.name]
		if !ok || n != chain.rules {
			t.Errorf("chain %s: rows %t, %d rules, want %d", chain.name, ok, n, chain.rules)
		}
	}
}
