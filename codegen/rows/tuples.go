package rows

import (
	"cmp"
	"maps"
	"slices"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/ruleset/packet"
)

const (
	// maxTuples bounds how many tables a packet is looked up in; one more has all rows
	// that fit into none.
	maxTuples = 61
	// maxSame is how many rows of one key a table takes.
	maxSame = 8
	// sampleSize is how many rows are looked at to choose a table.
	sampleSize = 2000
)

// tuples lays out the tables of a chain and gives where they begin and how many they
// are.
func (b *builder) tuples(entries []entry) (at, n uint32) {
	tables := chooseTuples(entries)
	size := familyTupleSize(b.Family)
	// The table without masks is there even when it is empty: for rules to come.
	tables = append(tables, &tuple{entries: rest(entries, tables)})
	slices.SortStableFunc(tables, func(x, y *tuple) int { return cmp.Compare(x.least(), y.least()) })
	at = uint32(len(b.Index))
	b.Index = append(b.Index, make([]uint32, size*uint32(len(tables)+spareTuples))...)
	for i, t := range tables {
		b.table(at+size*uint32(i), t)
	}
	return at, uint32(len(tables))
}

// spareTuples is room for tables that rules to come may need.
const spareTuples = 4

// spareRows is how many rows more than it was made with the table without masks may have.
const spareRows = 64

// tuple is a table on its way: a mask and the rows that it takes.
type tuple struct {
	mask    key
	entries []*entry
	slots   uint32
}

func (t *tuple) least() uint32 {
	if len(t.entries) == 0 {
		return forever
	}
	return t.entries[0].label
}

// table writes a table's description and slots.
func (b *builder) table(at uint32, t *tuple) {
	bits := uint32(1) // a shift by 64 has no meaning
	for len(t.entries) > 1<<(bits-1) {
		bits++
	}
	slots := uint32(len(b.Index))
	b.Index = append(b.Index, make([]uint32, 1<<bits)...)
	d := b.Index[at:]
	d[abi.TupleSlots], d[abi.TupleShift], d[abi.TupleLeast] = slots, 64-bits, t.least()
	d[abi.TupleWide] = bit(t.mask.wide(), 0)
	b.writeMask(d[abi.TupleMask:], &t.mask)
	tails := make([]uint32, 1<<bits)
	for _, e := range t.entries {
		k := e.value.and(&t.mask)
		h := b.hash(&k, t.mask.wide())
		b.link(&b.Index[slots+uint32(h>>(64-bits))], &tails[h>>(64-bits)], e.n, uint32(h)&0x7f)
	}
	d[abi.TupleRows] = uint32(len(t.entries))
	d[abi.TupleOwn] = uint32(len(t.entries) + len(t.entries)/8 + spareRows)
	b.keys(&t.mask)
}

// keys records which parts of the key the tables ask for.
func (b *builder) keys(mask *key) {
	if mask.other[namesWord] != 0 {
		b.Index[abi.HeaderKeys] |= abi.KeysNames
	}
	if mask.other[marksWord] != 0 {
		b.Index[abi.HeaderKeys] |= abi.KeysMark
	}
}

// link appends a row to the list of a slot.
func (b *builder) link(slot, tail *uint32, n, tag uint32) {
	switch {
	case *slot == 0:
		*slot = n | tag<<abi.SlotTag
	default:
		if *slot>>abi.SlotTag != tag {
			*slot = *slot&abi.SlotRow | abi.TagMixed<<abi.SlotTag
		}
		b.row(*tail)[abi.RowNext] = n
	}
	*tail = n
}

func (m *Memory) writeMask(at []uint32, mask *key) {
	words := mask.addresses[:1]
	if m.Family == packet.IPv6 {
		words = mask.addresses[:]
	}
	words = append(slices.Clone(words), mask.other[:]...)
	for i, w := range words {
		at[2*i], at[2*i+1] = uint32(w), uint32(w>>32)
	}
}

// chooseTuples finds masks that take most rows, at most maxSame of one key each: the
// best one for the rows that are left, again and again.
func chooseTuples(entries []entry) []*tuple {
	left := make([]*entry, len(entries))
	for i := range entries {
		left[i] = &entries[i]
	}
	var out []*tuple
	for len(left) > 0 && len(out) < maxTuples {
		best, ok := bestMask(left)
		if !ok {
			break
		}
		t := &tuple{mask: best}
		left = t.takeFrom(left)
		if len(t.entries) == 0 {
			break
		}
		out = append(out, t)
	}
	return out
}

// takeFrom takes the rows that fit, and gives the others.
func (t *tuple) takeFrom(all []*entry) (left []*entry) {
	same := make(map[key]int, len(all))
	for _, e := range all {
		k := e.value.and(&t.mask)
		if t.mask.within(&e.mask) && same[k] < maxSame {
			same[k]++
			t.entries = append(t.entries, e)
			continue
		}
		left = append(left, e)
	}
	return left
}

// rest are the rows that no table takes, in their order.
func rest(entries []entry, tables []*tuple) []*entry {
	taken := make(map[uint32]bool, len(entries))
	for _, t := range tables {
		for _, e := range t.entries {
			taken[e.n] = true
		}
	}
	var out []*entry
	for i := range entries {
		if !taken[entries[i].n] {
			out = append(out, &entries[i])
		}
	}
	return out
}

// bestMask looks for the mask that takes most of a sample of the rows. A mask that has
// more bits is better among equals: its lists are shorter.
func bestMask(left []*entry) (best key, ok bool) {
	sample := left
	if len(left) > sampleSize {
		sample = make([]*entry, 0, sampleSize)
		for i := range sampleSize {
			sample = append(sample, left[i*len(left)/sampleSize])
		}
	}
	most := 0.0
	same := make(map[key]int, len(sample))
	for _, mask := range candidates(sample) {
		clear(same)
		took, squares := 0, 0
		for _, e := range sample {
			if !mask.within(&e.mask) {
				continue
			}
			k := e.value.and(&mask)
			if same[k] < maxSame {
				same[k]++
				took++
				squares += same[k]
			}
		}
		score := float64(took) - 0.02*float64(squares) + 0.0001*float64(took)*float64(mask.ones())
		if took > 0 && score > most {
			best, most, ok = mask, score, true
		}
	}
	return best, ok && best.ones() > 0
}

const (
	// commonMasks is how many of the rows' masks are combined with each other.
	commonMasks = 14
)

// candidates are masks of rows, and what pairs of the most common ones share.
func candidates(sample []*entry) []key {
	count := map[key]int{}
	for _, e := range sample {
		count[e.mask]++
	}
	masks := slices.SortedFunc(maps.Keys(count), func(x, y key) int {
		return cmp.Or(cmp.Compare(count[y], count[x]), compareKeys(&x, &y))
	})
	masks = masks[:min(len(masks), commonMasks)]
	out := map[key]bool{}
	for i := range masks {
		for j := range masks[:i+1] {
			shared := masks[i].and(&masks[j])
			out[shared] = true
			coarse := shared.coarse()
			out[coarse] = true
		}
	}
	return slices.SortedFunc(maps.Keys(out), func(x, y key) int { return compareKeys(&x, &y) })
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

func compareKeys(x, y *key) int {
	return cmp.Or(slices.Compare(x.addresses[:], y.addresses[:]), slices.Compare(x.other[:], y.other[:]))
}
