package iptables

import (
	"fmt"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
)

// Loader makes a Ruleset of stored rules: of the text that AppendSpec gave for each, or
// of what Exact gave where that is not nil. Each table is Table, then all of its chains,
// then all of its rules. Nothing of it goes through the lines of a text: names of chains
// are what they are, and lines have no longest length.
type Loader struct{ rd *reader }

// NewLoader begins; of the options, those about names and positions count.
func NewLoader(o Options) *Loader {
	o.Counters, o.NoFlush, o.Table, o.Base = true, false, "", nil
	return &Loader{newReader(o)}
}

// Table begins a table.
func (l *Loader) Table(name string) {
	l.end()
	l.next()
	l.rd.cur = newTableEdit(name, l.rd.o.Family, nil)
	l.rd.cur.flushAll()
	l.rd.cur.changed = true
	l.rd.parser.table = name
	l.rd.parser.forget()
}

// Chain adds a chain; policy is empty for a user chain.
func (l *Loader) Chain(name, policy string, n ruleset.Counters) {
	l.next()
	c := l.rd.cur.chains[name]
	if c == nil {
		if f := l.rd.cur.create(name, l.rd.pos(0)); f != nil {
			l.rd.fault(0, f.thing, f.what, f.fix)
			return
		}
		c = l.rd.cur.chains[name]
	}
	c.policy, c.counters, c.pos = policy, n, l.rd.pos(0)
}

// Rule adds a rule to a chain.
func (l *Loader) Rule(chain string, spec, exact []byte, n ruleset.Counters) {
	l.next()
	to := l.rd.cur.chains[chain]
	if to == nil {
		l.rd.fault(0, chain, "no such chain", "")
		return
	}
	r, f := l.read(spec, exact, func(name string) *chainEdit { return l.rd.cur.chains[name] })
	if f != nil {
		l.rd.take(f)
		return
	}
	r.Counters = n
	to.rules.add(r)
	l.rd.cur.count(r, 1)
}

// Ruleset is what was loaded. The error joins a *ruleset.Error for every fault.
func (l *Loader) Ruleset() (*ruleset.Ruleset, error) {
	l.end()
	if len(l.rd.faults) > 0 {
		return nil, joined(l.rd.faults)
	}
	return l.rd.result(), nil
}

// Unchanged says of most rules that they are those of Same without reading anything: they were read
// from just these words.
func Unchanged(r *ruleset.Rule, spec, exact []byte) bool {
	return exact == nil && r.Source != 0 && r.Source == hashOf(spec)
}

// Same makes sure that a rule of a table is read from what is to be stored for it.
func (l *Loader) Same(table string, r *ruleset.Rule, spec, exact []byte) error {
	if Unchanged(r, spec, exact) {
		return nil
	}
	l.of(table)
	jump, _ := jumpChain(r.Target)
	again, f := l.read(spec, exact, func(name string) *chainEdit {
		if jump == "" || name != jump {
			return nil
		}
		return &chainEdit{name: name}
	})
	switch {
	case f != nil:
		return &ruleset.Error{Pos: r.Pos, Thing: f.thing, What: f.what, Fix: f.fix}
	case key(again) != key(r):
		return &ruleset.Error{Pos: r.Pos, Thing: "rule", What: fmt.Sprintf("reads back as another one: %q, not %q", key(again), key(r))}
	}
	return nil
}

// Read reads one stored rule of a table; isChain tells the names of its chains.
func (l *Loader) Read(table string, spec, exact []byte, isChain func(name string) bool) (*ruleset.Rule, error) {
	l.of(table)
	r, f := l.read(spec, exact, func(name string) *chainEdit {
		if !isChain(name) {
			return nil
		}
		return &chainEdit{name: name}
	})
	if f != nil {
		return nil, &ruleset.Error{Thing: f.thing, What: f.what, Fix: f.fix}
	}
	return r, nil
}

// of says which table the next rule is of.
func (l *Loader) of(table string) {
	if l.rd.parser.table != table {
		l.rd.parser.table = table
		l.rd.parser.forget()
	}
}

// next counts the lines that the text of iptables-save would have.
func (l *Loader) next() { l.rd.now.number++ }

// end ends a table.
func (l *Loader) end() {
	if l.rd.cur != nil {
		l.next()
		l.rd.commit()
	}
}

// read reads a rule.
func (l *Loader) read(spec, exact []byte, chain func(string) *chainEdit) (*ruleset.Rule, *fault) {
	rd := l.rd
	var f *fault
	if rd.args, f = storedArgs(rd.args[:0], spec, exact); f != nil {
		return nil, f
	}
	var to *chainEdit
	isGoto, n := false, len(rd.args)
	switch {
	case n > storedFrom && rd.args[storedFrom].text == "":
		rd.args = append(rd.args[:storedFrom], rd.args[storedFrom+1:]...) // it is no jump
	case n >= storedFrom+2 && isJumpOption(rd.args[n-2].text):
		if to = chain(rd.args[n-1].text); to != nil {
			isGoto, rd.args = rd.args[n-2].text == "-g", rd.args[:n-2]
		}
	}
	r, f := rd.stored(to)
	if f != nil {
		return nil, f
	}
	r.Goto = isGoto
	if exact == nil {
		r.Source = hashOf(spec)
	}
	return r, nil
}

// Stored rules are read as those of a chain whose name restricts nothing.
const (
	storedIn   = "-A stored "
	storedFrom = 2 // the place of their first word
)

// storedArgs are the arguments of a line that adds a stored rule.
func storedArgs(args []arg, spec, exact []byte) ([]arg, *fault) {
	if exact == nil {
		return cutArgs(args, storedIn+string(spec), 0)
	}
	args, _ = cutArgs(args, storedIn, 0)
	at := len(storedIn)
	for _, w := range strings.Split(string(exact), wordEnd) {
		args = append(args, arg{text: w, at: at})
		at += len(w) + 1
	}
	return args, nil
}

// stored reads the rule in rd.args, which jumps to a chain unless that is nil.
func (rd *reader) stored(to *chainEdit) (*ruleset.Rule, *fault) {
	c := rd.parser.parse(rd.args)
	for _, f := range rd.parser.faults {
		if f != errStop {
			return nil, f
		}
	}
	src, dst, f := rd.build.addresses(c)
	if f != nil {
		return nil, f
	}
	if len(src) != 1 || len(dst) != 1 {
		return nil, &fault{thing: "rule", what: "stands for several rules"}
	}
	goal, f := rd.build.target(c, func(string) *chainEdit { return nil })
	if f != nil {
		return nil, f
	}
	r := rd.build.rule(c, src[0], dst[0])
	r.Pos, r.Target = rd.pos(0), goal
	if to != nil {
		r.Target = to.jumpHere()
	}
	return r, nil
}
