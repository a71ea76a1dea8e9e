package rows

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/codegen/rows/choice"
	"github.com/bpftables/bpftables/codegen/rows/layout"
	"github.com/bpftables/bpftables/codegen/rows/rule"
	"github.com/bpftables/bpftables/translate/plan"
)

// Image is what the maps of a new generation hold.
type Image struct {
	layout.Memory // without the room for changes
	// The sizes of the maps, with the room: the rest of them is zero.
	RowsWords, IndexWords uint32
	// First is the first row of every rule by rule id, for changes in place; 0: a
	// rule that matches nothing has none.
	First []uint32
	// Ops are the instructions that programs may have, as bits by kind, for each table and what
	// looks its rows up from code, and EarlyOps those of the early stage.
	Ops      map[string]uint64
	EarlyOps uint64
	// Trees says that some chain has decision trees.
	Trees bool
	// Choices say how the chains are looked up.
	Choices []choice.Choice
}

// Options are what a layout depends on beside the rules.
type Options struct {
	Costs choice.Costs
	Keys  layout.HashKeys
}

// Drawn gives the costs of this machine, and keys that are drawn at random: nobody can choose
// addresses that collide.
func Drawn() Options { return Options{choice.Machine{}, layout.DrawKeys()} }

// Build lays out the classified chains of a plan, those of the early stage behind the
// others; nil when there are none. needs is what all programs that look rows up fill of
// the facts (abi.Need*); the early stage fills the names of interfaces. With the same
// options the same rules are laid out alike.
func Build(p *plan.Plan, needs uint32, o Options) (*Image, error) {
	classes := p.Classes
	if p.Early != nil {
		classes = slices.Concat(classes, p.Early.Classes)
	}
	if len(classes) == 0 {
		return nil, nil
	}
	if len(classes) > plan.MaxClasses {
		return nil, fmt.Errorf("%d chains would be looked up; at most %d have a number", len(classes), plan.MaxClasses)
	}
	b := &builder{
		Image:     &Image{Memory: layout.Memory{Family: p.Family, Keys: o.Keys}, First: make([]uint32, p.Counters), Ops: map[string]uint64{}},
		shadowOps: map[string]uint64{},
		programs:  map[string]uint32{}, needs: needs, costs: o.Costs,
	}
	total := 0
	for _, c := range classes {
		total += c.Len()
	}
	b.Rows = make([]uint32, b.RowSize(), b.RowSize()*uint32(total+total/8+16))
	most := chainsRoom(len(classes))
	head := abi.HeaderSize + uint32(most)*abi.ChainSize
	b.Index = make([]uint32, head, int(head)+4*total)
	b.Index[abi.HeaderNChains], b.Index[layout.OwnChainsMax] = uint32(len(classes)), uint32(most)
	for i, c := range classes {
		if i == len(p.Classes) {
			b.early, b.needs = true, abi.NeedIif|abi.NeedOif
		}
		if !b.early {
			b.Ops[c.Table] |= usualOps
			if c.NoLead {
				b.Ops[c.Table] |= cheapOps(&b.Memory)
			}
		}
		if err := b.chain(i, c); err != nil {
			return nil, fmt.Errorf("chain %s: %w", c.Chain, err)
		}
	}
	b.EarlyOps |= usualOps
	tables := map[string]uint32{}
	lookedUp := map[string]bool{} // by code, which reads less and knows fewer instructions than a program of rows alone
	for _, c := range p.Classes {
		lookedUp[c.Table] = lookedUp[c.Table] || !c.Shadow
	}
	for i, c := range p.Classes {
		if _, is := tables[c.Table]; !is {
			tables[c.Table] = uint32(len(tables) + 1)
		}
		d := b.Memory.Chain(i)
		d[abi.ChainTable] = tables[c.Table]
		if c.Coded {
			d[abi.ChainCoded] = 1
		}
		b.SetInstructions(i, b.Ops[c.Table])
		// To a chain that no packet meets, a jump may lead from one that code looks up.
		if c.Shadow && (c.Coded || !lookedUp[c.Table]) {
			b.SetInstructions(i, b.Ops[c.Table]|b.shadowOps[c.Table]|cheapOps(&b.Memory))
			b.SetNeeds(i, abi.NeedRowsAlone)
		}
	}
	if n := uint32(len(b.Rows)) / b.RowSize(); n > maxRows {
		return nil, fmt.Errorf("chains that are looked up have %d rows; at most %d have a number", n, maxRows)
	}
	b.finish()
	return b.Image, nil
}

