package choice

import "github.com/bpftables/bpftables/codegen/rows/layout"

// Draw gives a packet that a row takes.
var Draw = draw

// Find looks a packet up in the structures of a chain, and gives the label of the row that it
// finds.
func Find(m *layout.Memory, number int, p *layout.Point) uint32 {
	w := walk{m: m, p: *p, bound: layout.Forever}
	w.k = keyOf(m, p, &layout.Key{})
	w.tuples(m.Chain(number))
	w.trees(m.Chain(number))
	return w.bound
}
