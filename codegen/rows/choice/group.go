package choice

import (
	"math/bits"
	"slices"

	"github.com/bpftables/bpftables/codegen/rows/layout"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// groups puts rows apart whose addresses are wide: in one tree with others they would be
// in most of its leaves. Few rows do not make a group of their own where others are wider.
func (p *picker) groups(entries []*layout.Entry) [][]*layout.Entry {
	var by [4][]*layout.Entry
	for _, e := range entries {
		i := p.wide(e, 0) + 2*p.wide(e, 1)
		by[i] = append(by[i], e)
	}
	for i := range 3 {
		if small := len(by[i]); small > 0 && small <= max(layout.LeafRows, len(entries)/32) {
			to := 3
			if i == 0 && len(by[1]) > 0 {
				to = 1
			} else if i == 0 && len(by[2]) > 0 {
				to = 2
			}
			by[to] = append(by[to], by[i]...)
			slices.SortStableFunc(by[to], layout.ByLabel)
			by[i] = nil
		}
	}
	var out [][]*layout.Entry
	for _, g := range by {
		if len(g) > 0 {
			out = append(out, g)
		}
	}
	slices.SortFunc(out, func(x, y []*layout.Entry) int { return layout.ByLabel(x[0], y[0]) })
	return out
}

// wide says whether a row takes many addresses: 1 or 0.
func (p *picker) wide(e *layout.Entry, which int) int {
	mask := &p.chain.masks[e.Kind]
	ones, least := bits.OnesCount32(uint32(mask.Addresses[0]>>(32*which))), 17
	if p.m.Family == packet.IPv6 {
		ones = bits.OnesCount64(mask.Addresses[2*which]) + bits.OnesCount64(mask.Addresses[2*which+1])
		least = 40
	}
	if ones < least {
		return 1
	}
	return 0
}
