package iptables

import (
	"io"

	"github.com/bpftables/bpftables/ruleset"
)

// Editor makes the changes that a text asks for where the rules are enforced, so that
// rules that do not change are not even read. Chains are there, and are not, as the text says: an
// editor is asked for nothing that it would have to refuse. An error of it says that it cannot: the
// text has then to be read as a whole.
type Editor interface {
	// Len is how many rules a chain has, and Jumps how many rules jump to it.
	Len(table, chain string) int
	Jumps(table, chain string) int
	Finder
	Insert(table, chain string, i int, r *ruleset.Rule) error
	Delete(table, chain string, i int) error
	// Flush deletes all rules, and Zero sets the counters of n rules from i on to 0.
	Flush(table, chain string) error
	Zero(table, chain string, i, n int) error
	// SetPolicy sets the policy of a built-in chain, with the counters that it begins with.
	SetPolicy(table, chain, policy string, n ruleset.Counters) error
	NewChain(table, chain string) error
	DeleteChain(table, chain string) error
	// Rename gives a chain another name, also in the rules that jump to it.
	Rename(table, chain, to string) error
	// Commit ends the changes of a table; there were some.
	Commit(table string) error
}

// Finder knows the rules of chains.
type Finder interface {
	// Find gives the place of the first rule that prints as r does, or -1.
	Find(table, chain string, r *ruleset.Rule) int
}

// Change hands the changes of a text to an editor. o.Base has the tables and chains
// that are there, without rules. It is true if the editor has made all of them. False: the
// text has a fault, or asks for something that an editor cannot do: Read knows more.
func Change(r io.Reader, o Options, e Editor) bool {
	if !o.NoFlush {
		return false
	}
	toldOnce(o.Told)
	rd := newReader(o)
	rd.edit = e
	_, _, err := rd.read(r)
	return err == nil
}

// Change is Run with an editor; done is what Change says. A command that has a fault has the error
// that Run would give: what the editor has done is to be taken back, and nothing else to be tried.
func (a *Argv) Change(o Options, e Editor) (done bool, err error) {
	rd := a.reader(o)
	rd.edit = e
	rd.run(ruleset.Counters{}, false)
	if len(rd.faults) == 0 {
		rd.commit()
	}
	if len(rd.faults) == 0 || rd.cannot {
		return len(rd.faults) == 0, nil
	}
	return false, rd.failed()
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

// create makes a user chain.
func (rd *reader) create(name string, pos ruleset.Pos) *fault {
	f := rd.cur.create(name, pos)
	if f != nil || rd.edit == nil {
		return f
	}
	return refusedInPlace(rd.edit.NewChain(rd.cur.name, name))
}

// remove deletes a user chain.
func (rd *reader) remove(e *chainEdit) *fault {
	if rd.edit == nil {
		return rd.cur.remove(e.name)
	}
	table := rd.cur.name
	if f := rd.cur.removeWith(e, rd.edit.Len(table, e.name), rd.edit.Jumps(table, e.name)); f != nil {
		return f
	}
	return refusedInPlace(rd.edit.DeleteChain(table, e.name))
}

// rename gives a user chain another name.
func (rd *reader) rename(name, to string) *fault {
	e := rd.cur.chains[name]
	f := rd.cur.rename(name, to)
	if f != nil || rd.edit == nil {
		return f
	}
	return refusedInPlace(rd.edit.Rename(rd.cur.name, name, e.name))
}

// flushChain deletes all rules of a chain.
func (rd *reader) flushChain(e *chainEdit) *fault {
	if rd.edit == nil {
		rd.cur.flush(e)
		return nil
	}
	return refusedInPlace(rd.edit.Flush(rd.cur.name, e.name))
}

// zero sets the counters of all rules of a chain, or of one, to 0.
func (rd *reader) zero(e *chainEdit, number int) *fault {
	if rd.edit == nil {
		return rd.cur.zero(e, number)
	}
	n := rd.edit.Len(rd.cur.name, e.name)
	switch {
	case number > n:
		return noCounters(e, number, n)
	case number > 0:
		return refusedInPlace(rd.edit.Zero(rd.cur.name, e.name, number-1, 1))
	}
	return refusedInPlace(rd.edit.Zero(rd.cur.name, e.name, 0, n))
}

// setPolicy sets the policy of a built-in chain.
func (rd *reader) setPolicy(e *chainEdit, policy string, n ruleset.Counters) *fault {
	f := rd.cur.setPolicy(e, policy, n)
	if f != nil || rd.edit == nil {
		return f
	}
	return refusedInPlace(rd.edit.SetPolicy(rd.cur.name, e.name, policy, n))
}

// deleteInPlace deletes the rule with the number of a command.
func (rd *reader) deleteInPlace(c *command, e *chainEdit) *fault {
	if n := rd.edit.Len(rd.cur.name, e.name); c.number > n {
		return noRule(e, c, n)
	}
	return refusedInPlace(rd.edit.Delete(rd.cur.name, e.name, c.number-1))
}

// appendInPlace puts a rule behind the others of a chain.
func (rd *reader) appendInPlace(e *chainEdit, r *ruleset.Rule) *fault {
	return refusedInPlace(rd.edit.Insert(rd.cur.name, e.name, rd.edit.Len(rd.cur.name, e.name), r))
}

// placeInPlace puts a rule where its command says, or takes one away.
func (rd *reader) placeInPlace(c *command, e *chainEdit, r *ruleset.Rule) *fault {
	table, at := rd.cur.name, c.number-1
	n := rd.edit.Len(table, e.name)
	switch {
	case c.bits == cmdAppend:
		at = n
	case c.bits == cmdInsert && at > n, c.bits == cmdReplace && at >= n:
		return noRule(e, c, n)
	case c.bits&(cmdDelete|cmdCheck) != 0:
		if at = rd.edit.Find(table, e.name, r); at < 0 {
			return notFound(e, c, r)
		}
		if c.bits == cmdCheck {
			return nil
		}
	}
	rd.cur.changed = true
	if c.bits&(cmdReplace|cmdDelete) != 0 {
		if err := rd.edit.Delete(table, e.name, at); err != nil || c.bits == cmdDelete {
			return refusedInPlace(err)
		}
	}
	return refusedInPlace(rd.edit.Insert(table, e.name, at, r))
}

// commitInPlace ends the changes of a table.
func (rd *reader) commitInPlace(e *tableEdit) {
	if !e.changed {
		return
	}
	if rd.edit.Commit(e.name) != nil {
		rd.take(notInPlace)
		return
	}
	rd.put(e.finish()) // a text may name the table once more
}
