package iptables

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// ErrUsage is wrapped by errors about a command line that could not be understood, for
// which iptables exits with status 2.
var ErrUsage = errors.New("wrong command line")

// ErrNoTable is wrapped by errors about a table that there is not, for which iptables
// exits with status 3.
var ErrNoTable = errors.New("no such table")

// Argv is one command line of iptables or ip6tables, without the name of the program.
type Argv struct {
	Table   string
	Wait    int // seconds; -1: as long as it takes
	Help    bool
	Words   []HelpWord // that were named before --help
	Version bool
	Lists   bool // -L and -S: Run prints
	Changes bool // all commands but -L, -S and -C
	Checks  bool // -C
	// The chain that is named, "" for all; all names that may be those of chains which have to
	// be there, or must not be; and whether counters are printed.
	Chain   string
	Names   []string
	Counted bool
	// Interval says that -W was given, which iptables tells to mean nothing.
	Interval bool
	Warnings []string // of iptables

	args []arg
	o    Options
}

// ParseArgv reads the arguments of one command, as do_parse() of iptables/xshared.c.
// Of the options, File, Family and Resolver are used. With an error, of what it gives only Interval and
// Warnings are of use. The error joins a
// *ruleset.Error for every fault and wraps ErrUsage or ErrNoTable.
func ParseArgv(args []string, o Options) (*Argv, error) {
	a := &Argv{Table: "filter", o: o}
	at := 0
	for _, text := range args {
		a.args = append(a.args, arg{text, at})
		at += len(text) + 1
	}
	rd := newReader(o)
	rd.parser.argv, rd.parser.restore = a, false
	rd.parser.table = a.Table
	c := rd.parser.parse(a.args)
	if rd.parser.table != a.Table {
		// What options mean may depend on the table, which may stand behind them.
		rd.parser.table = a.Table
		c = rd.parser.parse(a.args)
	}
	a.Warnings = rd.parser.warnings
	if a.Help || a.Version {
		return a, nil
	}
	for _, f := range rd.parser.faults {
		if f != errStop {
			rd.take(f)
		}
	}
	if len(rd.faults) > 0 {
		return a, marked{joined(rd.faults), ErrUsage}
	}
	if !tables.Known(a.Table) {
		return a, marked{&ruleset.Error{Pos: ruleset.Pos{File: o.File}, Thing: a.Table, What: "no such table", Fix: tablesFix, Cause: o.saidTable(a.Table, 0)}, ErrNoTable}
	}
	const reads = cmdList | cmdListRules | cmdCheck
	a.Lists = c.bits&(cmdList|cmdListRules) != 0
	a.Changes, a.Checks = c.bits&^reads != 0, c.bits == cmdCheck
	a.Chain, a.Names, a.Counted = c.chain.text, []string{c.chain.text, c.jump.text, c.newName.text}, c.options&optVerbose != 0
	return a, nil
}

// Run runs the command on base and gives what becomes of it, as Read does. An error
// that wraps ErrUsage is about the command line, the others about what is there.
func (a *Argv) Run(o Options) (*ruleset.Ruleset, Report, error) {
	rd := a.reader(o)
	rd.run(ruleset.Counters{}, false)
	if len(rd.faults) == 0 {
		rd.commit()
	}
	if err := rd.failed(); err != nil {
		return nil, Report{}, err
	}
	return rd.result(), rd.report, nil
}

// Check runs -C as Run does, on a base without rules: the finder has them.
func (a *Argv) Check(o Options, f Finder) error {
	rd := a.reader(o)
	rd.finder = f
	rd.run(ruleset.Counters{}, false)
	return rd.failed()
}

// failed is the error of a command line.
func (rd *reader) failed() error {
	switch {
	case len(rd.faults) == 0:
		return nil
	case rd.usage:
		return marked{joined(rd.faults), ErrUsage}
	}
	return joined(rd.faults)
}

