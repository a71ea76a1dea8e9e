package iptables

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
)

// faultsMax is how many faults of a text are listed.
const faultsMax = 1000

// Read reads the text of iptables-save or iptables-restore. The error joins a
// *ruleset.Error for every fault of the text.
//
// It follows ip46tables_restore_main() of iptables/iptables-restore.c, but goes on
// after a fault, and gives a Ruleset only if there was none.
func Read(r io.Reader, o Options) (*ruleset.Ruleset, Report, error) {
	toldOnce(o.Told)
	return newReader(o).read(r)
}

func (rd *reader) read(r io.Reader) (*ruleset.Ruleset, Report, error) {
	lines := newLineReader(r)
	for {
		l, err := lines.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, Report{}, err
		}
		wait := rd.batched(l)
		if wait && len(rd.batch) < batchMost {
			continue
		}
		if !rd.flush() {
			return rd.tooMany()
		}
		if wait {
			continue
		}
		rd.line(l)
		if len(rd.faults) >= rd.faultsMost() {
			return rd.tooMany()
		}
	}
	if !rd.flush() {
		return rd.tooMany()
	}
	rd.end(lines)
	if len(rd.faults) > 0 {
		return nil, Report{}, joined(rd.faults)
	}
	return rd.result(), rd.report, nil
}

// faultsMost is how many faults end the reading: with an editor, the first.
func (rd *reader) faultsMost() int {
	if rd.edit != nil {
		return 1
	}
	return faultsMax
}

// tooMany ends the reading at the current line.
func (rd *reader) tooMany() (*ruleset.Ruleset, Report, error) {
	rd.faults = append(rd.faults, &ruleset.Error{Pos: ruleset.Pos{File: rd.o.File, Line: rd.now.number}, What: "too many faults, the rest is not read"})
	return nil, Report{}, joined(rd.faults)
}

// joined is the faults in the order of their places.
func joined(faults []error) error {
	slices.SortStableFunc(faults, func(a, b error) int {
		x, y := a.(*ruleset.Error).Pos, b.(*ruleset.Error).Pos
		if x.File != y.File {
			return 0
		}
		return cmp.Or(cmp.Compare(x.Line, y.Line), cmp.Compare(x.Col, y.Col))
	})
	return errors.Join(faults...)
}

// reader is the state between lines.
type reader struct {
	o         Options
	parser    specParser
	build     *builder
	tables    []*ruleset.Table // as committed so far, in order of creation
	cur       *tableEdit       // nil: outside of a table
	skip      bool             // in a table that is not asked for, or not known
	lost      bool             // skip, because of a fault
	announced map[string]bool
	report    Report
	faults    []error
	usage     bool // a fault is about the command, not about what is there
	now       line
	batch     []line // that wait to be read together
	least     int    // so many, at least
	args      []arg
	scratch   ruleset.Place // for placeWords
	edit      Editor        // nil: changes are made in cur
	cannot    bool          // a fault is that the editor cannot do something
	finder    Finder        // of -C; nil: cur has the rules
}

func newReader(o Options) *reader {
	rd := &reader{o: o, least: batchLeast, announced: map[string]bool{}, skip: o.Table != ""}
	rd.build = newBuilder(&rd.o)
	rd.parser = specParser{o: &rd.o, restore: true, announced: rd.announced,
		verdicts: map[*ruleset.TargetKind]ruleset.TargetBuilder{}}
	if o.Base != nil {
		rd.tables = append(rd.tables, o.Base.Tables...)
	}
	return rd
}

// fault notes a fault at a byte of the current line.
func (rd *reader) fault(at int, thing, what, fix string) {
	rd.take(&fault{at: at, thing: thing, what: what, fix: fix})
}

// take notes a fault of the current line, and what iptables says of it.
func (rd *reader) take(f *fault) {
	rd.cannot = rd.cannot || f == notInPlace
	rd.faults = append(rd.faults, &ruleset.Error{
		Pos: rd.pos(f.at), Thing: f.thing, What: f.what, Fix: f.fix, Cause: &noted{f.said, len(rd.faults)},
	})
}

