package translate_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/codegen"
	"github.com/bpftables/bpftables/compat/shim"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/translate"
	"github.com/bpftables/bpftables/translate/plan"
)

// TestLongInline: chains that nest so deep that they would have to be copied in place of jumps,
// and are so long that no jump of BPF leads over one of them, are looked up; as code, they
// are left to netfilter.
func TestLongInline(t *testing.T) {
	const depth, jumps = 11, 15
	var text strings.Builder
	text.WriteString("*filter\n")
	for i := range depth {
		fmt.Fprintf(&text, ":c%d - [0:0]\n", i)
	}
	text.WriteString("-A INPUT -j c0\n")
	for i := range depth - 1 {
		n := 1
		if i >= depth-3 {
			n = jumps
		}
		for range n {
			fmt.Fprintf(&text, "-A c%d -j c%d\n", i, i+1)
		}
	}
	for i := range jumps {
		fmt.Fprintf(&text, "-A c%d -m iprange --src-range 192.0.2.%d-192.0.2.99 -j DROP\n", depth-1, i)
	}
	text.WriteString("COMMIT\n")
	rs, _, err := iptables.Read(strings.NewReader(text.String()), iptables.Options{Family: packet.IPv4, Resolver: iptables.NewResolver()})
	if err != nil {
		t.Fatal(err)
	}
	p := translate.Translate(rs, translate.Options{Can: shim.Can}).Plan
	if _, err := codegen.Generate(p, nil); err != nil || !p.Tables[0].InBPF || len(p.Classes) == 0 {
		t.Errorf("%d classes, %v: %v", len(p.Classes), p.Tables[0].Reasons, err)
	}
	p = translate.Translate(rs, translate.Options{Classifier: translate.ClassifyCode, Can: shim.Can}).Plan
	if reasons := fmt.Sprint(p.Tables[0].Reasons); p.Tables[0].InBPF || !strings.Contains(reasons, "copied in place") && !strings.Contains(reasons, "copying") {
		t.Errorf("as code: %s", reasons)
	}
}

// TestNesting: tables whose jumps nest deep, or whose ways are many, are left to netfilter,
// and that is found out soon.
func TestNesting(t *testing.T) {
	const deep, ways = 20000, 200
	var nest, fork strings.Builder
	for i := range deep {
		fmt.Fprintf(&nest, ":c%d - [0:0]\n", i+1)
	}
	nest.WriteString(":c0 - [0:0]\n-A INPUT -j c0\n")
	for i := range deep {
		fmt.Fprintf(&nest, "-A c%d -p tcp -j c%d\n", i, i+1)
	}
	for i := range ways + 2 {
		fmt.Fprintf(&fork, ":c%d - [0:0]\n", i)
	}
	fork.WriteString("-A INPUT -j c0\n")
	for i := range ways {
		fmt.Fprintf(&fork, "-A c%d -p tcp -j c%d\n-A c%d -p udp -j LOG\n-A c%d -p udp -j c%d\n", i, i+2, i, i, i+1)
	}
	for _, c := range []struct{ rules, why string }{
		{nest.String(), "its jumps nest deeper than"},
		{fork.String(), "a packet could meet more than a billion targets"},
		{strings.ReplaceAll(fork.String(), "LOG", "DROP"), "its jumps nest deeper than BPF calls can"},
	} {
		p := translateText(t, "rules.v4", []byte("*filter\n"+c.rules+"COMMIT\n")).Plan
		if reasons := fmt.Sprint(p.Tables[0].Reasons); p.Tables[0].InBPF || !strings.Contains(reasons, c.why) {
			t.Errorf("%v, want %s", reasons, c.why)
		}
	}
}

// TestNumbers: there are so many numbers for chains and targets. Tables with more are left to
// netfilter, and the early stage is left out.
func TestNumbers(t *testing.T) {
	var chains, jumps, logs strings.Builder
	for i := range plan.MaxClasses {
		fmt.Fprintf(&chains, ":c%d - [0:0]\n", i)
		fmt.Fprintf(&jumps, "-A INPUT -s 10.%d.%d.%d -j c%d\n", i>>16, i>>8&255, i&255, i)
		fmt.Fprintf(&logs, "-A INPUT -j LOG --log-prefix %d\n", i)
	}
	read := func(rules string) *ruleset.Ruleset {
		rs, _, err := iptables.Read(strings.NewReader("*filter\n"+rules+"COMMIT\n"), iptables.Options{Family: packet.IPv4, Resolver: iptables.NewResolver()})
		if err != nil {
			t.Fatal(err)
		}
		return rs
	}
	for _, c := range []struct{ rules, why string }{
		{chains.String() + jumps.String(), fmt.Sprintf("of more than %d chains none are looked up", plan.MaxClasses)},
		{logs.String() + "-A INPUT -j LOG\n", fmt.Sprintf("its rules have %d different targets", plan.MaxActions+1)},
	} {
		p := translate.Translate(read(c.rules), translate.Options{Can: shim.Can}).Plan
		if reasons := p.Tables[0].Reasons; p.Tables[0].InBPF || len(p.Classes) > 0 || len(reasons) != 1 || !strings.Contains(reasons[0].Why, c.why) {
			t.Errorf("%d classes, %.500v, want %s", len(p.Classes), reasons, c.why)
		}
	}

	// The early stage has classes of its own beside those of the table.
	half := strings.Join(strings.SplitAfterN(jumps.String(), "\n", plan.MaxClasses/2+1)[:plan.MaxClasses/2], "")
	rs := read(chains.String() + half + "-A INPUT -j DROP\n")
	res := translate.Translate(rs, translate.Options{})
	translate.Early(translate.EarlyOptions{}, res)
	if p := res.Plan; len(p.Classes) != plan.MaxClasses/2+1 || p.Early != nil || p.EarlyOff == "" {
		t.Errorf("%d classes, early stage %v, %q", len(p.Classes), p.Early != nil, p.EarlyOff)
	}
}