// reader is a reader that stands before the command.
func (a *Argv) reader(o Options) *reader {
	o.File, o.Family, o.NoFlush, o.Table = a.o.File, a.o.Family, true, ""
	toldOnce(o.Told)
	rd := newReader(o)
	rd.parser.argv, rd.parser.restore = &Argv{}, false // a itself may be run again
	rd.build.argv = true
	rd.cur = newTableEdit(a.Table, rd.o.Family, rd.table(a.Table))
	rd.cur.argv = true
	rd.parser.table = a.Table
	rd.args = a.args
	return rd
}

// marked is an error with a sentinel that its text does not show.
type marked struct {
	error
	as error
}

func (m marked) Unwrap() []error { return []error{m.error, m.as} }

// argvOption takes the options that stand in a command line but in no text.
func (p *specParser) argvOption(f found, invert bool) {
	a := p.argv
	switch f.code {
	case 't':
		if invert {
			p.fatal(f.at, f.name, "cannot have ! before it", "remove the !").as(saidUsage("unexpected ! flag before --table"))
		}
		a.Table = f.val.text
	case 'w':
		a.Wait = -1
		if n, ok := p.optionalValue(f); ok {
			a.Wait = p.seconds(f, n, "wait seconds not numeric")
		}
	case 'W':
		a.interval(p, f)
	case 'h', 'V':
		if len(p.faults) == 0 {
			a.Help, a.Version = f.code == 'h', f.code == 'V'
			a.helpWords(p)
		}
		p.faults = append(p.faults, errStop)
	case '4', '6':
		if (f.code == '4') != (p.o.Family == packet.IPv4) {
			p.fatal(f.at, f.name, fmt.Sprintf("not the family of %s", p.o.Family), "use the command of the other family").as(&Said{How: SaidPlainly})
		}
	default:
		p.fatal(f.at, f.name, "unknown option", "").as(saidUsage("unknown option \"%s\"", p.current()))
	}
}

// interval takes -W, which says how often to look for the lock; since iptables 1.8.9 it means nothing.
func (a *Argv) interval(p *specParser, f found) {
	n, ok := p.optionalValue(f)
	switch {
	case !ok:
		p.fatal(f.at, f.name, "needs a number", "").as(saidUsage("wait interval value required"))
	case p.seconds(f, n, "wait interval not numeric") > intervalMax:
		p.fatal(n.at, f.name, "too long", fmt.Sprintf("at most %d", intervalMax)).
			as(saidUsage("too long usec wait %s > %d usec", n.text, intervalMax))
	case len(p.faults) == 0:
		a.Interval = true
	}
}

const intervalMax = 999999

// HelpWord is a match or target of which the help is asked for.
type HelpWord struct {
	Name    string
	Target  bool
	Options []ruleset.Option
	Lines   []string // that stand below the options
}

// helpWords takes what was named up to here, that which -p loads, too.
func (a *Argv) helpWords(p *specParser) {
	if p.c.protoAs.text != "" {
		p.loadProto()
	}
	for _, w := range p.c.words {
		a.Words = append(a.Words, helpOf(w))
	}
	if w := p.c.target; w != nil {
		target := helpOf(w)
		if target.Target = !standardTarget(w.name); !target.Target {
			target.Name = "standard" // as iptables calls what gives a verdict
		}
		a.Words = append([]HelpWord{target}, a.Words...)
	}
}

func helpOf(w *word) HelpWord {
	h := HelpWord{Name: w.name, Options: w.options}
	if b, ok := w.builder.(interface{ HelpLines() []string }); ok {
		h.Lines = b.HelpLines()
	}
	return h
}

// optionalValue is the argument of an option that may have one.
func (p *specParser) optionalValue(f found) (arg, bool) {
	if f.hasVal {
		return f.val, true
	}
	return p.scan.takeFollowing()
}

func (p *specParser) seconds(f found, a arg, said string) int {
	n, err := strconv.Atoi(a.text)
	if err != nil || n < 0 {
		p.fatal(a.at, f.name, fmt.Sprintf("%q is not a number", a.text), "give a whole number, or nothing").as(saidUsage("%s", said))
	}
	return n
}
