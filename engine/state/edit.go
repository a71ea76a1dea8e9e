package state

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/bpftables/bpftables/ruleset"
)

// Edit is a batch of changes to a Store that leads to its next version. Each has its
// effect on the Store at once, none on disk before Commit. The first thing that
// cannot be done is kept: Commit gives it and takes everything back.
type Edit struct {
	s        *Store
	from, to uint32
	ops      []byte
	count    int
	undo     []func()
	err      error
	start    int64 // of its batch in the journal
	aborted  bool
}

// Edit begins a batch that leads to a version, which must not be the current one. It
// ends with Commit, or Abort; until then there is no other. The counters of the
// previous generation must have been carried over: what an Edit adds has no origin.
func (s *Store) Edit(version uint32) *Edit {
	e := &Edit{s: s, from: s.Version, to: version, start: s.end}
	switch {
	case s.edit != nil:
		panic("state: an edit begins inside of another")
	case !s.Carried:
		e.err = errors.New("state: the counters of the previous generation are not carried over yet")
	case version == s.Version:
		e.err = fmt.Errorf("state: the version is %d already", version)
	}
	s.edit = e
	return e
}

// Insert puts a rule before rule i of a chain; at the end when i is its length. The
// text is copied, and the rule has no origin.
func (e *Edit) Insert(c *Chain, i int, r Rule) {
	e.do(&op{kind: opInsert, table: c.tableNumber(), chain: c.ordinal(), at: uint32(i), rule: owned(r)})
}

// Delete removes rule i.
func (e *Edit) Delete(c *Chain, i int) {
	e.do(&op{kind: opDelete, table: c.tableNumber(), chain: c.ordinal(), at: uint32(i)})
}

// Replace puts another rule in the place of rule i: its text is copied.
func (e *Edit) Replace(c *Chain, i int, r Rule) {
	e.do(&op{kind: opReplace, table: c.tableNumber(), chain: c.ordinal(), at: uint32(i), rule: owned(r)})
}

// Flush removes all rules of a chain.
func (e *Edit) Flush(c *Chain) {
	e.do(&op{kind: opFlush, table: c.tableNumber(), chain: c.ordinal()})
}

// SetPolicy sets the policy of a built-in chain; its counters stay.
func (e *Edit) SetPolicy(c *Chain, policy string) {
	e.do(&op{kind: opPolicy, table: c.tableNumber(), chain: c.ordinal(), name: policy})
}

// SetCounters sets the counters that the rules from rule i on had when their slots
// began to count; those of the policy with None for i. To set a live value back to 0,
// the count of the slot is taken from 0: the sum of both wraps.
func (e *Edit) SetCounters(c *Chain, i int, counters ...ruleset.Counters) {
	e.do(&op{kind: opCounters, table: c.tableNumber(), chain: c.ordinal(), at: uint32(i), counters: counters})
}

// NewTable adds a table that BPF runs, behind the others, with built-in chains of which the names,
// slots and classes are given: they accept. nil when that is not possible.
func (e *Edit) NewTable(name string, chains []ChainSpec) *Table {
	if e.do(&op{kind: opNewTable, name: name, chains: chains}); e.err != nil {
		return nil
	}
	return e.s.Table(name)
}

// NewChain adds an empty user chain; nil when that is not possible.
func (e *Edit) NewChain(t *Table, name string, class uint32) *Chain {
	if e.do(&op{kind: opNewChain, table: uint32(t.number), name: name, at: class}); e.err != nil {
		return nil
	}
	return t.Chain(name)
}

// DeleteChain removes a chain with its rules. It is for the caller to know that
// nothing jumps there (Table.References).
func (e *Edit) DeleteChain(c *Chain) {
	e.do(&op{kind: opDeleteChain, table: c.tableNumber(), chain: c.ordinal()})
}

// Rename gives a user chain another name, also in the rules that jump to it.
func (e *Edit) Rename(c *Chain, name string) {
	was := c.Name
	e.do(&op{kind: opRename, table: c.tableNumber(), chain: c.ordinal(), name: name})
	err := c.table.jumps(was, func(from *Chain, i int, r Rule) {
		r.Text = append(bytes.Clone(r.Text[:len(r.Text)-len(was)]), name...)
		if r.Exact != nil {
			r.Exact = append(bytes.Clone(r.Exact[:len(r.Exact)-len(was)]), name...)
		}
		e.Replace(from, i, r)
	})
	if e.err == nil {
		e.err = err
	}
}

// SetPart replaces what Store.Part gives for a name, unless it is the same.
func (e *Edit) SetPart(name string, data []byte) {
	if bytes.Equal(e.s.parts[name], data) {
		return
	}
	e.do(&op{kind: opPart, name: name, rule: Rule{Text: bytes.Clone(data), Origin: NoOrigin}})
}

// SetConntrack says whether the rules need the kernel's connection tracking.
func (e *Edit) SetConntrack(on bool) {
	o := op{kind: opConntrack}
	if on {
		o.at = 1
	}
	e.do(&o)
}

func (c *Chain) tableNumber() uint32 { return uint32(c.table.number) }

// ordinal is the number of the chain in its table; None for one that was deleted.
func (c *Chain) ordinal() uint32 {
	if t := c.table; c.number >= len(t.chains) || t.chains[c.number] != c {
		return None
	}
	return uint32(c.number)
}

func owned(r Rule) Rule {
	r.Text, r.Exact, r.Origin = bytes.Clone(r.Text), bytes.Clone(r.Exact), NoOrigin
	return r
}

func (e *Edit) do(o *op) {
	if e.err != nil {
		return
	}
	undo, err := e.s.do(o)
	if err != nil {
		e.err = err
		return
	}
	e.undo = append(e.undo, undo)
	e.ops = o.append(e.ops)
	e.count++
}

// Commit writes the batch to the journal. The version is not live yet: that is the
// caller's next step, and where it fails, Abort takes the batch back all the same.
func (e *Edit) Commit() error {
	if e.s.edit != e {
		panic("state: an edit is committed twice")
	}
	if e.err == nil {
		e.err = e.s.appendJournal(appendBatch(nil, e.from, e.to, e.ops))
	}
	if e.err != nil {
		e.Abort()
		return e.err
	}
	e.s.edit = nil
	e.s.Version, e.s.end = e.to, e.start+int64(batchHead+8+len(e.ops))
	e.s.ops += e.count
	return nil
}

// Abort takes all changes of the batch back. After Commit it does so, too: the batch
// in the journal then leads to a version that nobody asks for, and gives way to the
// next one. It is for the last batch of a Store. What was taken back, as by a Commit that
// found the disk full, stays so.
func (e *Edit) Abort() {
	if e.aborted {
		return
	}
	e.aborted = true
	for i := len(e.undo) - 1; i >= 0; i-- {
		e.undo[i]()
	}
	e.undo, e.ops = nil, nil
	if e.s.edit == e {
		e.s.edit = nil
		return
	}
	if e.s.Version != e.to {
		panic("state: an edit is taken back that is not the last")
	}
	e.s.Version, e.s.end = e.from, e.start
	e.s.ops -= e.count
}
