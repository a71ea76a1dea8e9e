package iptables

import (
	"fmt"
	"io"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
	"github.com/bpftables/bpftables/ruleset/match"
)

// commandLine takes a line with a command.
func (rd *reader) commandLine(text string) {
	switch {
	case strings.TrimRight(text, " \t\r\n") == "COMMIT":
		rd.fault(0, "COMMIT", "bad argument", argumentFix(strings.TrimRight(text, "\n")))
		rd.commit()
		return
	case text[0] == '*':
		rd.fault(0, strings.TrimSpace(text), "begins a table before the end of "+rd.cur.name, argumentFix(text))
		rd.commit()
		rd.openTable(text)
		return
	}
	counters, hasCounters, text, from, f := rd.ruleCounters(text)
	if f == nil {
		rd.args, f = cutArgs(rd.args[:0], text, from)
	}
	if f != nil {
		rd.take(f)
		return
	}
	rd.run(counters, hasCounters)
}

// run reads and runs the command in rd.args.
func (rd *reader) run(counters ruleset.Counters, hasCounters bool) {
	c := rd.parser.parse(rd.args)
	rd.warn()
	if hasCounters {
		if c.options&optCounters != 0 {
			rd.parser.fault(c.optionAt[10], "-c", "given more than once", "the line begins with counters")
		}
		c.counters = counters
		c.options |= optCounters
		if f := c.legal(); f != nil && len(rd.parser.faults) == 0 {
			rd.parser.fault(0, "[", "counters only go with -A, -I, -R and -P", "remove them")
		}
	}
	if len(rd.parser.faults) > 0 {
		rd.refuse(c)
		return
	}
	if f := rd.execute(c); f != nil {
		rd.take(f)
	}
}

// warn tells what iptables warns of in the current line.
func (rd *reader) warn() {
	for _, text := range rd.parser.warnings {
		if rd.o.Warn != nil {
			rd.o.Warn(text)
		}
	}
}

// refuse notes the faults of a command, and those that only the table can show.
func (rd *reader) refuse(c *command) {
	rd.usage = true
	for _, f := range rd.parser.faults {
		if f != errStop {
			rd.take(f)
		}
	}
	if rd.parser.stopped() || c.bits&cmdWithRule == 0 {
		return
	}
	chain := func(name string) *chainEdit { return rd.cur.chains[name] }
	if _, _, f := rd.build.addresses(c); f != nil {
		rd.take(f)
	}
	if c.target != nil || len(c.jump.text) > nameMax {
		return
	}
	if _, f := rd.build.target(c, chain); f != nil {
		rd.take(f)
	}
}

// execute does what a command says.
func (rd *reader) execute(c *command) *fault {
	t := rd.cur
	if c.ignored && c.bits&cmdWithRule != 0 {
		return rd.otherFamily(c)
	}
	if c.bits&cmdWithRule != 0 {
		return rd.withRule(c)
	}
	if c.bits&(cmdList|cmdListRules) != 0 {
		return rd.show(c)
	}
	var f *fault
	switch c.bits {
	case 0: // a line for the other family
		return nil
	case cmdDeleteNum:
		f = rd.deleteNumber(c)
	case cmdFlush:
		f = rd.each(c, true, func(e *chainEdit) *fault {
			rd.tellChain(c, "Flushing", e)
			return rd.flushChain(e)
		})
	case cmdZero:
		f = rd.each(c, true, func(e *chainEdit) *fault {
			rd.tellChain(c, "Zeroing", e)
			return rd.zero(e, 0)
		})
	case cmdZeroNum:
		f = rd.each(c, true, func(e *chainEdit) *fault { return rd.zero(e, c.number) })
	case cmdNewChain:
		f = rd.create(c.chain.text, rd.pos(c.chain.at))
	case cmdDeleteChain:
		if !c.hasName && len(t.order) == len(tables.BuiltIns(t.name)) {
			return nil // there is none: nothing changes (for_each_chain4(), iptables/iptables.c)
		}
		f = rd.each(c, false, func(e *chainEdit) *fault {
			rd.tellChain(c, "Deleting", e)
			return rd.remove(e)
		})
	case cmdRenameChain:
		f = rd.rename(c.chain.text, c.newName.text)
		if f != nil && f.thing == c.newName.text {
			f.at = c.newName.at
		}
	case cmdSetPolicy:
		f = rd.each(c, true, func(e *chainEdit) *fault { return rd.setPolicy(e, c.policy.text, c.counters) })
	}
	if f != nil && f != notInPlace && f.at == 0 {
		f.at = c.at
		if c.hasName {
			f.at = c.chain.at
		}
	}
	t.changed = true
	return f
}

