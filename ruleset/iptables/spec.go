package iptables

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
)

// nameMax is XT_EXTENSION_MAXNAMELEN - 1: the longest name of a chain or target.
const nameMax = 28

// specParser reads the arguments of one command. It is do_parse() of
// iptables/xshared.c.
type specParser struct {
	o         *Options
	restore   bool            // inside a text, where -t and -w are refused
	argv      *Argv           // what a command line says beside its command; nil: it is none
	table     string          // of the command
	announced map[string]bool // names that ":CHAIN" lines gave: no targets

	scan      scanner
	c         *command // the same for every line
	pool      []*word  // of all lines; used are those of this one
	used      int
	value     [2]string
	verdicts  map[*ruleset.TargetKind]ruleset.TargetBuilder
	env       ruleset.Env
	protoUsed bool
	faults    []*fault
	warnings  []string
	recipes   map[int][]*recipe // by number of arguments
	rec       recording
	afresh    bool // without recipes
}

// warn notes what iptables warns of.
func (p *specParser) warn(text string) { p.warnings = append(p.warnings, text) }

// parse reads one command. Faults are in p.faults; the command is of use only when
// there are none.
func (p *specParser) parse(args []arg) *command {
	if p.c == nil {
		p.c = &command{}
	}
	p.begin(args)
	if p.replay(args) {
		return p.c
	}
	p.begin(args)
	for {
		f := p.scan.next()
		if f.code == codeEnd {
			break
		}
		if again := p.option(f); again {
			continue
		}
		if p.c.ignored || p.stopped() {
			return p.c
		}
	}
	p.finish()
	p.keep(args)
	return p.c
}

// begin makes everything ready for a command.
func (p *specParser) begin(args []arg) {
	*p.c = command{words: p.c.words[:0]}
	p.used = 0
	p.scan = scanner{args: args, words: p.scan.words[:0]}
	p.env = ruleset.Env{Family: p.o.Family, Bases: tables.Bases(p.table), Resolve: p.o.Resolver, Warn: p.warn}
	p.protoUsed = false
	p.faults, p.warnings = p.faults[:0], p.warnings[:0]
	p.rec = recording{sets: p.rec.sets[:0]}
}

// stop ends the reading of the command: what follows could not be understood.
var errStop = &fault{}

func (p *specParser) stopped() bool {
	return len(p.faults) > 0 && p.faults[len(p.faults)-1] == errStop
}

func (p *specParser) fault(at int, thing, what, fix string) *fault {
	f := &fault{at: at, thing: thing, what: what, fix: fix}
	p.faults = append(p.faults, f)
	return f
}

func (p *specParser) fatal(at int, thing, what, fix string) *fault {
	f := p.fault(at, thing, what, fix)
	p.faults = append(p.faults, errStop)
	return f
}

// option takes one step of the scanner. It says whether a "!" before it still waits
// for its option.
func (p *specParser) option(f found) (again bool) {
	invert := p.scan.negated
	switch f.code {
	case codePlain:
		return p.plain(f)
	case codeWord:
		p.wordOption(f, invert)
	case codeUnknown, codeMissing:
		if p.loadProto() {
			p.rewind(f)
			return true
		}
		p.notFound(f)
	default:
		if strings.IndexByte(cmdLetters, f.code) >= 0 {
			p.command(f, invert)
		} else {
			p.base(f, invert)
		}
	}
	p.scan.negated = false
	return false
}

const cmdLetters = "ACDRILSFZNXEP"

// plain takes an argument that is no option: only "!" is one.
func (p *specParser) plain(f found) bool {
	if f.val.text != "!" {
		thing := f.val.text
		if strings.ContainsAny(thing, "\r\n\t") {
			thing = strconv.Quote(thing)
		}
		p.fatal(f.at, thing, "bad argument", argumentFix(f.val.text)).as(&Said{How: SaidPlainly, Text: "Bad argument `" + f.val.text + "'"})
		return false
	}
	if p.scan.negated {
		p.fatal(f.at, "!", "multiple consecutive ! not allowed", "give it once").as(saidUsage("multiple consecutive ! not allowed"))
		return false
	}
	p.scan.negated = true
	return true
}

