package state

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
)

// opKind is what an operation does. The numbers are those of the journal.
type opKind byte

const (
	opInsert      opKind = iota // rule before rule at of the chain
	opDelete                    // rule at
	opReplace                   // rule at by rule
	opPolicy                    // of the chain, by name
	opCounters                  // of the rules from at on, or of the policy
	opFlush                     // all rules of the chain
	opNewChain                  // called name, with the class at
	opDeleteChain               // the chain
	opRename                    // the chain, to name
	opPart                      // called name, by the bytes of rule.Text
	opConntrack                 // the rules need connection tracking, if at is 1
	opNewTable                  // called name, run by BPF, with chains that are built in
)

// op is one operation on a state, as an Edit does it and the journal keeps it. It
// uses the fields that its kind needs.
type op struct {
	kind         opKind
	table, chain uint32
	at           uint32
	rule         Rule
	name         string
	counters     []ruleset.Counters
	chains       []ChainSpec // names, slots and classes
}

// do carries an operation out; undo takes it back.
func (s *Store) do(o *op) (undo func(), err error) {
	if o.kind == opPart {
		was := s.parts[o.name]
		s.parts[o.name] = o.rule.Text
		return func() { s.parts[o.name] = was }, nil
	}
	if o.kind == opConntrack {
		was := s.Conntrack
		s.Conntrack = o.at == 1
		return func() { s.Conntrack = was }, nil
	}
	if o.kind == opNewTable {
		return s.create(o.name, o.chains)
	}
	if int(o.table) >= len(s.tables) {
		return nil, errors.New("state: no such table")
	}
	t := s.tables[o.table]
	if o.kind == opNewChain {
		return t.create(o.name, o.at)
	}
	if int(o.chain) >= len(t.chains) {
		return nil, fmt.Errorf("state: table %s has no such chain", t.Name)
	}
	c := t.chains[o.chain]
	switch o.kind {
	case opDeleteChain:
		return t.remove(c), nil
	case opRename:
		return c.rename(o.name)
	case opPolicy:
		return c.setPolicy(o.name)
	case opFlush:
		was := c.order
		c.order = &order{}
		return func() { c.order = was }, nil
	}
	return c.do(o)
}

// do carries out an operation on rules.
func (c *Chain) do(o *op) (undo func(), err error) {
	last := c.Len() - 1
	switch {
	case o.kind == opCounters:
		return c.setCounters(o)
	case o.kind == opInsert:
		last++
	case o.kind != opDelete && o.kind != opReplace:
		return nil, fmt.Errorf("state: unknown operation %d", o.kind)
	}
	if int(o.at) > last {
		return nil, fmt.Errorf("state: chain %s has %d rules, there is no number %d", c.Name, c.Len(), uint64(o.at)+1)
	}
	if c.order == nil {
		c.order = newOrder(c.first, c.n)
	}
	order, at := c.order, int(o.at)
	switch o.kind {
	case opInsert:
		order.insert(at, c.table.store.add(&o.rule))
		return func() { order.remove(at) }, nil
	case opDelete:
		was := order.remove(at)
		return func() { order.insert(at, was) }, nil
	}
	was := order.set(at, c.table.store.add(&o.rule))
	return func() { order.set(at, was) }, nil
}

// add gives a new rule a number.
func (s *Store) add(r *Rule) uint32 {
	s.added = append(s.added, addedRule{*r, hash(r.key())})
	return s.count + uint32(len(s.added)) - 1
}

// setCounters replaces the counters of a run of rules, or of the policy.
func (c *Chain) setCounters(o *op) (undo func(), err error) {
	if o.at == None {
		if len(o.counters) != 1 {
			return nil, fmt.Errorf("state: chain %s: a policy has one pair of counters", c.Name)
		}
		was := c.Counters
		c.Counters = o.counters[0]
		return func() { c.Counters = was }, nil
	}
	first, n := int(o.at), len(o.counters)
	if first+n > c.Len() {
		return nil, fmt.Errorf("state: chain %s has %d rules, there is no number %d", c.Name, c.Len(), first+n)
	}
	if c.order == nil {
		c.order = newOrder(c.first, c.n)
	}
	order, s := c.order, c.table.store
	was := make([]uint32, n)
	for i, count := range o.counters {
		r, h := s.rule(order.at(first + i))
		r.Counters = count
		s.added = append(s.added, addedRule{r, h})
		was[i] = order.set(first+i, s.count+uint32(len(s.added))-1)
	}
	return func() {
		for i, ref := range was {
			order.set(first+i, ref)
		}
	}, nil
}

func (c *Chain) setPolicy(policy string) (undo func(), err error) {
	if c.Policy == "" || policy == "" || !slices.Contains(policies, policy) {
		return nil, fmt.Errorf("state: chain %s cannot have the policy %q", c.Name, policy)
	}
	was := c.Policy
	c.Policy = policy
	return func() { c.Policy = was }, nil
}

func (c *Chain) rename(name string) (undo func(), err error) {
	if c.table.Chain(name) != nil {
		return nil, fmt.Errorf("state: table %s has a chain %s already", c.table.Name, name)
	}
	if c.Policy != "" {
		return nil, fmt.Errorf("state: chain %s is built in", c.Name)
	}
	t, was := c.table, c.Name
	putBack := t.remove(c)
	c.Name = name
	t.put(c)
	return func() {
		t.remove(c)
		c.Name = was
		putBack()
	}, nil
}

// create adds a table with built-in chains that accept what comes to their ends.
func (s *Store) create(name string, chains []ChainSpec) (undo func(), err error) {
	if s.Table(name) != nil {
		return nil, fmt.Errorf("state: there is a table %s already", name)
	}
	t := &Table{TableSpec: TableSpec{Name: name, InBPF: true}, store: s, number: len(s.tables)}
	for i, c := range chains {
		spec := ChainSpec{Name: c.Name, Policy: ruleset.Accept.String(), Slot: c.Slot, Origin: NoOrigin, Class: c.Class}
		t.chains = append(t.chains, &Chain{ChainSpec: spec, table: t, number: i, order: &order{}})
	}
	s.tables = append(s.tables, t)
	return func() { s.tables = s.tables[:t.number] }, nil
}

// create adds an empty user chain.
func (t *Table) create(name string, class uint32) (undo func(), err error) {
	if t.Chain(name) != nil {
		return nil, fmt.Errorf("state: table %s has a chain %s already", t.Name, name)
	}
	c := &Chain{ChainSpec: ChainSpec{Name: name, Slot: None, Origin: NoOrigin, Class: class}, table: t, order: &order{}}
	t.put(c)
	return func() { t.remove(c) }, nil
}

// put gives a user chain its place: they are sorted by name, behind those that are built in.
func (t *Table) put(c *Chain) {
	at, _ := slices.BinarySearchFunc(t.chains, c.Name, func(o *Chain, name string) int {
		if o.Policy != "" {
			return -1
		}
		return strings.Compare(o.Name, name)
	})
	index := t.index
	t.setChains(slices.Insert(t.chains, at, c), at)
	if index != nil {
		index[c.Name] = c
		t.index = index
	}
}

func (t *Table) remove(c *Chain) (undo func()) {
	at := c.number
	t.setChains(slices.Delete(slices.Clone(t.chains), at, at+1), at)
	return func() { t.setChains(slices.Insert(slices.Clone(t.chains), at, c), at) }
}

// setChains replaces the list of chains, which is another one from a number on.
func (t *Table) setChains(chains []*Chain, from int) {
	t.chains, t.index = chains, nil
	for i := from; i < len(chains); i++ {
		chains[i].number = i
	}
}