// otherFamily runs a rule command that ends with -4 or -6 of the other family:
// do_parse() then has read no addresses, so there are none to make a rule for; the
// target is looked for all the same.
func (rd *reader) otherFamily(c *command) *fault {
	if c.bits == cmdReplace {
		return &fault{at: c.at, thing: "-R", what: "cannot be used in a line for the other family", fix: "put -4 or -6 before it"}
	}
	_, f := rd.build.target(c, func(name string) *chainEdit { return rd.cur.chains[name] })
	return f
}

// each does something to the chain that a command names, or to all; builtins says
// whether all are meant with the built-in ones.
func (rd *reader) each(c *command, builtins bool, do func(*chainEdit) *fault) *fault {
	if c.hasName {
		e := rd.cur.chains[c.chain.text]
		if e == nil {
			f := rd.cur.missing(c.chain.text)
			f.said = saidMissing(c.bits, c.chain.text, rd.cur.name)
			if c.bits == cmdSetPolicy && !validPolicy(c.policy.text) {
				f.said.NFT = saidRules(saidPolicy)
			}
			return f
		}
		return do(e)
	}
	var first *fault
	for _, e := range rd.cur.sorted() {
		if e.policy != "" && !builtins {
			continue
		}
		if f := do(e); f != nil && first == nil {
			first = f
		}
	}
	return first
}

func (rd *reader) deleteNumber(c *command) *fault {
	e := rd.cur.chains[c.chain.text]
	if e == nil {
		return rd.cur.missing(c.chain.text)
	}
	if rd.edit != nil {
		return rd.deleteInPlace(c, e)
	}
	if c.number > e.rules.len() {
		return noRule(e, c, e.rules.len())
	}
	rd.cur.count(e.rules.all()[c.number-1], -1)
	e.rules.remove(c.number - 1)
	return nil
}

// noRule is the fault of a number of a command, where there are so many rules.
func noRule(e *chainEdit, c *command, rules int) *fault {
	return &fault{at: c.chain.at, thing: e.name, what: fmt.Sprintf("has no rule %d", c.number),
		fix: fmt.Sprintf("it has %d rules", rules), said: saidTooBig(c.bits)}
}

// notFound is the fault of a rule that a chain does not have.
func notFound(e *chainEdit, c *command, r *ruleset.Rule) *fault {
	return &fault{at: c.at, thing: e.name, what: "has no such rule", fix: "it must be written as the rule is, option for option",
		said: saidNoRule(r)}
}

// withRule does -A, -I, -R, -D and -C: the command's rule once for each combination
// of addresses.
func (rd *reader) withRule(c *command) *fault {
	src, dst, f := rd.build.addresses(c)
	if f != nil {
		rd.usage = true
		return f
	}
	goal, f := rd.build.target(c, func(name string) *chainEdit { return rd.cur.chains[name] })
	if f != nil {
		rd.usage = !f.kernel
		return f
	}
	e := rd.cur.chains[c.chain.text]
	if e == nil {
		f := rd.cur.missing(c.chain.text)
		f.at, f.said = c.chain.at, saidMissing(c.bits, c.chain.text, rd.cur.name)
		if c.bits&(cmdCheck|cmdDelete) != 0 && len(src) > 0 && len(dst) > 0 {
			rd.tell(c, rd.ruleOf(c, &chainEdit{name: c.chain.text}, src[0], dst[0], goal))
		}
		return f
	}
	first := true
	for _, s := range src {
		for _, d := range dst {
			if !first {
				// Each rule has matches and a target of its own: some have a state.
				c = rd.again(c)
				goal, _ = rd.build.target(c, func(name string) *chainEdit { return rd.cur.chains[name] })
			}
			first = false
			r := rd.ruleOf(c, e, s, d, goal)
			rd.placeWords(c, r)
			rd.tell(c, r)
			if f := rd.place(c, e, r); f != nil {
				return f
			}
		}
	}
	return nil
}