func argumentFix(text string) string {
	switch {
	case text == "COMMIT" || text == "COMMIT\r":
		return "a COMMIT line is \"COMMIT\" and a newline alone"
	case strings.HasSuffix(text, "\r"):
		return "the line ends with a carriage return; convert the file to Unix line ends"
	case strings.HasPrefix(text, "*"):
		return "put COMMIT before the next table"
	case strings.HasPrefix(text, "#"):
		return "a comment must begin in the first column"
	}
	return "options begin with '-', and \"!\" stands before its option"
}

func (p *specParser) notFound(f found) {
	if f.code == codeMissing {
		p.fatal(f.at, f.name, "needs an argument", "").as(saidUsage("option \"%s\" requires an argument", p.current()))
		return
	}
	fix := ""
	if p.c.protoAs.text == "" && strings.HasSuffix(f.name, "port") {
		fix = "name the protocol before it, with -p"
	}
	p.fatal(f.at, f.name, f.why, fix).as(saidUsage("unknown option \"%s\"", p.current()))
}

// rewind lets the scanner read an option again, after a word was loaded.
func (p *specParser) rewind(f found) {
	s := &p.scan
	s.cluster = ""
	for s.ind > 0 && (s.ind >= len(s.args) || s.args[s.ind].at > f.at) {
		s.ind--
	}
}

// finish does what do_parse() does after the last option.
func (p *specParser) finish() {
	c := p.c
	if p.table == "nat" && c.policy.text == "DROP" {
		p.fault(c.policy.at, "DROP", "the nat table is not for filtering", "drop in the filter or raw table").as(saidUsage(saidNotFiltering))
	}
	for _, w := range c.words {
		p.done(w)
	}
	if c.target != nil {
		p.done(c.target)
	}
	switch {
	case p.scan.ind < len(p.scan.args):
		a := p.scan.args[p.scan.ind]
		p.fault(a.at, a.text, "unknown argument after --", "remove it").as(saidUsage("unknown arguments found on commandline"))
	case c.bits == 0:
		p.fault(0, "", "no command given", "a rule line begins with -A CHAIN").as(saidUsage("no command specified"))
	case p.scan.negated:
		p.fault(p.scan.args[len(p.scan.args)-1].at, "!", "nothing follows it", "put the option after it").as(saidUsage("nothing appropriate following !"))
	}
	if f := c.legal(); f != nil {
		p.faults = append(p.faults, f)
	}
	if len(c.chain.text) > nameMax && c.bits&cmdNewChain == 0 {
		p.fault(c.chain.at, c.chain.text, "chain name too long", fmt.Sprintf("at most %d characters", nameMax)).as(saidLong(c.chain.text))
	}
	if a := p.argv; a != nil && a.Interval && a.Wait == 0 {
		p.fault(0, "-W", "is for the lock", "give -w, too").as(saidUsage("--wait-interval only makes sense with --wait\n"))
	}
	if f := c.misplaced(); f != nil {
		p.faults = append(p.faults, f)
	}
}

// ruleNumber is parse_rulenumber().
func (p *specParser) ruleNumber(a arg) int {
	n, ok := strtoui(a.text, 1<<31-1)
	if !ok || n < 1 {
		p.fault(a.at, a.text, "invalid rule number", "rules count from 1").as(saidUsage("Invalid rule number `%s'", a.text))
		return 1
	}
	return int(n)
}

// strtoui reads a number as xtables_strtoui() does: decimal, octal with 0 and
// hexadecimal with 0x.
func strtoui(s string, limit uint64) (uint64, bool) {
	s = strings.TrimLeft(s, " \t\n\v\f\r")
	s = strings.TrimPrefix(s, "+")
	base := 10
	switch {
	case len(s) > 2 && (s[:2] == "0x" || s[:2] == "0X"):
		s, base = s[2:], 16
	case len(s) > 1 && s[0] == '0':
		s, base = s[1:], 8
	}
	n, err := strconv.ParseUint(s, base, 64)
	return n, err == nil && n <= limit
}
