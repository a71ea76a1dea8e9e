package conformance

import (
	"fmt"
	"math/rand"
	"testing"

	"github.com/bpftables/bpftables/conformance/gen"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// asksSet is a match that asks a named set, or changes it.
type asksSet struct{ p pred.Pred }

func (a asksSet) Word() string                     { return "in" }
func (a asksSet) Args() []string                   { return []string{a.p.String()} }
func (a asksSet) Check(*ruleset.Place) error       { return nil }
func (a asksSet) Eval(f *packet.Facts) pred.Answer { return pred.Eval(a.p, f) }
func (a asksSet) Lower(*ruleset.Place) pred.Pred   { return a.p }

// changesSet is a target that changes a named set.
type changesSet struct{ e pred.SetUpdate }

func (c changesSet) Word() string                     { return "change" }
func (c changesSet) Args() []string                   { return []string{c.e.String()} }
func (c changesSet) Check(*ruleset.Place) error       { return nil }
func (c changesSet) Lower(*ruleset.Place) pred.Action { return pred.Doing(c.e) }

// setKind is a type of set and the keys that fit it.
type setKind struct {
	types func(packet.Family) []ruleset.KeyType
	key   pred.SetKey
}

func addrType(f packet.Family) ruleset.KeyType {
	if f == packet.IPv6 {
		return ruleset.KeyAddr6
	}
	return ruleset.KeyAddr4
}

var setKinds = []setKind{
	{func(f packet.Family) []ruleset.KeyType { return []ruleset.KeyType{addrType(f)} }, pred.KeyOf(pred.AddrSrc)},
	{func(f packet.Family) []ruleset.KeyType { return []ruleset.KeyType{addrType(f), ruleset.KeyPort} },
		pred.KeyOf(pred.AddrDst, pred.Load{Base: pred.BaseL4, Off: 2, Width: 2})},
	{func(f packet.Family) []ruleset.KeyType { return []ruleset.KeyType{ruleset.KeyProto, ruleset.KeyMark} }, pred.KeyOf(pred.FieldProto, pred.FieldMark)},
	{func(f packet.Family) []ruleset.KeyType { return []ruleset.KeyType{ruleset.KeyIfName, ruleset.KeyProto} }, pred.KeyOf(pred.NameIn, pred.FieldProto)},
}

// addSets gives a ruleset named sets, some of them small, and puts questions to them and
// changes of them among its rules.
func addSets(r *rand.Rand, rs *ruleset.Ruleset) {
	for i, k := range setKinds {
		s := &ruleset.Set{
			Name: fmt.Sprintf("set %d", i), Type: k.types(rs.Family), Flags: ruleset.SetDynamic | ruleset.SetTimeouts, Size: 1 + r.Intn(30),
		}
		rs.Sets = append(rs.Sets, s)
	}
	for _, c := range rs.Tables[0].Chains {
		for _, rule := range c.Rules {
			i := r.Intn(len(setKinds))
			name, key := rs.Sets[i].Name, setKinds[i].key
			update := pred.SetUpdate{Set: name, Key: key, Op: pred.SetOp(r.Intn(3)), TimeoutMsec: uint64(r.Intn(3) * 5000)}
			switch r.Intn(6) {
			case 0:
				rule.Matches = append(rule.Matches, asksSet{pred.Negated(pred.InSet{Set: name, Key: key}, r.Intn(2) == 0)})
			case 1:
				rule.Matches = append(rule.Matches, asksSet{update})
			case 2:
				if rule.Target == nil {
					rule.Target = changesSet{update}
				}
			}
		}
	}
}

// TestEveryKeyType fails when no set of TestSets has keys of a type.
func TestEveryKeyType(t *testing.T) {
	seen := map[ruleset.KeyType]bool{}
	for _, k := range setKinds {
		for _, family := range []packet.Family{packet.IPv4, packet.IPv6} {
			types := k.types(family)
			for _, kt := range types {
				seen[kt] = true
			}
			if s := (&ruleset.Set{Type: types}); s.KeyLen() != k.key.Len(family) {
				t.Errorf("%s: sets of %v have keys of %d bytes, %s has %d", family, types, s.KeyLen(), k.key, k.key.Len(family))
			}
		}
	}
	for kt := range ruleset.NumKeyTypes {
		if !seen[kt] {
			t.Errorf("no set has keys of the type %s", kt)
		}
	}
}

// TestSets: rules that ask named sets and change them do the same in all forms: full sets,
// elements whose time has come, keys of several parts.
func TestSets(t *testing.T) {
	needRoot(t)
	judged := 0
	for i := int64(0); judged < number(*lookups, 3_000, 300_000) && !t.Failed(); i++ {
		r := rand.New(rand.NewSource(*seed*1_000_000 + i))
		family := []packet.Family{packet.IPv4, packet.IPv6}[i%2]
		change := func(rs *ruleset.Ruleset) {
			addSets(r, rs)
			foldRules(r, rs)
		}
		n, err := sameByAll(t, r, family, gen.Chains(r, family, 5+r.Intn(60)), fmt.Sprintf("seed %d, ruleset %d", *seed, i), change)
		if err != nil {
			t.Fatal(err)
		}
		judged += n
	}
	t.Logf("%d packets", judged)
}