// takeAt notes a fault at a byte of the current line.
func (rd *reader) takeAt(f *fault, at int) {
	if f != notInPlace {
		f.at = at
	}
	rd.take(f)
}

func (rd *reader) pos(at int) ruleset.Pos {
	return ruleset.Pos{File: rd.o.File, Line: rd.now.number, Col: rd.now.before + at + 1}
}

// line takes one line.
func (rd *reader) line(l line) {
	rd.now = l
	text := l.text
	switch {
	case text == "": // a NUL byte ends a line, as in a C string
		if !rd.skip {
			rd.fault(0, "", "the line begins with a NUL byte", "is it a text of iptables-save?")
		}
	case text[0] == '#' && rd.o.Verbose && rd.o.Told != nil:
		fmt.Fprint(rd.o.Told, text)
	case text[0] == '\n' || text[0] == '#':
	case rd.skip:
		rd.skipped(text)
	case rd.cur == nil && text[0] == '*':
		rd.openTable(text)
	case rd.cur == nil:
		rd.outside(text)
	case text == "COMMIT\n":
		rd.commit()
	case text[0] == ':':
		rd.chainLine(text)
	default:
		rd.commandLine(text)
	}
}

// skipped passes over a table that is not asked for.
func (rd *reader) skipped(text string) {
	switch {
	case text[0] == '*':
		rd.skip, rd.lost = false, false
		rd.openTable(text)
	case rd.lost && strings.TrimSpace(text) == "COMMIT":
		rd.skip, rd.lost = false, false
	}
}

// outside refuses what stands before the first table or after COMMIT. One fault is
// enough for all lines up to the next table.
func (rd *reader) outside(text string) {
	fix := "put it between \"*table\" and \"COMMIT\""
	if strings.HasSuffix(text, "\r\n") {
		fix = carriageFix
	}
	rd.take(&fault{thing: strings.TrimSpace(text), what: "outside of a table", fix: fix, said: saidLine})
	rd.skip, rd.lost = true, true
}

const tablesFix = "the tables are raw, mangle, nat, filter and security"

const carriageFix = "the line ends with a carriage return; convert the file to Unix line ends"

// openTable takes "*table".
func (rd *reader) openTable(text string) {
	words := fields(text[1:])
	if len(words) == 0 {
		rd.take(&fault{thing: "*", what: "table name missing", fix: "*filter", said: saidInText(rd.now.number, "table name invalid")})
		rd.skip, rd.lost = true, true
		return
	}
	name := words[0]
	if rd.o.Table != "" && rd.o.Table != name {
		rd.skip = true
		return
	}
	if !tables.Known(name) {
		fix := tablesFix
		if strings.HasSuffix(name, "\r") {
			fix = carriageFix
		}
		rd.take(&fault{at: 1, thing: strings.TrimSpace(name), what: "no such table", fix: fix, said: rd.o.saidTable(name, rd.now.number)})
		rd.skip, rd.lost = true, true
		return
	}
	if rd.edit != nil && rd.table(name) == nil {
		rd.take(notInPlace)
		return
	}
	rd.cur = newTableEdit(name, rd.o.Family, rd.table(name))
	rd.parser.table = name
	rd.parser.forget()
	rd.cur.pos = rd.pos(0)
	if !rd.o.NoFlush {
		rd.tellEmptied()
		rd.cur.flushAll()
		rd.cur.changed = true
	}
}

// table gives a table as committed so far.
func (rd *reader) table(name string) *ruleset.Table {
	for _, t := range rd.tables {
		if t.Name == name {
			return t
		}
	}
	return nil
}

