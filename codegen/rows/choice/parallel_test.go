package choice_test

import (
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/codegen/rows"
	"github.com/bpftables/bpftables/codegen/rows/edit"
	"github.com/bpftables/bpftables/codegen/rows/layout"
	"github.com/bpftables/bpftables/compat/shim"
	"github.com/bpftables/bpftables/conformance/gen/shapes"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/translate"
)

// longRules is four times what is laid out as one part.
const longRules = 1 << 14

// longImage has so many rules that trees are laid out in parts.
func longImage(t *testing.T, kind shapes.Kind, family packet.Family) *rows.Image {
	t.Helper()
	set, err := shapes.New(shapes.Options{Kind: kind, Family: family, Rules: longRules, Seed: 11})
	if err != nil {
		t.Fatal(err)
	}
	text := set.Text(shapes.Frame{Policy: "ACCEPT"})
	rs, _, err := iptables.Read(strings.NewReader(text), iptables.Options{Family: family, Resolver: iptables.NewResolver()})
	if err != nil {
		t.Fatal(err)
	}
	image, err := rows.Build(translate.Translate(rs, translate.Options{Classifier: translate.ClassifyTree, Can: shim.Can}).Plan, ^uint32(0), fixed)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// TestPartsOfTrees: a tree whose parts are laid out at the same time finds what going
// through all rows finds, and is the same on any number of processors.
func TestPartsOfTrees(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for _, kind := range []shapes.Kind{shapes.ACL, shapes.FW} {
		for _, family := range []packet.Family{packet.IPv4, packet.IPv6} {
			runtime.GOMAXPROCS(1)
			alone := longImage(t, kind, family)
			runtime.GOMAXPROCS(7)
			together := longImage(t, kind, family)
			checkStructures(t, &edit.Chains{Memory: &together.Memory})
			if a, b := treeWordsOf(&alone.Memory), treeWordsOf(&together.Memory); !slices.Equal(a, b) {
				t.Errorf("%s %s: %d words on one processor, %d other ones on several", kind, family, len(a), len(b))
			}
		}
	}
}

// treeWordsOf are the words of the first tree of a memory up to its last leaf.
func treeWordsOf(m *layout.Memory) []uint32 {
	d := m.Chain(0)
	root := m.Index[d[abi.ChainTrees]+abi.TreeRoot]
	end := root
	var walk func(at uint32)
	walk = func(at uint32) {
		child := root + m.Index[at+abi.NodeChild]
		if m.Index[at+abi.NodeFacts] == abi.NodeLeaf {
			end = max(end, child+m.Index[at+abi.NodeLimits]*abi.EntrySize)
			return
		}
		for i := range uint32(4) {
			walk(child + i*abi.NodeSize)
		}
	}
	walk(root)
	return m.Index[root:end]
}
