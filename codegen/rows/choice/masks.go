package choice

import (
	"cmp"
	"math/bits"
	"slices"

	"github.com/bpftables/bpftables/codegen/rows/layout"
)

const (
	// chooseSample is how many rows are looked at to judge a mask.
	chooseSample = 1 << 15
	// glance is how many rows, about, are looked at first of more.
	glance = 1 << 11
	// commonMasks is how many of the rows' masks are combined with each other.
	commonMasks = 24
	// leastTuple is how many rows a tuple must take to be worth a probe.
	leastTuple = 3
)

// chooser finds masks that take most rows, at most maxSame of one key each: the best one
// for the rows that are left, again and again.
type chooser struct {
	m      *layout.Memory
	values *layout.Values
	masks  []layout.Key // of rows, by entry.kind
	left   []*layout.Entry
	same   []uint8 // rows by hash of the key
	trials []*trial
	round  int
}

// trial is a mask that may become a tuple.
type trial struct {
	mask  layout.Key
	takes []bool // whether rows of a kind have its bits
	score float64
	round int // in which the score was found out
}

// chooseTuples gives the tuples for the rows of a chain, and the rows that none takes. Where a
// few of the rows need too many already, all would: then there is nothing to be known but masks.
func (p *picker) chooseTuples() (tuples []*layout.Tuple, others []*layout.Entry) {
	all := p.chain.Entries
	if step := len(all) / glance; !p.class.Forced && step > 1 {
		few := make([]*layout.Entry, 0, glance+1)
		for i := 0; i < len(all); i += step {
			few = append(few, &all[i])
		}
		if tuples, others = p.tuplesFor(few); len(tuples) > manyTuples {
			return tuples, others
		}
	}
	return p.tuplesFor(pointers(all))
}

// tuplesFor gives the tuples for some of the rows. One more than manyTuples is enough to know that
// there are too many, and takes as long as the others.
func (p *picker) tuplesFor(rows []*layout.Entry) (tuples []*layout.Tuple, others []*layout.Entry) {
	c := &chooser{m: p.m, values: p.chain.values, masks: p.chain.masks, left: rows}
	c.candidates()
	most := layout.MaxTuples
	if !p.class.Forced {
		most = manyTuples + 1
	}
	fresh := true // the candidates are those of the rows that are left
	for len(c.left) > 0 && len(tuples) < most {
		c.round++
		best := c.best()
		if worth := best != nil && (best.score >= leastTuple || len(tuples) == 0); worth {
			tuples, fresh = append(tuples, c.take(best)), false
			continue
		}
		if fresh {
			break
		}
		c.candidates()
		fresh = true
	}
	return tuples, c.left
}

// candidates are masks of rows, and what pairs of the most common ones share, each with
// all bits that the rows which it takes have in common: more bits, shorter lists.
func (c *chooser) candidates() {
	c.trials = nil
	count := make([]int, len(c.masks))
	for _, e := range c.left {
		count[e.Kind]++
	}
	kinds := make([]int, 0, len(c.masks))
	for i, n := range count {
		if n > 0 {
			kinds = append(kinds, i)
		}
	}
	slices.SortFunc(kinds, func(x, y int) int { return cmp.Or(cmp.Compare(count[y], count[x]), cmp.Compare(x, y)) })
	seen := map[layout.Key]bool{}
	for i := range kinds[:min(len(kinds), commonMasks)] {
		for j := range kinds[:i+1] {
			shared := c.masks[kinds[i]].And(&c.masks[kinds[j]])
			for _, m := range []layout.Key{shared, shared.Coarse()} {
				c.candidate(&m, kinds, count, seen)
			}
		}
	}
	// Without a common mask rows of rare ones would never be taken.
	for _, k := range kinds[:min(len(kinds), 4*commonMasks)] {
		c.candidate(&c.masks[k], kinds, count, seen)
	}
}

func (c *chooser) candidate(mask *layout.Key, kinds, count []int, seen map[layout.Key]bool) {
	takes := make([]bool, len(c.masks))
	var common layout.Key
	rows := 0
	for _, k := range kinds {
		if takes[k] = mask.Within(&c.masks[k]); !takes[k] {
			continue
		}
		if rows == 0 {
			common = c.masks[k]
		}
		common = common.And(&c.masks[k])
		rows += count[k]
	}
	if common.Ones() == 0 || seen[common] {
		return
	}
	seen[common] = true
	c.trials = append(c.trials, &trial{mask: common, takes: takes, score: 2 * float64(rows)})
}

// best is the mask with the best score. Scores fall as rows are taken: those of earlier
// rounds are bounds, and most masks need not be tried again.
func (c *chooser) best() *trial {
	for {
		best := (*trial)(nil)
		for _, t := range c.trials {
			if t.score > 0 && (best == nil || t.score > best.score) {
				best = t
			}
		}
		if best == nil || best.round == c.round {
			return best
		}
		c.try(best)
	}
}

// try finds out how many rows a mask takes, from a sample of them. Long lists count
// against it, many bits for it.
func (c *chooser) try(t *trial) {
	step := (len(c.left) + chooseSample - 1) / chooseSample
	most := max(1, layout.MaxSame/step)
	shift := c.clear(len(c.left) / step)
	took, longer := 0, 0
	for i := 0; i < len(c.left); i += step {
		e := c.left[i]
		if !t.takes[e.Kind] {
			continue
		}
		value := c.values.Of(e)
		n := &c.same[c.m.Hash(&value, &t.mask)>>shift]
		if int(*n) < most {
			longer += int(*n)
			*n++
			took++
		}
	}
	t.score = float64(step) * (float64(took) - 0.01*float64(longer)) * (1 + 0.0002*float64(t.mask.Ones()))
	t.round = c.round
}

// clear makes the counts of keys zero, with room for n rows, and gives the shift that
// makes a hash an index of them.
func (c *chooser) clear(n int) (shift uint) {
	width := bits.Len(uint(4*n + 15))
	if len(c.same) < 1<<width {
		c.same = make([]uint8, 1<<width)
	}
	clear(c.same[:1<<width])
	return 64 - uint(width)
}

// take makes a tuple and takes the rows that fit.
func (c *chooser) take(t *trial) *layout.Tuple {
	out := &layout.Tuple{Mask: t.mask, Values: c.values}
	shift := c.clear(len(c.left))
	left := c.left[:0]
	for _, e := range c.left {
		if t.takes[e.Kind] {
			value := c.values.Of(e)
			if n := &c.same[c.m.Hash(&value, &t.mask)>>shift]; *n < layout.MaxSame {
				*n++
				out.Entries = append(out.Entries, e)
				continue
			}
		}
		left = append(left, e)
	}
	c.left = left
	return out
}
