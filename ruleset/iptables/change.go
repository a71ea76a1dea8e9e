package iptables

import (
	"io"

	"github.com/bpftables/bpftables/ruleset"
)

// Editor makes the changes that a text asks for where the rules are enforced, so that
// rules that do not change are not even read. An error of it ends the reading: the text
// has then to be read as a whole.
type Editor interface {
	// Len is how many rules a chain has.
	Len(table, chain string) int
	// Find gives the place of the first rule that prints as r does, or -1.
	Find(table, chain string, r *ruleset.Rule) int
	Insert(table, chain string, i int, r *ruleset.Rule) error
	Delete(table, chain string, i int) error
	SetPolicy(table, chain, policy string) error
	// Commit ends the changes of a table; there were some.
	Commit(table string) error
}

// Change hands the changes of a text to an editor. o.Base has the tables and chains
// that are there, without rules. It is true if the editor has made all of them. False: the
// text has a fault, or asks for something that an editor cannot do: Read knows more.
func Change(r io.Reader, o Options, e Editor) bool {
	if !o.NoFlush || o.Counters || o.Table != "" {
		return false
	}
	rd := newReader(o)
	rd.edit = e
	lines := newLineReader(r)
	for len(rd.faults) == 0 {
		l, err := lines.next()
		if err == io.EOF {
			rd.end(lines)
			return len(rd.faults) == 0
		}
		if err != nil {
			return false
		}
		rd.line(l)
	}
	return false
}

// Change is Run with an editor.
func (a *Argv) Change(o Options, e Editor) bool {
	rd := a.reader(o)
	rd.edit = e
	rd.run(ruleset.Counters{}, false)
	if len(rd.faults) == 0 {
		rd.commit()
	}
	return len(rd.faults) == 0
}

// notInPlace is the fault of what an editor cannot do.
var notInPlace = &fault{what: "cannot be changed in place"}

// refusedInPlace turns an editor's error into a fault.
func refusedInPlace(err error) *fault {
	if err == nil {
		return nil
	}
	return notInPlace
}

// executeInPlace does what a command without a rule says.
func (rd *reader) executeInPlace(c *command) *fault {
	e := rd.cur.chains[c.chain.text]
	if e == nil {
		return notInPlace
	}
	rd.cur.changed = true
	switch {
	case c.bits == cmdDeleteNum && c.number <= rd.edit.Len(rd.cur.name, e.name):
		return refusedInPlace(rd.edit.Delete(rd.cur.name, e.name, c.number-1))
	case c.bits == cmdSetPolicy && c.options&optCounters == 0:
		if f := rd.cur.setPolicy(e, c.policy.text, ruleset.Counters{}); f != nil {
			return f
		}
		return refusedInPlace(rd.edit.SetPolicy(rd.cur.name, e.name, c.policy.text))
	}
	return notInPlace
}

// placeInPlace puts a rule where its command says, or takes one away.
func (rd *reader) placeInPlace(c *command, chain string, r *ruleset.Rule) *fault {
	table, at := rd.cur.name, c.number-1
	n := rd.edit.Len(table, chain)
	switch c.bits {
	case cmdAppend:
		at = n
	case cmdInsert:
		if at > n {
			return notInPlace
		}
	case cmdReplace:
		if at >= n {
			return notInPlace
		}
	case cmdDelete:
		if at = rd.edit.Find(table, chain, r); at < 0 {
			return notInPlace
		}
	default:
		return notInPlace
	}
	rd.cur.changed = true
	if c.bits&(cmdReplace|cmdDelete) != 0 {
		if err := rd.edit.Delete(table, chain, at); err != nil || c.bits == cmdDelete {
			return refusedInPlace(err)
		}
	}
	return refusedInPlace(rd.edit.Insert(table, chain, at, r))
}

// commitInPlace ends the changes of the table.
func (rd *reader) commitInPlace() {
	e := rd.cur
	rd.cur = nil
	if !e.changed {
		return
	}
	if err := rd.edit.Commit(e.name); err != nil {
		rd.fault(0, "", notInPlace.what, "")
	}
}