// chainsRoom is how many descriptors there are for so many chains: some are for chains to come. Programs that make
// rules one by one, as firewalld does, make hundreds of chains after the first.
func chainsRoom(n int) int { return min(n+max(spareChains, n/4), plan.MaxClasses) }

// maxRows is how many rows have a number: an entry holds one beside an offset in the facts.
const maxRows = 1 << abi.EntryFact

// usualOps are instructions that rules put in place later may have, whether or not the
// first ones have them: they cost the verifier little.
const usualOps = 1<<abi.OpYes | 1<<abi.OpNo | 1<<abi.OpHot | 1<<abi.OpGuard | 1<<abi.OpJump | 1<<abi.OpFact | 1<<abi.OpBytes | 1<<abi.OpBounds | 1<<abi.OpGetName

// cheapOps are those that a program of rows alone has from the start: it is made once, for whatever
// rules come. What is not among them is rare, or costs the verifier much.
func cheapOps(m *layout.Memory) uint64 {
	const both = 1<<abi.OpField | 1<<abi.OpLimit | 1<<abi.OpNth | 1<<abi.OpRandom | 1<<abi.OpGetAddr | 1<<abi.OpU32Start | 1<<abi.OpU32Load | 1<<abi.OpU32And |
		1<<abi.OpU32Left | 1<<abi.OpU32Right | 1<<abi.OpU32Advance | 1<<abi.OpU32In | 1<<abi.OpFindExt | 1<<abi.OpTCPOption | 1<<abi.OpTCPMSS | 1<<abi.OpAddMSS |
		1<<abi.OpRecent | 1<<abi.OpMeter | 1<<abi.OpQuota | 1<<abi.OpGroups
	if m.Family.Bits() == 128 {
		return both // all of its routing tables are looked at for the type of an address
	}
	return both | 1<<abi.OpAddrType
}

// FirstOps are the instructions that rows may have of a table that has none yet.
func FirstOps(m *layout.Memory) uint64 { return usualOps | cheapOps(m) }

type builder struct {
	*Image
	needs     uint32            // what the datapath fills of the facts
	early     bool              // the chain is one of the early stage
	table     string            // of the chain
	shadow    bool              // only programs of rows alone look it up
	shadowOps map[string]uint64 // the same as Ops for these
	programs  map[string]uint32 // programs and notes that are there, by their words
	scratch   rule.Scratch
	costs     choice.Costs
}

func (b *builder) chain(number int, c *plan.Class) error {
	b.table, b.shadow = c.Table, c.Shadow
	needs := b.needs
	if c.Shadow {
		needs = abi.NeedRowsAlone
	}
	rows := choice.NewChain(b.Family, c.Len())
	rules := 0
	for r := range c.All() {
		label := Label(c, rules)
		rules++
		compiled, err := b.scratch.Compile(b.Family, r, rule.Target{Needs: needs, Early: b.early})
		if err != nil {
			return fmt.Errorf("%s: %w", r.Pos, err)
		}
		for i := range compiled {
			n, err := b.add(uint32(number), &compiled[i], label, r)
			if err != nil {
				return fmt.Errorf("%s: %w", r.Pos, err)
			}
			if i == 0 && !b.early {
				b.First[r.ID] = n
			}
			value, mask := b.Fixed(&compiled[i])
			rows.Add(n, label, &value, &mask)
		}
	}
	d := layout.NewChain(layout.FirstVersion)
	d[abi.ChainState] = layout.EveryHook&^uint32(c.Hooks) | uint32(c.Hooks)*layout.ReachedBy
	if c.Bare {
		d[abi.ChainState] |= abi.ChainBare
	}
	if c.Unmet {
		d[abi.ChainState] |= abi.ChainUnmet
	}
	if c.Policy != nil {
		r := rule.Policy(c.Policy.ID, c.Policy.Drop)
		d[abi.ChainPolicy] = b.NewRow()
		b.Write(d[abi.ChainPolicy], 0, layout.FirstVersion, &r, 0, 0)
	}
	b.order(d, rows.Entries)
	if chosen, ok := choice.Choose(&b.Memory, d, c, rows, b.costs); ok {
		b.Choices = append(b.Choices, chosen)
	}
	b.Trees = b.Trees || d[abi.ChainNTrees] > 0
	copy(b.Memory.Chain(number), d)
	return nil
}

