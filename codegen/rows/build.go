package rows

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

// Image is what the maps of a new generation hold.
type Image struct {
	Memory // without the room for changes
	// The sizes of the maps, with the room: the rest of them is zero.
	RowsWords, IndexWords uint32
	// First is the first row of every rule by rule id, for changes in place; 0: a
	// rule that matches nothing has none.
	First []uint32
	// Ops are the instructions that programs may have, as bits by kind, and EarlyOps those
	// of the early stage.
	Ops, EarlyOps uint32
	// Trees says that some chain has decision trees.
	Trees bool
	// Choices say how the chains are looked up.
	Choices []Choice
}

// RowsMask is one less than the number of rows that the map has room for.
func (m *Memory) RowsMask() uint32 { return uint32(len(m.Rows))/m.rowSize() - 1 }

// IndexMask is one less than the number of words of the index, without the slack.
func (m *Memory) IndexMask() uint32 { return uint32(len(m.Index)) - abi.IndexSlack - 1 }

// Options are what a layout depends on beside the rules.
type Options struct {
	Costs Costs
	Keys  HashKeys
}

// Drawn gives the costs of this machine, and keys that nobody knows.
func Drawn() Options { return Options{Machine{}, newHashKeys()} }

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
		Image:    &Image{Memory: Memory{Family: p.Family, Keys: o.Keys}, First: make([]uint32, p.Counters)},
		programs: map[string]uint32{}, needs: needs, costs: o.Costs,
	}
	total := 0
	for _, c := range classes {
		total += c.Len()
	}
	b.Rows = make([]uint32, b.rowSize(), b.rowSize()*uint32(total+total/8+16))
	head := abi.HeaderSize + uint32(len(classes))*abi.ChainSize
	b.Index = make([]uint32, head, int(head)+4*total)
	b.Index[abi.HeaderNChains] = uint32(len(classes))
	for i, c := range classes {
		if i == len(p.Classes) {
			b.early, b.needs = true, abi.NeedIif|abi.NeedOif
		}
		if err := b.chain(i, c); err != nil {
			return nil, fmt.Errorf("chain %s: %w", c.Chain, err)
		}
	}
	b.Ops |= usualOps
	b.EarlyOps |= usualOps
	if n := uint32(len(b.Rows)) / b.rowSize(); n > maxRows {
		return nil, fmt.Errorf("chains that are looked up have %d rows; at most %d have a number", n, maxRows)
	}
	b.finish()
	return b.Image, nil
}

// maxRows is how many rows have a number: an entry holds one beside a place of the facts.
const maxRows = 1 << abi.EntryPlace

// usualOps are instructions that rules put in place later may have, whether or not the
// first ones have them: they cost the verifier little.
const usualOps = 1<<abi.OpYes | 1<<abi.OpNo | 1<<abi.OpHot | 1<<abi.OpGuard | 1<<abi.OpJump | 1<<abi.OpFact | 1<<abi.OpBytes | 1<<abi.OpBounds | 1<<abi.OpGetName

// newHashKeys draws odd multipliers, so that nobody can choose addresses that collide.
func newHashKeys() (keys HashKeys) {
	var random [8 * len(keys)]byte
	rand.Read(random[:]) // does not fail
	for i := range keys {
		keys[i] = binary.LittleEndian.Uint64(random[8*i:]) | 1
	}
	return keys
}

type builder struct {
	*Image
	number   uint32            // of the chain at hand
	needs    uint32            // what the datapath fills of the facts
	early    bool              // the chain is one of the early stage
	programs map[string]uint32 // programs and notes that are there, by their words
	scratch  scratch
	costs    Costs
	line     Line          // what touching rows of the chain costs
	masks    []key         // of the rows of the chain, by number
	kinds    map[key]int32 // their numbers
}

// entry is a row of the chain at hand.
type entry struct {
	n     uint32
	label uint32
	kind  int32 // number of its mask
	value key
}

// Labels of a new chain lie in the middle half of what a word holds, so that rules can
// be put before and behind them.
const (
	labelFirst = 1 << 30
	labelRoom  = 1 << 31
	labelStep  = 1 << 20 // at most
)

func (b *builder) chain(number int, c *plan.Class) error {
	b.number = uint32(number)
	b.forget()
	step := uint32(min(labelRoom/(c.Len()+1), labelStep))
	entries := make([]entry, 0, c.Len())
	label := uint32(labelFirst)
	for r := range c.All() {
		label += step
		compiled, err := b.scratch.compile(b.Family, r, assembler{needs: b.needs, early: b.early})
		if err != nil {
			return fmt.Errorf("%s: %w", r.Pos, err)
		}
		for i := range compiled {
			n, err := b.add(&compiled[i], label, r)
			if err != nil {
				return fmt.Errorf("%s: %w", r.Pos, err)
			}
			if i == 0 && !b.early {
				b.First[r.ID] = n
			}
			value, mask := b.fixed(&compiled[i])
			entries = append(entries, entry{n, label, b.kind(&mask), value})
		}
	}
	d := make([]uint32, abi.ChainSize)
	if c.Policy != nil {
		d[abi.ChainPolicy] = b.policy(c.Policy)
	}
	b.order(d, entries)
	if b.short(c, entries) {
		d[abi.ChainKind] = abi.KindList
		b.list(c, len(entries))
	} else {
		d[abi.ChainKind] = abi.KindTuples
		b.choose(d, c, entries)
	}
	copy(b.Memory.chain(number), d)
	return nil
}