// ruleOf makes the rule of the current line for one source and one destination.
func (rd *reader) ruleOf(c *command, e *chainEdit, src, dst match.AddrMask, goal ruleset.Target) *ruleset.Rule {
	r := rd.build.rule(c, src, dst)
	r.Pos, r.Target = rd.pos(c.at), goal
	r.Source = rd.source(e.name)
	return r
}

// again reads the command of the line once more.
func (rd *reader) again(c *command) *command {
	counters := c.counters
	anew := rd.parser.parse(rd.args)
	anew.counters = counters
	return anew
}

// place puts a rule where its command says.
func (rd *reader) place(c *command, e *chainEdit, r *ruleset.Rule) *fault {
	if rd.edit != nil {
		return rd.placeInPlace(c, e, r)
	}
	t := rd.cur
	switch c.bits {
	case cmdAppend:
		e.rules.add(r)
	case cmdInsert:
		if c.number-1 > e.rules.len() {
			return noRule(e, c, e.rules.len())
		}
		e.rules.insert(c.number-1, r)
	case cmdReplace:
		if c.number > e.rules.len() {
			return noRule(e, c, e.rules.len())
		}
		t.count(e.rules.all()[c.number-1], -1)
		e.rules.all()[c.number-1] = r
	default:
		i := -1
		if rd.finder != nil {
			i = rd.finder.Find(t.name, e.name, r)
		} else {
			i = t.find(e, r)
		}
		if i < 0 {
			return notFound(e, c, r)
		}
		if c.bits == cmdDelete {
			t.count(e.rules.all()[i], -1)
			e.rules.remove(i)
			t.changed = true
		}
		return nil
	}
	if c.bits != cmdAppend {
		if t.placed == nil {
			t.placed = map[*ruleset.Rule]int{}
		}
		t.placed[r] = c.bits
	}
	t.count(r, 1)
	t.changed = true
	return nil
}

// show does -L and -S inside a text.
func (rd *reader) show(c *command) *fault {
	if c.hasName && rd.cur.chains[c.chain.text] == nil {
		f := rd.cur.missing(c.chain.text)
		f.at, f.said = c.chain.at, saidMissing(c.bits, c.chain.text, rd.cur.name)
		return f
	}
	out := rd.o.Output
	if out == nil {
		out = io.Discard
	}
	if rd.edit != nil && !rd.build.argv { // a command line has been listed before it is run
		return notInPlace
	}
	t, err := rd.cur.listed(), error(nil)
	if c.bits&cmdListRules != 0 {
		err = ListRules(out, t, ListRulesOptions{Counters: c.options&optVerbose != 0, Chain: c.chain.text, Rule: c.number})
	} else {
		o := ListOptions{Family: rd.o.Family, Chain: c.chain.text, Rule: c.number, Verbose: c.options&optVerbose != 0,
			Numeric: c.options&optNumeric != 0, Exact: c.options&optExact != 0, LineNumbers: c.options&optLineNumbers != 0}
		o.References = rd.o.References
		o.Names, _ = rd.o.Resolver.(ruleset.Names)
		err = List(out, t, o)
	}
	if err != nil {
		return &fault{at: c.at, what: err.Error()}
	}
	if c.bits&cmdZero != 0 {
		rd.cur.changed = true
		return rd.each(c, true, func(e *chainEdit) *fault {
			rd.tellChain(c, "Zeroing", e)
			return rd.zero(e, 0)
		})
	}
	return nil
}