// Label is the label that rule i of a chain has when it is laid out.
func Label(c *plan.Class, i int) uint32 {
	step := min(layout.LabelRoom/(c.Len()+1), layout.LabelStep)
	return uint32(layout.LabelFirst + step*(i+1))
}

// order links the rows in the order of the rules.
func (b *builder) order(d []uint32, entries []layout.Entry) {
	d[abi.ChainRows] = uint32(len(entries))
	for i, e := range entries {
		if i == 0 {
			d[abi.ChainFirst] = e.N
			continue
		}
		b.Row(entries[i-1].N)[abi.RowOrder] = e.N
	}
}

// add appends a row.
func (b *builder) add(chain uint32, r *rule.Row, label uint32, from *plan.Rule) (n uint32, err error) {
	var program, arg uint32
	var note []uint32
	if r.Action, arg, note, err = rule.Action(b.Family, from, chain); err != nil {
		return 0, err
	}
	if note != nil {
		arg = b.intern(note)
	}
	if len(r.Program) > 0 {
		program = b.intern(r.Program)
	}
	switch {
	case b.early:
		b.EarlyOps |= r.Ops
	case b.shadow:
		b.shadowOps[b.table] |= r.Ops
	default:
		b.Ops[b.table] |= r.Ops
	}
	n = b.NewRow()
	b.Write(n, label, layout.FirstVersion, r, program, arg)
	return n, nil
}

// intern puts words into the index, unless the same are there.
func (b *builder) intern(words []uint32) uint32 {
	text := make([]byte, 4*len(words))
	for i, w := range words {
		binary.LittleEndian.PutUint32(text[4*i:], w)
	}
	if at, ok := b.programs[string(text)]; ok {
		return at
	}
	at := uint32(len(b.Index))
	b.Index = append(b.Index, words...)
	b.programs[string(text)] = at
	return at
}

// finish sizes the maps with room for changes in place, and completes the header.
func (b *builder) finish() {
	used, rows := b.Complete()
	b.RowsWords = min(powerOfTwo(rows+rows/8+spareRows), maxRows) * b.RowSize()
	b.IndexWords = powerOfTwo(used+used/8+spareWords) + abi.IndexSlack
}

// Room that is left at least for what comes in place: descriptors of chains, rows, and words of the index for the
// programs and notes of rows. What does not fit makes a new generation, which costs far more than the memory.
const (
	spareChains = 512
	spareRows   = 1000
	spareWords  = 1 << 13
)

// RowsMask is one less than the number of rows that the map has room for.
func (m *Image) RowsMask() uint32 { return m.RowsWords/m.RowSize() - 1 }

// IndexMask is one less than the number of words of the map's index, without the slack.
func (m *Image) IndexMask() uint32 { return m.IndexWords - abi.IndexSlack - 1 }

// Release forgets what the maps hold, for a caller that has filled them.
func (m *Image) Release() {
	if m != nil {
		m.Rows, m.Index = nil, nil
	}
}

// SetLimits tells what changes in place may use: counter slots, and what the programs
// of the generation fill of the facts.
func (m *Image) SetLimits(ids, idsMax int, needs uint32) {
	m.Index[layout.OwnIDs], m.Index[layout.OwnIDsMax] = uint32(ids), uint32(idsMax)
	for c := range int(m.Index[abi.HeaderNChains]) {
		if m.Needs(c) == 0 {
			m.SetNeeds(c, needs)
		}
	}
}

func powerOfTwo(n uint32) uint32 { return 1 << bits.Len32(n-1) }
