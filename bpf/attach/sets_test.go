package attach_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/bpf/maps"
	"github.com/bpftables/bpftables/codegen"
	"github.com/bpftables/bpftables/codegen/emit"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/translate/plan"
)

// asksSet drops packets whose source is in a set, after other questions to it.
func asksSet(set *plan.Set, ops ...abi.NetfilterSetOp) codegen.Program {
	p := ifYes(packet.IPv4, abi.FuncNamedSet, int32(len(ops)))
	for _, op := range append(ops, abi.NetfilterSetOpSET_HAS) {
		u := codegen.SetUse{Set: set.Name}
		u.Op, u.Words = op, uint32(set.KeyLen/4)
		u.Part[0].At, u.Part[0].Words, u.Part[0].Mask = emit.Address(packet.IPv4, false).Offset(), 1, ^uint32(0)
		p.SetUses = append(p.SetUses, u)
	}
	p.Sets = []*plan.Set{set}
	return p
}

func keySet(t *testing.T, name string) *maps.KeySet {
	t.Helper()
	s := open(t, packet.IPv4)
	set, err := s.NamedSet(name, 4)
	if err != nil || set == nil {
		t.Fatalf("set %s: %v", name, err)
	}
	t.Cleanup(func() { _ = set.Close() })
	return set
}

// TestNamedSet: a set begins with its elements, keeps what commands change when the next
// generation comes, and is gone with the last generation that names it.
func TestNamedSet(t *testing.T) {
	inNamespace(t)
	receiver(t, "127.0.0.1:9")
	s := open(t, packet.IPv4)
	here, other := []byte{127, 0, 0, 1}, []byte{192, 0, 2, 1}
	decl := &plan.Set{Name: "a/b \xff" + strings.Repeat("long", 80), KeyLen: 4, Room: 3, Elements: []plan.Element{{Key: other}}}
	passes := func(g string, c []abi.Counter, dropped, passed uint64) {
		t.Helper()
		if c[0].Packets != dropped || c[1].Packets != passed {
			t.Errorf("%s: %d dropped, %d passed; want %d and %d", g, c[0].Packets, c[1].Packets, dropped, passed)
		}
	}
	g := apply(t, s, asksSet(decl))
	send(t, "127.0.0.1:9", "x")
	passes("not in the set", counters(t, g), 0, 1)

	set := keySet(t, decl.Name)
	if err := errors.Join(set.Add(here, 0), set.Delete(other)); err != nil {
		t.Fatal(err)
	}
	send(t, "127.0.0.1:9", "x")
	passes("added by a command", counters(t, g), 1, 1)

	g = apply(t, s, asksSet(decl))
	if err := s.Retire(g.Number()); err != nil {
		t.Fatal(err)
	}
	send(t, "127.0.0.1:9", "x")
	passes("in the next generation", counters(t, g), 1, 0)
	left, err := keySet(t, decl.Name).Elements()
	if err != nil || len(left) != 1 || string(left[0].Key) != string(here) {
		t.Errorf("elements %v, %v", left, err)
	}

	if err := set.Delete(other); err != nil {
		t.Errorf("deleted twice: %v", err)
	}
	other[3]++
	for i := range 2 {
		other[2] = byte(i)
		if err := set.Add(other, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	other[2] = 9
	if err := set.Add(other, 0); err == nil {
		t.Error("a full set takes an element")
	}

	for i := range 2 { // their time comes at once
		other[2] = byte(i)
		if err := set.Add(other, time.Nanosecond); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := set.Elements(); err != nil || len(left) != 1 {
		t.Errorf("elements whose time has come: %v, %v", left, err)
	}
	if err := s.SweepSets(); err != nil {
		t.Fatal(err)
	}
	other[2] = 9
	if err := errors.Join(set.Add(other, 0), set.Delete(other)); err != nil {
		t.Errorf("a set that was swept has no room: %v", err)
	}

	for what, wrong := range map[string]*plan.Set{
		"another type": {Name: decl.Name, KeyLen: 16, Room: 3}, "another size": {Name: decl.Name, KeyLen: 4, Room: 4},
	} {
		if err := applyTo(s, asksSet(wrong)); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("a set of %s: %v", what, err)
		}
	}

	g = apply(t, s, ifYes(packet.IPv4, abi.FuncRandom, 0))
	if err := s.Retire(g.Number()); err != nil {
		t.Fatal(err)
	}
	if set, err := s.NamedSet(decl.Name, 4); err != nil || set != nil {
		t.Errorf("nobody names the set, and it is there: %v", err)
	}
}
