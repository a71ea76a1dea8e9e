package iptables

import (
	"runtime"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/parallel"
)

// Most lines of long texts append a rule, and what most of them say depends on nothing but
// the chains that were announced before. Such lines are collected and read on all processors;
// the rules are then put into their chains in the order of the lines. A line of which anything
// else is to say, a fault first of all, is read again when its turn comes, as any other line.

const (
	batchMost  = 8192 // lines that are read together
	batchLeast = 1024 // fewer are read one by one
	batchPart  = 256  // lines that one processor reads before it takes others
)

// batched says whether a line waits to be read together with others.
func (rd *reader) batched(l line) bool {
	if rd.cur == nil || rd.skip || !appends(l.text) {
		return false
	}
	rd.batch = append(rd.batch, l)
	return true
}

// appends says whether a line begins as one that appends a rule: no such line changes what
// another one means.
func appends(text string) bool {
	if strings.HasPrefix(text, "[") {
		_, text, _ = strings.Cut(text, "] ")
	}
	return strings.HasPrefix(text, "-A ")
}

// flush reads the lines that wait; false: there are too many faults.
func (rd *reader) flush() bool {
	batch := rd.batch
	rd.batch = rd.batch[:0]
	rules := rd.together(batch)
	for i, l := range batch {
		if rules != nil && rules[i].rule != nil {
			if rd.append(rules[i]); len(rd.faults) < rd.faultsMost() {
				continue
			}
			return false
		}
		rd.line(l)
		if len(rd.faults) >= rd.faultsMost() {
			return false
		}
	}
	return true
}

// appended is a rule that a line appends to a chain; without a rule, the line has to be read
// by itself.
type appended struct {
	chain *chainEdit
	rule  *ruleset.Rule
}

// together reads lines on all processors; nil: they are too few.
func (rd *reader) together(lines []line) []appended {
	if len(lines) < rd.least || runtime.GOMAXPROCS(0) == 1 {
		return nil
	}
	for _, c := range rd.cur.order {
		if c.policy == "" {
			c.jumpHere() // made once, for all
		}
	}
	out := make([]appended, len(lines))
	parts := (len(lines) + batchPart - 1) / batchPart
	idle := make(chan *reader, parts)
	parallel.Each(parts, func(part int) {
		var w *reader
		select {
		case w = <-idle:
		default:
			w = rd.helper()
		}
		for i := part * batchPart; i < min(len(lines), (part+1)*batchPart); i++ {
			out[i] = w.appending(lines[i])
		}
		idle <- w
	})
	return out
}

// helper is a reader that changes nothing of what it shares.
func (rd *reader) helper() *reader {
	w := newReader(Options{File: rd.o.File, Family: rd.o.Family, Resolver: &asked{}, Counters: rd.o.Counters})
	w.cur, w.announced = rd.cur, rd.announced
	w.parser.announced, w.parser.table, w.parser.afresh = rd.announced, rd.parser.table, rd.parser.afresh
	return w
}

// append puts a rule behind the others of its chain.
func (rd *reader) append(a appended) {
	rd.cur.changed = true
	if rd.edit != nil {
		if f := rd.appendInPlace(a.chain, a.rule); f != nil {
			rd.take(f)
		}
		return
	}
	a.chain.rules.add(a.rule)
	rd.cur.count(a.rule, 1)
}

// appending reads a line that appends one rule, and of which nothing else is to say.
func (rd *reader) appending(l line) (out appended) {
	names := rd.o.Resolver.(*asked)
	rd.now = l
	c := rd.alone()
	if names.asked { // what was kept of the line is not for others
		names.asked = false
		rd.parser.forget()
		return out
	}
	if c == nil {
		return out
	}
	src, dst, f := rd.build.addresses(c)
	if f != nil || len(src) != 1 || len(dst) != 1 || names.asked {
		names.asked = false
		return out
	}
	goal, f := rd.build.target(c, func(name string) *chainEdit { return rd.cur.chains[name] })
	e := rd.cur.chains[c.chain.text]
	if f != nil || e == nil {
		return out
	}
	r := rd.ruleOf(c, e, src[0], dst[0], goal)
	odd := names.asked
	names.asked = false
	rd.checkWords(c, r, func(int, int) { odd = true })
	if odd {
		return out
	}
	return appended{e, r}
}

// alone parses the line as a command that appends a rule; nil: it is another one, has a fault, or
// something is to be warned of.
func (rd *reader) alone() *command {
	counters, hasCounters, text, from, f := rd.ruleCounters(rd.now.text)
	if f == nil {
		rd.args, f = cutArgs(rd.args[:0], text, from)
	}
	if f != nil {
		return nil
	}
	c := rd.parser.parse(rd.args)
	if len(rd.parser.faults) > 0 || len(rd.parser.warnings) > 0 || c.bits != cmdAppend || c.ignored || hasCounters && c.options&optCounters != 0 {
		return nil
	}
	if hasCounters {
		c.counters = counters
		c.options |= optCounters
		if c.legal() != nil {
			return nil
		}
	}
	return c
}

// asked knows no names, and remembers that it was asked for one.
type asked struct{ asked bool }

func (a *asked) Port(string, string) (uint16, bool) { a.asked = true; return 0, false }
func (a *asked) Protocol(string) (uint8, bool)      { a.asked = true; return 0, false }
func (a *asked) ProtocolName(uint8) (string, bool)  { a.asked = true; return "", false }
func (a *asked) User(string) (uint32, bool)         { a.asked = true; return 0, false }
func (a *asked) Group(string) (uint32, bool)        { a.asked = true; return 0, false }
func (a *asked) Named(string, string) (uint32, bool) {
	a.asked = true
	return 0, false
}

func (a *asked) Host(string, packet.Family) ([]string, error) {
	a.asked = true
	return nil, nil
}