// list says that the rows of a chain are asked one after the other.
func (b *builder) list(c *plan.Class, rows int) {
	if rows > 0 {
		b.Choices = append(b.Choices, Choice{Table: c.Table, Chain: c.Chain, Rows: rows, NS: costCheck * b.costs.Slower() * float64(rows+1) / 2})
	}
}

// shortList is up to how many rows are asked one after the other.
const shortList = 8

func (b *builder) short(c *plan.Class, entries []entry) bool {
	return len(entries) == 0 || !c.Forced && len(entries) <= shortList
}

// order links the rows in the order of the rules.
func (b *builder) order(d []uint32, entries []entry) {
	d[abi.ChainRows] = uint32(len(entries))
	for i, e := range entries {
		if i == 0 {
			d[abi.ChainFirst] = e.n
			continue
		}
		b.row(entries[i-1].n)[abi.RowOrder] = e.n
	}
}

// add appends a row.
func (b *builder) add(r *row, label uint32, from *plan.Rule) (uint32, error) {
	arg, err := b.act(r, from)
	if err != nil {
		return 0, err
	}
	var program uint32
	if len(r.program) > 0 {
		program = b.intern(r.program)
		if b.early {
			b.EarlyOps |= r.ops
		} else {
			b.Ops |= r.ops
		}
	}
	n := b.newRow()
	b.write(n, label, FirstVersion, r, program, arg)
	return n, nil
}

func (b *builder) newRow() uint32 {
	n := uint32(len(b.Rows)) / b.rowSize()
	for range b.rowSize() {
		b.Rows = append(b.Rows, 0)
	}
	return n
}

// policy adds the row of a policy.
func (b *builder) policy(p *plan.Policy) uint32 {
	r := &row{id: p.ID, action: abi.DoAccept, sport: anyPort, dport: anyPort}
	if p.Drop {
		r.action = abi.DoDrop
	}
	n := b.newRow()
	b.write(n, 0, FirstVersion, r, 0, 0)
	return n
}

// act sets the action of a row and gives its argument.
func (b *builder) act(r *row, from *plan.Rule) (arg uint32, err error) {
	if from.Action.Op == pred.Do {
		words, err := note(from)
		if err != nil {
			return 0, err
		}
		r.action = abi.DoNote
		return b.intern(words), nil
	}
	r.action, arg, err = action(from, b.number)
	return arg, err
}

// action is what a rule of a chain does, but for notes, with its argument.
func action(r *plan.Rule, chain uint32) (do, arg uint32, err error) {
	switch r.Action.Op {
	case pred.Continue:
		return abi.DoContinue, 0, nil
	case pred.Accept:
		return abi.DoAccept, 0, nil
	case pred.Drop:
		return abi.DoDrop, 0, nil
	case pred.Return:
		return abi.DoReturn, 0, nil
	case pred.Jump:
		return abi.DoJump, uint32(r.Class.Number) | chain<<16, nil
	case pred.Goto:
		return abi.DoGoto, uint32(r.Class.Number) | chain<<16, nil
	case pred.Up:
		return abi.DoUp, 0, nil
	}
	return 0, 0, fmt.Errorf("action %s cannot run in BPF", r.Action)
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
	used, rows := uint32(len(b.Index)), uint32(len(b.Rows))/b.rowSize()
	h := b.Index
	h[abi.HeaderVersion] = FirstVersion
	h[ownLayout] = layout()
	h[ownIndexUsed], h[ownBuilt], h[ownRowsUsed], h[ownOps] = used, used, rows, b.Ops
	for i, k := range b.Keys {
		h[int(ownKeys)+2*i], h[int(ownKeys)+2*i+1] = uint32(k), uint32(k>>32)
	}
	b.RowsWords = min(powerOfTwo(rows+rows/8+64), maxRows) * b.rowSize()
	b.IndexWords = powerOfTwo(used+used/8+spareWords) + abi.IndexSlack
}

// spareWords is how many words of the index are left at least for programs of rows to come.
const spareWords = 1 << 12

// RowsMask is one less than the number of rows that the map has room for.
func (m *Image) RowsMask() uint32 { return m.RowsWords/m.rowSize() - 1 }

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
	m.Index[ownIDs], m.Index[ownIDsMax], m.Index[ownNeeds] = uint32(ids), uint32(idsMax), needs
}

func powerOfTwo(n uint32) uint32 { return 1 << bits.Len32(n-1) }

// note is what a rule asks of whoever runs its effect, as the datapath reads it.
func note(r *plan.Rule) ([]uint32, error) {
	words := []uint32{uint32(r.Note), bit(r.Action.Ends(), 0), bit(pred.Untracks(r.Action.Effect), 0), 0}
	s, is := pred.MarkChange(r.Action.Effect)
	if !is {
		return words, nil
	}
	dst, ok1 := place(s.Dst)
	src, ok2 := place(s.Src)
	if !ok1 || !ok2 {
		return nil, fmt.Errorf("%s changes a field that is not in the facts", r.Action)
	}
	words[3]++
	return append(words, dst, src, s.Keep, s.And, s.Xor, uint32(int32(s.Shift)), bit(s.NeedConn, 0)), nil
}
