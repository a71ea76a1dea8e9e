package state

import (
	"fmt"
	"math"
	"slices"
)

// Builder collects the tables of a state, each with its chains, each with its rules.
// Tables come oldest first.
type Builder struct {
	head   Head
	tables []tableRecord
	chains []chainRecord
	rules  []byte // records
	hashes []byte
	names  []byte
	texts  []byte
	parts  map[string][]byte
	err    error
}

// NewBuilder begins a state.
func NewBuilder(h Head) *Builder { return &Builder{head: h} }

// Grow makes room for rules and bytes of their texts.
func (b *Builder) Grow(rules, texts int) {
	b.rules = slices.Grow(b.rules, rules*ruleSize)
	b.hashes = slices.Grow(b.hashes, rules*hashSize)
	b.texts = slices.Grow(b.texts, texts)
}

// SetPart gives the state, under a name, some bytes that mean something to the caller only; none for no bytes.
func (b *Builder) SetPart(name string, data []byte) {
	if b.parts == nil {
		b.parts = map[string][]byte{}
	}
	b.parts[name] = data
}

// Table begins a table.
func (b *Builder) Table(t TableSpec) {
	r := tableRecord{shims: uint32(t.Shims), first: uint32(len(b.chains))}
	if t.InBPF {
		r.flags = tableInBPF
	}
	r.nameAt, r.nameLen = b.name(t.Name)
	b.tables = append(b.tables, r)
}

// Chain begins a chain of the table.
func (b *Builder) Chain(c ChainSpec) {
	policy := slices.Index(policies, c.Policy)
	if policy < 0 {
		b.fail(fmt.Errorf("state: chain %s: no policy %q can be stored", c.Name, c.Policy))
		policy = 0
	}
	r := chainRecord{
		policy: uint32(policy), slot: c.Slot, origin: c.Origin, counters: c.Counters, class: c.Class,
		first: uint32(len(b.rules) / ruleSize),
	}
	r.nameAt, r.nameLen = b.name(c.Name)
	b.chains = append(b.chains, r)
	b.tables[len(b.tables)-1].chains++
}

func (b *Builder) name(s string) (at, n uint32) {
	at = uint32(len(b.names))
	b.names = append(b.names, s...)
	return at, uint32(len(s))
}

// Rule adds a rule to the chain; its texts are copied.
func (b *Builder) Rule(r Rule) { b.add(&r, hash(r.key())) }

// Hashed is a rule that can be added at once.
type Hashed struct {
	Rule
	hash uint64
}

// Hash makes one, on any processor.
func Hash(r Rule) Hashed { return Hashed{r, hash(r.key())} }

// Hashed adds a rule to the chain; its texts are copied.
func (b *Builder) Hashed(r *Hashed) { b.add(&r.Rule, r.hash) }

func (b *Builder) add(r *Rule, hash uint64) {
	at := len(b.texts)
	b.texts = appendText(b.texts, r)
	if len(b.texts) > math.MaxUint32 || len(r.Text) > textMax {
		b.fail(fmt.Errorf("state: the rules have more than %d bytes of text; split them into tables of fewer rules", uint32(math.MaxUint32)))
		return
	}
	b.hashes = le.AppendUint64(b.hashes, hash)
	b.keep(r, uint32(at))
}

// keep adds a rule whose text and hash are there.
func (b *Builder) keep(r *Rule, textAt uint32) {
	b.rules = appendRule(b.rules, r, textAt)
	b.chains[len(b.chains)-1].rules++
}

func (b *Builder) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

// Write stores the state in a directory, in one step. A journal that another
// generation of that number left is removed before.
func (b *Builder) Write(dir string) error {
	if err := removeFile(journalPath(dir, b.head.Generation)); err != nil {
		return err
	}
	return b.replace(dir)
}

// replace writes the base and leaves the journal alone.
func (b *Builder) replace(dir string) error {
	if b.err != nil {
		return b.err
	}
	h := header{
		Head: b.head, tables: len(b.tables), chains: len(b.chains), rules: len(b.rules) / ruleSize,
		names: len(b.names),
	}
	extra := appendParts(nil, b.parts)
	h.extra = len(extra)
	meta := make([]byte, headerSize, headerSize+len(b.tables)*tableSize+len(b.chains)*chainSize)
	for i := range b.tables {
		meta = b.tables[i].append(meta)
	}
	for i := range b.chains {
		meta = b.chains[i].append(meta)
	}
	parts := [][]byte{meta, b.rules, b.hashes, b.names, b.texts, extra}
	for _, p := range parts {
		h.size += uint64(len(p))
	}
	h.textSum = checksum(b.texts)
	h.append(meta[:0])
	le.PutUint32(meta[checksumAt:], checksum(meta[checkedFrom:], b.rules, b.hashes, b.names, extra))
	return replaceFile(basePath(dir, b.head.Generation), parts...)
}
