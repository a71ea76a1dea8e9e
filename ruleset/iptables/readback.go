package iptables

import (
	"bytes"
	"hash/maphash"
	"slices"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/target"
)

// countersMax is how long "[packets:bytes] " before a rule may be.
const countersMax = 48

// sources is the key of the hash of texts. An accident that makes two texts equal is as
// likely as one that breaks the machine.
var sources = maphash.MakeSeed()

// hashOf is the hash of what a rule has after its chain; never 0.
func hashOf(spec []byte) uint64 { return max(1, maphash.Bytes(sources, spec)) }

// source is the hash of the text of the rule that is being read; 0 unless it is a line
// as Print writes it.
func (rd *reader) source(chain string) uint64 {
	text := rd.now.text
	if len(text) > 0 && text[0] == '[' {
		text = text[1+strings.IndexByte(text, ' '):]
	}
	spec, isRule := strings.CutPrefix(text, "-A ")
	spec, inChain := strings.CutPrefix(spec, chain)
	spec, whole := strings.CutSuffix(spec, "\n")
	if !isRule || !inChain || !whole || rd.now.before != 0 || len(text) > chunkMax-countersMax {
		return 0
	}
	if spec != "" && spec[0] != ' ' {
		return 0
	}
	return max(1, maphash.String(sources, strings.TrimPrefix(spec, " ")))
}

// Readback makes sure that what Print writes of a ruleset can be read. A rule whose
// print is the text that it was read from is known to be good; the others are printed
// and read, with those that decide which chains are reached from where. Each table is
// Table, then Rule for all of its rules, chain by chain.
type Readback struct {
	rs       *ruleset.Ruleset
	all      bool // nothing is known to be good
	doubtful ruleset.Ruleset
	table    *ruleset.Table
	chains   map[string]*ruleset.Chain
	found    bool // in table
}

// NewReadback begins with a ruleset.
func NewReadback(rs *ruleset.Ruleset) *Readback {
	return &Readback{rs: rs, all: oddNames(rs), doubtful: ruleset.Ruleset{Family: rs.Family}}
}

// Table begins a table.
func (b *Readback) Table(t *ruleset.Table) {
	b.endTable()
	b.table, b.found = &ruleset.Table{Name: t.Name}, b.all
	b.chains = make(map[string]*ruleset.Chain, len(t.Chains))
	for _, c := range t.Chains {
		part := &ruleset.Chain{Name: c.Name, Policy: c.Policy, Counters: c.Counters}
		b.table.AddChain(part)
		b.chains[c.Name] = part
	}
}

func (b *Readback) endTable() {
	if b.table != nil && b.found {
		b.doubtful.Tables = append(b.doubtful.Tables, b.table)
	}
	b.table = nil
}

// Rule takes a rule of a chain and what AppendSpec gave for it.
func (b *Readback) Rule(chain string, r *ruleset.Rule, spec []byte) {
	good := r.Source != 0 && r.Source == hashOf(spec)
	b.found = b.found || !good
	if _, jumps := jumpChain(r.Target); b.all || !good || jumps || r.Ends() {
		c := b.chains[chain]
		c.Rules = append(c.Rules, r)
	}
}

// Check gives the error of reading what is not known to be good.
func (b *Readback) Check(o Options) error {
	b.endTable()
	if len(b.doubtful.Tables) == 0 {
		return nil
	}
	slices.Reverse(b.doubtful.Tables) // Print turns them round
	var text bytes.Buffer
	if err := Print(&text, &b.doubtful, PrintOptions{Counters: true}); err != nil {
		return err
	}
	_, _, err := Read(&text, Options{File: o.File, Family: b.rs.Family, Resolver: o.Resolver, Counters: true})
	return err
}

// oddNames says whether a chain has a name that does not read as it was given, or one
// that makes the rules of all tables read in another way: that of a target.
func oddNames(rs *ruleset.Ruleset) bool {
	for _, t := range rs.Tables {
		for _, c := range t.Chains {
			if len(c.Name) > nameMax || strings.Trim(c.Name, plainName) != "" || target.Find(c.Name, rs.Family) != nil {
				return true
			}
		}
	}
	return false
}

// plainName are the characters of names that nothing has to be said about.
const plainName = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.:"

// ReadsBack makes sure of one rule that what AppendSpec gave for it can be read; base
// has the chains that it may name.
func ReadsBack(base *ruleset.Ruleset, table, chain string, r *ruleset.Rule, spec []byte, names ruleset.Resolver) bool {
	if oddNames(base) {
		return false
	}
	if r.Source != 0 && r.Source == hashOf(spec) {
		return true
	}
	text := "*" + table + "\n-A " + chain + " " + string(spec) + "\nCOMMIT\n"
	after, _, err := Read(strings.NewReader(text), Options{
		Family: base.Family, Resolver: names, NoFlush: true, Base: base,
	})
	if err != nil || after.Table(table) == nil || after.Table(table).Chain(chain) == nil {
		return false
	}
	rules := after.Table(table).Chain(chain).Rules
	return len(rules) > 0 && bytes.Equal(AppendSpec(nil, rules[len(rules)-1]), spec)
}
