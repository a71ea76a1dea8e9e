package state_test

import (
	"math/rand"
	"regexp"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/conformance"
	"github.com/bpftables/bpftables/conformance/gen"
	"github.com/bpftables/bpftables/engine/state"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// read reads rules; nil where they are not.
func read(text string, family packet.Family) *ruleset.Ruleset {
	rs, _, err := iptables.Read(strings.NewReader(text), iptables.Options{
		Family: family, Resolver: iptables.NewResolver(), Counters: true,
	})
	if err != nil {
		return nil
	}
	return rs
}

// build makes a state of rules, with slots that count on.
func build(rs *ruleset.Ruleset) *state.Builder {
	b := state.NewBuilder(state.Head{Family: rs.Family, Generation: 1})
	slot := uint32(0)
	var spec []byte
	for _, t := range rs.Tables {
		b.Table(state.TableSpec{Name: t.Name, InBPF: true})
		for _, c := range t.Chains {
			b.Chain(state.ChainSpec{Name: c.Name, Policy: tables.PolicyOf(c), Counters: c.Counters, Slot: state.None, Origin: state.NoOrigin})
			for _, r := range c.Rules {
				spec = iptables.AppendSpec(spec[:0], r)
				exact := iptables.Exact(r, spec, func(name string) bool { return t.Chain(name) != nil })
				b.Rule(state.Rule{Text: spec, Exact: exact, Slot: slot, Row: state.None, Counters: r.Counters, Origin: state.NoOrigin})
				slot++
			}
		}
	}
	return b
}

func stored(tb testing.TB, rs *ruleset.Ruleset) *state.Store {
	tb.Helper()
	dir := tb.TempDir()
	if err := build(rs).Write(dir); err != nil {
		tb.Fatal(err)
	}
	s, err := state.Open(dir, 1, 0)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	return s
}

var stamps = regexp.MustCompile(` on .*`)

// same compares WriteText with iptables.Print in all its forms.
func same(t *testing.T, name string, rs *ruleset.Ruleset) {
	t.Helper()
	s := stored(t, rs)
	for _, o := range []iptables.PrintOptions{
		{}, {Counters: true}, {Comments: true}, {Table: "filter"}, {Table: "security", Counters: true, Comments: true},
	} {
		var got, want strings.Builder
		if err := s.WriteText(&got, state.TextOptions{PrintOptions: o}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := iptables.Print(&want, rs, o); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if stamps.ReplaceAllString(got.String(), "") != stamps.ReplaceAllString(want.String(), "") {
			t.Errorf("%s, %+v: got\n%s\nwant\n%s", name, o, &got, &want)
		}
	}
	back, err := s.Ruleset("", nil, iptables.Options{Resolver: iptables.NewResolver()})
	if err != nil {
		t.Errorf("%s is not loaded: %v", name, err)
		return
	}
	var again, want strings.Builder
	for b, rs := range map[*strings.Builder]*ruleset.Ruleset{&again: back, &want: rs} {
		if err := iptables.Print(b, rs, iptables.PrintOptions{Counters: true}); err != nil {
			t.Fatal(err)
		}
	}
	if again.String() != want.String() {
		t.Errorf("%s, loaded: got\n%s\nwant\n%s", name, &again, &want)
	}
}

func TestTextOfCorpus(t *testing.T) {
	files := conformance.MustCorpus(t, "../..")
	n := 0
	for _, f := range files {
		if rs := read(string(f.Text), f.Family); rs != nil {
			same(t, f.Name, rs)
			n++
		}
	}
	t.Logf("%d of %d rulesets of the corpus", n, len(files))
	if n == 0 {
		t.Error("no ruleset of the corpus is read")
	}
}

func TestTextOfRandomRulesets(t *testing.T) {
	random := rand.New(rand.NewSource(4))
	for range 100 {
		for _, family := range []packet.Family{packet.IPv4, packet.IPv6} {
			text := gen.Ruleset(random, family)
			rs := read(text, family)
			if rs == nil {
				t.Fatalf("not read:\n%s", text)
			}
			same(t, text, rs)
		}
	}
}

// Rules that print alike are not the same: each is found and loaded as what it is.
func TestExactWords(t *testing.T) {
	rs := read("*filter\n-A INPUT -p udp -m udp -j DROP\n-A INPUT -p udp -m udp ! --dport 0:65535 -j DROP\n-A INPUT ! -i + -j DROP\nCOMMIT\n", packet.IPv4)
	s := stored(t, rs)
	back, err := s.Ruleset("filter", nil, iptables.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range back.Tables[0].Chain("INPUT").Rules {
		want := rs.Tables[0].Chain("INPUT").Rules[i]
		for _, r := range []*ruleset.Rule{r, want} {
			spec := iptables.AppendSpec(nil, r)
			if at := s.Table("filter").Chain("INPUT").Find(spec, iptables.Exact(r, spec, func(string) bool { return false })); at != i {
				t.Errorf("rule %d is found at %d", i, at)
			}
		}
	}
}

// Live counts come on top of those of the state, for rules and policies.
func TestTextWithLiveCounters(t *testing.T) {
	s := stored(t, read("*filter\n:INPUT DROP [5:50]\n:user - [0:0]\n[1:10] -A INPUT -j user\n[2:20] -A user\nCOMMIT\n", packet.IPv4))
	var b strings.Builder
	err := s.WriteText(&b, state.TextOptions{PrintOptions: iptables.PrintOptions{Counters: true}, Live: func(c state.Cell) ruleset.Counters {
		switch {
		case c.Rule == state.None && c.Chain.Policy != "":
			return ruleset.Counters{Packets: 7}
		case c.Slot == 1:
			return ruleset.Counters{Bytes: 1<<64 - 20} // counted from 20 on
		}
		return ruleset.Counters{}
	}})
	want := "*filter\n:INPUT DROP [12:50]\n:FORWARD ACCEPT [7:0]\n:OUTPUT ACCEPT [7:0]\n:user - [0:0]\n[1:10] -A INPUT -j user\n[2:0] -A user\nCOMMIT\n"
	if err != nil || b.String() != want {
		t.Errorf("%v, got\n%s", err, &b)
	}
}

func TestTextOfUnknownTable(t *testing.T) {
	s := stored(t, &ruleset.Ruleset{Family: packet.IPv4})
	if err := s.WriteText(&strings.Builder{}, state.TextOptions{PrintOptions: iptables.PrintOptions{Table: "fliter"}}); err == nil {
		t.Error("a table that does not exist is printed")
	}
}
