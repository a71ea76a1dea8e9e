package choice_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/codegen/rows"
	"github.com/bpftables/bpftables/codegen/rows/choice"
	"github.com/bpftables/bpftables/codegen/rows/edit"
	"github.com/bpftables/bpftables/codegen/rows/layout"
	"github.com/bpftables/bpftables/compat/shim"
	"github.com/bpftables/bpftables/conformance/gen/shapes"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/translate"
	"github.com/bpftables/bpftables/translate/plan"
)

func planOf(t *testing.T, kind shapes.Kind, family packet.Family, how translate.Classifier) *plan.Plan {
	t.Helper()
	set, err := shapes.New(shapes.Options{Kind: kind, Family: family, Rules: 1500, Seed: 7})
	if err != nil {
		t.Fatal(err)
	}
	set.Roughen(rand.New(rand.NewPCG(1, 1)), 5, nil)
	text := set.Text(shapes.Frame{Policy: "ACCEPT"})
	rs, _, err := iptables.Read(strings.NewReader(text), iptables.Options{Family: family, Resolver: iptables.NewResolver()})
	if err != nil {
		t.Fatal(err)
	}
	return translate.Translate(rs, translate.Options{Classifier: how, Can: shim.Can}).Plan
}

// TestStructures: tuples and trees find, for packets drawn from the rows, the row that
// going through all of them finds; also when rows have died and were taken out.
func TestStructures(t *testing.T) {
	for _, kind := range []shapes.Kind{shapes.Same, shapes.ACL, shapes.FW, shapes.IPC} {
		for _, family := range []packet.Family{packet.IPv4, packet.IPv6} {
			for _, how := range []translate.Classifier{translate.ClassifyAuto, translate.ClassifyTuples, translate.ClassifyTree} {
				image, err := rows.Build(planOf(t, kind, family, how), ^uint32(0), fixed)
				if err != nil {
					t.Fatal(err)
				}
				m := &edit.Chains{Memory: &image.Memory}
				checkStructures(t, m)
				deleteSome(t, m)
				checkStructures(t, m)
			}
		}
	}
}

// living are the visible rows of the first chain, in order.
func living(m *edit.Chains) (out []uint32) {
	for n := m.Chain(0)[abi.ChainFirst]; n != 0; n = m.Row(n)[abi.RowOrder] {
		if m.Row(n)[abi.RowDead] == layout.Forever {
			out = append(out, n)
		}
	}
	return out
}

func checkStructures(t *testing.T, m *edit.Chains) {
	t.Helper()
	r := rand.New(rand.NewPCG(3, 4))
	all := living(m)
	for range 400 {
		p := choice.Draw(m.Memory, r, all[r.IntN(len(all))])
		want := layout.Forever
		for _, n := range all {
			if b := m.Box(n); b.Has(&p, m.Dims()) {
				want = m.Row(n)[abi.RowLabel]
				break
			}
		}
		if got := choice.Find(m.Memory, 0, &p); got != want {
			t.Fatalf("%v: label %d, want %d", p[:m.Dims()], got, want)
		}
	}
}

// deleteSome deletes every third rule and takes its rows out of all lists.
func deleteSome(t *testing.T, m *edit.Chains) {
	t.Helper()
	e := m.Edit()
	dead := map[uint32]bool{}
	for i, n := range living(m) {
		if i%3 == 0 && m.Row(n)[abi.RowDead] == layout.Forever {
			e.Delete(0, n)
			for row := n; row != 0 && m.Row(row)[abi.RowDead] != layout.Forever; row = m.Row(row)[abi.RowOrder] {
				dead[row] = true
			}
		}
	}
	e.Publish()
	for range 2 {
		m.Reclaim()
	}
	d := m.Chain(0)
	for i := range d[abi.ChainNTrees] {
		root := m.Index[d[abi.ChainTrees]+i*abi.TreeSize+abi.TreeRoot]
		eachLeaf(m, root, root, func(n uint32) {
			if dead[n] {
				t.Fatalf("row %d is dead and in a leaf", n)
			}
		})
	}
}

func eachLeaf(m *edit.Chains, root, at uint32, do func(n uint32)) {
	child := root + m.Index[at+abi.NodeChild]
	if m.Index[at+abi.NodeFacts] != abi.NodeLeaf {
		for i := range uint32(4) {
			eachLeaf(m, root, child+i*abi.NodeSize, do)
		}
		return
	}
	for i := range m.Index[at+abi.NodeLimits] {
		do(m.Index[child+i*abi.EntrySize] & abi.RowNumber)
	}
}

// fixed are options with which the same rules are laid out alike on every machine.
var fixed = rows.Options{Costs: choice.Reference{}, Keys: layout.HashKeys{0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9, 0x94d049bb133111eb, 0xd6e8feb86659fd93}}
