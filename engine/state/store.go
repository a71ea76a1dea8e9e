package state

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/bpf/plainfile"
)

// Store is the state of a generation at one version, in memory. It is for one
// goroutine at a time.
type Store struct {
	Head
	dir    string
	data   []byte // the base file, mapped
	rules  []byte // its records
	hashes []byte
	texts  []byte
	sum    uint32 // of the texts
	sound  bool   // it was compared
	count  uint32 // rules of the base
	added  []addedRule
	tables []*Table
	parts  map[string][]byte

	end  int64 // of the journal: behind the last batch that counts
	ops  int   // operations in those batches
	edit *Edit // not finished
}

// addedRule is a rule that is not as in the base. Its number is its place in
// Store.added, behind the numbers of the base.
type addedRule struct {
	Rule
	hash uint64
}

// Table is a table of a state. Its fields say what TableSpec says.
type Table struct {
	TableSpec
	store  *Store
	number int
	chains []*Chain
	index  map[string]*Chain
	asked  int // for chains by name, before there was an index
}

// Chain is a chain of a state. Its fields say what ChainSpec says; an Edit changes
// them.
type Chain struct {
	ChainSpec
	table    *Table
	number   int // in its table
	first, n uint32
	order    *order // nil: the rules are first, first+1 and so on
}

// Open reads the state of a generation at the version that is live; nil when there is
// none. ErrStale: the files are at another version.
func Open(dir string, gen, version uint32) (*Store, error) {
	return openState(dir, gen, func(s *Store) error { return s.replay(version) })
}

// Newest reads the state of a generation that nothing tells the live version of any more, with
// all changes that were written down.
func Newest(dir string, gen uint32) (*Store, error) { return openState(dir, gen, (*Store).replayAll) }

