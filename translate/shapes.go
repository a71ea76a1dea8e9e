package translate

import (
	"fmt"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/pred"
)

const (
	// codeRules is up to how many rules a chain is code.
	codeRules = 24
	// mixedRules is up to how many it is, if they are of many shapes: each shape is one more
	// step for a lookup, and code does not care. (Part "mixed" of the benchmarks, 25 to 200 rules:
	// code is 5 to 10 % of a packet's whole way faster.)
	mixedRules = 128
	// manyShapes is how many shapes are many.
	manyShapes = 8
)

// long says whether a chain is looked up where nobody says how.
func (t *table) long(c *ruleset.Chain) bool {
	n := len(c.Rules)
	return n > mixedRules || n > codeRules && !t.mixed(c)
}

// mixed says whether the rules of a chain have many shapes.
func (t *table) mixed(c *ruleset.Chain) bool {
	place := t.src.Place(t.family, t.hooks[c])
	shapes := map[string]bool{}
	var room lowered
	for _, r := range c.Rules {
		t.lowerRule(&room, r, place)
		shapes[room.shape()] = true
		if len(shapes) >= manyShapes {
			return true
		}
	}
	return false
}

// shape is what a rule asks for, without the values: rules of one shape are in one tuple of a
// lookup.
func (l *lowered) shape() string {
	var b strings.Builder
	for _, p := range l.conds {
		pred.Any(p, func(part pred.Pred) bool {
			switch part := part.(type) {
			case pred.Addr:
				fmt.Fprintf(&b, "%d/%x ", part.Of, part.Mask)
			case pred.Cmp:
				fmt.Fprintf(&b, "%v&%x %v ", part.Of, part.Mask, part.Lo == part.Hi)
			default:
				fmt.Fprintf(&b, "%T ", part)
			}
			return false
		})
	}
	return b.String()
}