// chainLine takes ":CHAIN POLICY [packets:bytes]".
func (rd *reader) chainLine(text string) {
	words := fields(text[1:])
	if len(words) == 0 {
		rd.take(&fault{thing: ":", what: "chain name missing", fix: ":CHAIN - [0:0]", said: saidInText(rd.now.number, "chain name invalid")})
		return
	}
	name := words[0]
	at := 1 + strings.Index(text[1:], name)
	if len(name) > nameMax {
		said := saidUsage("Invalid chain name `%s' (%d chars max)", name, nameMax)
		said.NFT = saidLong(name)
		rd.take(&fault{at: at, thing: name, what: "chain name too long", fix: fmt.Sprintf("at most %d characters", nameMax), said: said})
		return
	}
	c := rd.cur.chains[name]
	switch {
	case c == nil || c.policy == "" && !rd.o.NoFlush:
		if f := rd.create(name, rd.pos(at)); f != nil {
			rd.takeAt(f, at)
		}
		c = rd.cur.chains[name]
		rd.cur.changed = true
	case c.policy == "":
		if f := rd.flushChain(c); f != nil {
			rd.takeAt(f, at)
		}
		rd.cur.changed = true
	default:
		c.pos = rd.pos(at)
	}
	if !rd.announced[name] {
		rd.announced[name] = true
		rd.parser.forget() // the name may be that of a target
	}
	if len(words) == 1 {
		rd.take(&fault{at: at, thing: name, what: "policy missing", fix: "give ACCEPT, DROP, or - for a user chain",
			said: saidInText(rd.now.number, "policy invalid")})
		return
	}
	if words[1] != "-" && c != nil {
		rd.policyOf(c, words, at+len(name)+strings.Index(text[at+len(name):], words[1]))
	}
}

// policyOf takes the policy and its counters.
func (rd *reader) policyOf(c *chainEdit, words []string, at int) {
	var n ruleset.Counters
	if rd.o.Counters {
		ok := false
		if len(words) > 2 {
			n, ok = parseCounters(words[2])
		}
		if !ok {
			rd.take(&fault{at: at, thing: c.name, what: "invalid policy counters", fix: ":CHAIN ACCEPT [packets:bytes]",
				said: saidUsage("invalid policy counters for chain '%s'", c.name)})
			return
		}
	}
	if f := rd.setPolicy(c, words[1], n); f != nil {
		if f != notInPlace {
			f.said = saidOfPolicy(f, c.name, words[1], rd.now.number)
		}
		rd.takeAt(f, at)
		return
	}
	rd.cur.changed = true
}

// commit checks the table and makes it part of the result.
func (rd *reader) commit() {
	e := rd.cur
	rd.cur = nil
	if rd.edit != nil {
		rd.commitInPlace(e)
		return
	}
	if !e.changed && e.base != nil {
		rd.record(e)
		return
	}
	t := e.finish()
	for _, f := range checkTable(t, rd.o.Family, e.columns) {
		f.Cause = &noted{saidRefused(f, placedBy(e.placed[f.rule]), rd.now.number), len(rd.faults)}
		rd.faults = append(rd.faults, f.Error)
	}
	rd.record(e)
	rd.put(t)
}

// put makes a table part of the result.
func (rd *reader) put(t *ruleset.Table) {
	for i, have := range rd.tables {
		if have.Name == t.Name {
			rd.tables[i] = t
			return
		}
	}
	rd.tables = append(rd.tables, t)
}

// end refuses a text that ends inside a table.
func (rd *reader) end(lines *lineReader) {
	if rd.cur == nil {
		return
	}
	rd.now = line{number: lines.number}
	if lines.before > 0 {
		rd.now.number++ // the last line has no newline
	}
	fix := "end the table with a line COMMIT"
	rd.take(&fault{thing: "COMMIT", what: "expected at the end of table " + rd.cur.name, fix: fix, said: saidCommit(rd.now.number)})
}

func (rd *reader) result() *ruleset.Ruleset {
	return &ruleset.Ruleset{Family: rd.o.Family, Tables: rd.tables}
}