func openState(dir string, gen uint32, replay func(*Store) error) (*Store, error) {
	path := basePath(dir, gen)
	data, err := mapFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	s := &Store{dir: dir, data: data}
	if err := s.load(path); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if s.Generation != gen {
		return nil, errors.Join(damaged(path, fmt.Sprintf("that of generation %d", s.Generation)), s.Close())
	}
	if err := replay(s); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// mapFile maps a file for reading. An empty one is no mapping.
func mapFile(path string) ([]byte, error) {
	f, err := plainfile.Open(path, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil || st.Size() == 0 {
		return nil, err
	}
	data, err := unix.Mmap(int(f.Fd()), 0, int(st.Size()), unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", path, err)
	}
	return data, nil
}

// Close releases the mapping: the texts of its rules are no longer valid.
func (s *Store) Close() error {
	data := s.data
	s.data = nil
	if data == nil {
		return nil
	}
	return unix.Munmap(data)
}

// load reads the base.
func (s *Store) load(path string) error {
	h, err := readHeader(path, s.data)
	if err != nil {
		return err
	}
	s.Head, s.count, s.sum = h.Head, uint32(h.rules), h.textSum
	s.rules, s.hashes = s.data[h.rulesAt:h.hashesAt], s.data[h.hashesAt:h.namesAt]
	s.texts = s.data[h.textsAt:h.extraAt]
	if s.parts = readParts(s.data[h.extraAt:]); s.parts == nil {
		return damaged(path, "what belongs to the rules is cut off")
	}
	names := string(s.data[h.namesAt:h.textsAt])
	chains := make([]Chain, h.chains)
	all := make([]*Chain, h.chains)
	for i := range h.tables {
		r := readTable(s.data[headerSize+i*tableSize:])
		t := &Table{store: s, number: i}
		t.TableSpec = TableSpec{Name: names[r.nameAt:][:r.nameLen], InBPF: r.flags&tableInBPF != 0, Shims: int(r.shims)}
		t.chains = all[r.first : r.first+r.chains : r.first+r.chains]
		s.tables = append(s.tables, t)
		for j := range t.chains {
			c := &chains[r.first+uint32(j)]
			c.load(readChain(s.data[h.chainsAt+(int(r.first)+j)*chainSize:]), names)
			c.table, c.number = t, j
			t.chains[j] = c
		}
	}
	return nil
}

func (c *Chain) load(r chainRecord, names string) {
	c.ChainSpec = ChainSpec{
		Name: names[r.nameAt:][:r.nameLen], Policy: policies[r.policy], Counters: r.counters, Slot: r.slot, Origin: r.origin, Class: r.class,
	}
	c.first, c.n = r.first, r.rules
}

// checkTexts compares the checksum of the texts, once. All that depends on every text
// asks for it before.
func (s *Store) checkTexts() error {
	if !s.sound && checksum(s.texts) != s.sum {
		return damaged(basePath(s.dir, s.Generation), wrongSum)
	}
	s.sound = true
	return nil
}

// Part is what Builder.SetPart or Edit.SetPart gave under a name; nil: nothing. It is valid until the Store is
// closed.
func (s *Store) Part(name string) []byte { return s.parts[name] }

// Tables are the tables, oldest first.
func (s *Store) Tables() []*Table { return s.tables }

// Table finds a table by name; nil when there is none.
func (s *Store) Table(name string) *Table {
	for _, t := range s.tables {
		if t.Name == name {
			return t
		}
	}
	return nil
}

// ChainAt is the chain with a number, counting through all tables; nil when there is
// none.
func (s *Store) ChainAt(number uint32) *Chain {
	for _, t := range s.tables {
		if number < uint32(len(t.chains)) {
			return t.chains[number]
		}
		number -= uint32(len(t.chains))
	}
	return nil
}

// Chains are the chains of the table in their order.
func (t *Table) Chains() []*Chain { return t.chains }

// indexFrom is after how many lookups a table gets an index.
const indexFrom = 8

// Chain finds a chain by name; nil when there is none.
func (t *Table) Chain(name string) *Chain {
	if t.index == nil && t.asked < indexFrom {
		t.asked++
		if i := slices.IndexFunc(t.chains, func(c *Chain) bool { return c.Name == name }); i >= 0 {
			return t.chains[i]
		}
		return nil
	}
	if t.index == nil {
		t.index = make(map[string]*Chain, len(t.chains))
		for _, c := range t.chains {
			t.index[c.Name] = c
		}
	}
	return t.index[name]
}

// Number is the number of the chain, counting through all tables (Store.ChainAt).
func (c *Chain) Number() uint32 {
	n := c.number
	for _, t := range c.table.store.tables[:c.table.number] {
		n += len(t.chains)
	}
	return uint32(n)
}

// Place is the number of the chain in its table.
func (c *Chain) Place() int { return c.number }

// Len is the number of rules of the table.
func (t *Table) Len() int {
	n := 0
	for _, c := range t.chains {
		n += c.Len()
	}
	return n
}

// Table is the table that the chain is in.
func (c *Chain) Table() *Table { return c.table }

// Len is the number of rules.
func (c *Chain) Len() int {
	if c.order != nil {
		return c.order.len()
	}
	return int(c.n)
}

// ref is the number of rule i in the store.
func (c *Chain) ref(i int) uint32 {
	if c.order != nil {
		return c.order.at(i)
	}
	return c.first + uint32(i)
}

// Rule gives a rule, counting from 0.
func (c *Chain) Rule(i int) Rule {
	r, _ := c.table.store.rule(c.ref(i))
	return r
}

func (s *Store) rule(ref uint32) (Rule, uint64) {
	if ref >= s.count {
		a := &s.added[ref-s.count]
		return a.Rule, a.hash
	}
	return readRule(s.rules[int(ref)*ruleSize:], s.texts), le.Uint64(s.hashes[int(ref)*hashSize:])
}

func (s *Store) hash(ref uint32) uint64 {
	if ref >= s.count {
		return s.added[ref-s.count].hash
	}
	return le.Uint64(s.hashes[int(ref)*hashSize:])
}

// Find is the number of the first rule that is the same as one with these texts, but for
// its counters; -1 when there is none.
func (c *Chain) Find(text, exact []byte) int {
	like := Rule{Text: text, Exact: exact}
	want, s := hash(like.key()), c.table.store
	for i := range c.Len() {
		if ref := c.ref(i); s.hash(ref) == want {
			if r, _ := s.rule(ref); (r.Exact == nil) == (exact == nil) && bytes.Equal(r.key(), like.key()) {
				return i
			}
		}
	}
	return -1
}
