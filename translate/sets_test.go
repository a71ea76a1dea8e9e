package translate_test

import (
	"strings"
	"testing"

	"github.com/bpftables/bpftables/compat/shim"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate"
)

// asks is a match that is nothing but its predicate.
type asks struct{ p pred.Pred }

func (a asks) Word() string                     { return "asks" }
func (a asks) Args() []string                   { return []string{a.p.String()} }
func (a asks) Check(*ruleset.Place) error       { return nil }
func (a asks) Eval(f *packet.Facts) pred.Answer { return pred.Eval(a.p, f) }
func (a asks) Lower(*ruleset.Place) pred.Pred   { return a.p }

// does is a target that is nothing but its effect.
type does struct{ e pred.Effect }

func (d does) Word() string                     { return "does" }
func (d does) Args() []string                   { return []string{d.e.String()} }
func (d does) Check(*ruleset.Place) error       { return nil }
func (d does) Lower(*ruleset.Place) pred.Action { return pred.Doing(d.e) }

// planOf is the plan of one rule at INPUT, with a set of addresses.
func planOf(t *testing.T, statements ...ruleset.Statement) string {
	t.Helper()
	rs, _, err := iptables.Read(strings.NewReader("*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n"), iptables.Options{Family: packet.IPv4})
	if err != nil {
		t.Fatal(err)
	}
	rs.Sets = []*ruleset.Set{{Name: "s", Type: []ruleset.KeyType{ruleset.KeyAddr4}, Size: 9}}
	c := rs.Tables[0].Chain("INPUT")
	c.Rules = append(c.Rules, ruleset.NewRule(ruleset.Pos{File: "f", Line: 1}, statements...))
	return translate.Translate(rs, translate.Options{Can: shim.Can}).Plan.String()
}

// TestSetsInPlans: what cannot be asked of a set is said; what can is numbered once, and
// the set is there whether a rule asks it or not.
func TestSetsInPlans(t *testing.T) {
	in := func(set string, parts ...any) ruleset.Statement {
		return asks{pred.InSet{Set: set, Key: pred.KeyOf(parts...)}}
	}
	add := does{pred.SetUpdate{Set: "s", Key: pred.KeyOf(pred.AddrSrc), TimeoutMsec: 5}}
	for _, c := range []struct {
		rule []ruleset.Statement
		want string
	}{
		{nil, `set "s" key=4 room=9 elements=0`},
		{[]ruleset.Statement{in("s", pred.AddrDst)}, `rule 1 f:1: dst in set "s" -> continue`},
		{[]ruleset.Statement{add}, `rule 1 f:1: or(add src in set "s" timeout=5ms, match) -> continue`},
		{[]ruleset.Statement{in("gone", pred.AddrSrc)}, `f:1: asks: there is no set "gone"`},
		{[]ruleset.Statement{in("s", pred.AddrSrc, pred.AddrDst)}, `f:1: asks: set "s" has keys of 4 bytes, src . dst has 8`},
		{[]ruleset.Statement{in("s", pred.FieldUID)}, `f:1: asks: uid is not known before the first rule, set "s" cannot be asked for it`},
		{[]ruleset.Statement{does{pred.SetUpdate{Set: "gone", Key: pred.KeyOf(pred.AddrSrc)}}}, `f:1: the effect: there is no set "gone"`},
	} {
		if got := planOf(t, c.rule...); !strings.Contains(got, c.want) {
			t.Errorf("no %q in\n%s", c.want, got)
		}
	}
}

// TestStatementsInPlans: conditions are asked again for the effects behind the first, if
// that gives the same answers; else a chain of its own runs the rest.
func TestStatementsInPlans(t *testing.T) {
	dev, mark := asks{pred.Eq(pred.FieldHasIn, 1)}, asks{pred.Eq(pred.FieldMark, 1)}
	log, set := does{pred.Log{}}, does{pred.SetMark{Dst: pred.FieldMark, Src: pred.FieldMark, Xor: 1}}
	accept := does{pred.NoTrack{}}
	for _, c := range []struct {
		rule []ruleset.Statement
		want []string
	}{
		{[]ruleset.Statement{dev, log, mark, accept}, []string{
			"rule 1 f:1: has-iif == 0x1 -> action 0: log", "rule 2 f:1: has-iif == 0x1 and mark == 0x1 -> action 1: notrack"}},
		{[]ruleset.Statement{ruleset.Count{}, mark, set, accept}, []string{
			"rule 3 f:1: mark == 0x1 -> jump INPUT part 3 = c2"}},
		{[]ruleset.Statement{dev, ruleset.Count{}, log}, []string{"rule 1 f:1: has-iif == 0x1 -> action 0: log"}},
	} {
		got := planOf(t, c.rule...)
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("no %q in\n%s", want, got)
			}
		}
	}
}

// TestKeptSets: rules of -m recent declare their sets, which are made by the first of them and
// hold what all of them ask for.
func TestKeptSets(t *testing.T) {
	rs, _, err := iptables.Read(strings.NewReader(`*filter
:INPUT ACCEPT [0:0]
:zz - [0:0]
-A zz -m recent --set --name B
-A INPUT -m recent --rcheck --name A --mask 255.255.0.0
-A INPUT -m recent --update --name A --hitcount 5 -j DROP
COMMIT
`), iptables.Options{Family: packet.IPv4})
	if err != nil {
		t.Fatal(err)
	}
	p := translate.Translate(rs, translate.Options{Can: shim.Can}).Plan.String()
	want := "set \"A\" stamps mask=ffff0000000000000000000000000000 hits=[0 5] room=100\n" +
		"set \"B\" stamps mask=ffffffffffffffffffffffffffffffff hits=[0] room=100\n"
	if !strings.Contains(p, want) {
		t.Errorf("plan:\n%s\nwants:\n%s", p, want)
	}
}
