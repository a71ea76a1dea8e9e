package rows

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/bpf/abi"
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

// TestStructures: tables and trees find, for packets drawn from the rows, the row that
// going through all of them finds; also when rows have died and were taken out.
func TestStructures(t *testing.T) {
	for _, kind := range []shapes.Kind{shapes.Same, shapes.ACL, shapes.FW, shapes.IPC} {
		for _, family := range []packet.Family{packet.IPv4, packet.IPv6} {
			for _, how := range []translate.Classifier{translate.ClassifyAuto, translate.ClassifyTuples, translate.ClassifyTree} {
				image, err := Build(planOf(t, kind, family, how), ^uint32(0), fixed)
				if err != nil {
					t.Fatal(err)
				}
				m := &image.Memory
				checkStructures(t, m)
				deleteSome(t, m)
				checkStructures(t, m)
			}
		}
	}
}

// living are the visible rows of the first chain, in order.
func living(m *Memory) (out []uint32) {
	for n := m.chain(0)[abi.ChainFirst]; n != 0; n = m.row(n)[abi.RowOrder] {
		if m.row(n)[abi.RowDead] == forever {
			out = append(out, n)
		}
	}
	return out
}

func checkStructures(t *testing.T, m *Memory) {
	t.Helper()
	r := rand.New(rand.NewPCG(3, 4))
	d, all := m.chain(0), living(m)
	for range 400 {
		w := walk{m: m, p: m.draw(r, all[r.IntN(len(all))]), bound: forever}
		w.k = m.key(&w.p, &key{})
		w.tables(d)
		w.trees(d)
		want := forever
		for _, n := range all {
			if b := m.box(n); b.has(&w.p, m.dims()) {
				want = m.row(n)[abi.RowLabel]
				break
			}
		}
		if w.bound != want {
			t.Fatalf("%v: label %d, want %d", w.p[:m.dims()], w.bound, want)
		}
	}
}

// deleteSome deletes every third rule and takes its rows out of all lists.
func deleteSome(t *testing.T, m *Memory) {
	t.Helper()
	e := m.Edit()
	dead := map[uint32]bool{}
	for i, n := range living(m) {
		if i%3 == 0 && m.row(n)[abi.RowDead] == forever {
			for _, row := range m.rowsOf(n) {
				dead[row] = true
			}
			e.Delete(n)
		}
	}
	e.Publish()
	for range 2 {
		m.Reclaim()
	}
	d := m.chain(0)
	for i := range d[abi.ChainNTrees] {
		root := m.Index[d[abi.ChainTrees]+i*abi.TreeSize+abi.TreeRoot]
		eachLeaf(m, root, root, func(n uint32) {
			if dead[n] {
				t.Fatalf("row %d is dead and in a leaf", n)
			}
		})
	}
}

func eachLeaf(m *Memory, root, at uint32, do func(n uint32)) {
	child := root + m.Index[at+abi.NodeChild]
	if m.Index[at+abi.NodePlaces] != abi.NodeLeaf {
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
var fixed = Options{Reference{}, HashKeys{0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9, 0x94d049bb133111eb, 0xd6e8feb86659fd93}}
