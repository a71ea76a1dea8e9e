package rows

import (
	"cmp"
	"slices"
)

const (
	// chooseSample is how many rows are looked at to judge a mask.
	chooseSample = 1 << 15
	// commonMasks is how many of the rows' masks are combined with each other.
	commonMasks = 24
	// leastTuple is how many rows a table must take to be worth a probe.
	leastTuple = 3
)

// chooser finds masks that take most rows, at most maxSame of one key each: the best one
// for the rows that are left, again and again.
type chooser struct {
	b      *builder
	masks  []key // of rows, by entry.kind
	left   []*entry
	same   []uint8 // rows by hash of the key
	trials []*trial
	round  int
}

// trial is a mask that may become a table.
type trial struct {
	mask  key
	takes []bool // whether rows of a kind have its bits
	score float64
	round int // in which the score was found out
}

// chooseTuples gives the tables for the rows of a chain, and the rows that none takes.
func (b *builder) chooseTuples(entries []entry) (tables []*tuple, others []*entry) {
	c := &chooser{b: b, masks: b.masks, left: make([]*entry, len(entries))}
	for i := range entries {
		c.left[i] = &entries[i]
	}
	c.candidates()
	fresh := true // the candidates are those of the rows that are left
	for len(c.left) > 0 && len(tables) < maxTuples {
		c.round++
		best := c.best()
		if worth := best != nil && (best.score >= leastTuple || len(tables) == 0); worth {
			tables, fresh = append(tables, c.take(best)), false
			continue
		}
		if fresh {
			break
		}
		c.candidates()
		fresh = true
	}
	return tables, c.left
}

// candidates are masks of rows, and what pairs of the most common ones share, each with
// all bits that the rows which it takes have in common: more bits, shorter lists.
func (c *chooser) candidates() {
	c.trials = nil
	count := make([]int, len(c.masks))
	for _, e := range c.left {
		count[e.kind]++
	}
	kinds := make([]int, 0, len(c.masks))
	for i, n := range count {
		if n > 0 {
			kinds = append(kinds, i)
		}
	}
	slices.SortFunc(kinds, func(x, y int) int { return cmp.Or(cmp.Compare(count[y], count[x]), cmp.Compare(x, y)) })
	seen := map[key]bool{}
	for i := range kinds[:min(len(kinds), commonMasks)] {
		for j := range kinds[:i+1] {
			shared := c.masks[kinds[i]].and(&c.masks[kinds[j]])
			for _, m := range []key{shared, shared.coarse()} {
				c.candidate(&m, kinds, count, seen)
			}
		}
	}
	// Without a common mask rows of rare ones would never be taken.
	for _, k := range kinds[:min(len(kinds), 4*commonMasks)] {
		c.candidate(&c.masks[k], kinds, count, seen)
	}
}

func (c *chooser) candidate(mask *key, kinds, count []int, seen map[key]bool) {
	takes := make([]bool, len(c.masks))
	var common key
	rows := 0
	for _, k := range kinds {
		if takes[k] = mask.within(&c.masks[k]); !takes[k] {
			continue
		}
		if rows == 0 {
			common = c.masks[k]
		}
		common = common.and(&c.masks[k])
		rows += count[k]
	}
	if common.ones() == 0 || seen[common] {
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
	most := max(1, maxSame/step)
	shift := c.clear(len(c.left) / step)
	took, longer := 0, 0
	for i := 0; i < len(c.left); i += step {
		e := c.left[i]
		if !t.takes[e.kind] {
			continue
		}
		n := &c.same[c.b.masked(&e.value, &t.mask)>>shift]
		if int(*n) < most {
			longer += int(*n)
			*n++
			took++
		}
	}
	t.score = float64(step) * (float64(took) - 0.01*float64(longer)) * (1 + 0.0002*float64(t.mask.ones()))
	t.round = c.round
}

// clear makes the counts of keys zero, with room for n rows, and gives the shift that
// makes a hash an index of them.
func (c *chooser) clear(n int) (shift uint) {
	size := int(powerOfTwo(uint32(4*n + 16)))
	if len(c.same) < size {
		c.same = make([]uint8, size)
	}
	clear(c.same[:size])
	for shift = 64; size > 1; size /= 2 {
		shift--
	}
	return shift
}

// take makes a table and takes the rows that fit.
func (c *chooser) take(t *trial) *tuple {
	out := &tuple{mask: t.mask}
	shift := c.clear(len(c.left))
	left := c.left[:0]
	for _, e := range c.left {
		if t.takes[e.kind] {
			if n := &c.same[c.b.masked(&e.value, &t.mask)>>shift]; *n < maxSame {
				*n++
				out.entries = append(out.entries, e)
				continue
			}
		}
		left = append(left, e)
	}
	c.left = left
	return out
}

// masked is the hash of a key under a mask.
func (m *Memory) masked(value, mask *key) uint64 {
	k := value.and(mask)
	return m.hash(&k, mask.wide())
}

// kind numbers the masks of rows.
func (b *builder) kind(mask *key) int32 {
	if n, ok := b.kinds[*mask]; ok {
		return n
	}
	n := int32(len(b.masks))
	b.kinds[*mask] = n
	b.masks = append(b.masks, *mask)
	return n
}

// forget begins with no masks, for the next chain.
func (b *builder) forget() {
	b.masks = nil
	b.kinds = map[key]int32{}
}

// coarse shortens the masks of IPv4 addresses to whole bytes.
func (k *key) coarse() key {
	out := *k
	for i, w := range out.addresses {
		var whole uint64
		for shift := 0; shift < 64; shift += 8 {
			if w>>shift&0xff == 0xff {
				whole |= 0xff << shift
			}
		}
		out.addresses[i] = whole
	}
	return out
}
