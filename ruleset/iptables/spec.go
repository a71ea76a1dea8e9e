package iptables

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/match"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/target"
)

// nameMax is XT_EXTENSION_MAXNAMELEN - 1: the longest name of a chain or target.
const nameMax = 28

// specParser reads the arguments of one command. It is do_parse() of
// iptables/xshared.c.
type specParser struct {
	o         *Options
	restore   bool            // inside a text, where -t and -w are refused
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
}

// parse reads one command. Faults are in p.faults; the command is of use only when
// there are none.
func (p *specParser) parse(args []arg) *command {
	if p.c == nil {
		p.c = &command{}
	}
	*p.c = command{words: p.c.words[:0]}
	p.used = 0
	p.scan = scanner{args: args, words: p.scan.words[:0]}
	p.env = ruleset.Env{Family: p.o.Family, Table: p.table, Resolve: p.o.Resolver}
	p.protoUsed = false
	p.faults = p.faults[:0]
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
	return p.c
}

// stop ends the reading of the command: what follows could not be understood.
var errStop = &fault{}

func (p *specParser) stopped() bool {
	return len(p.faults) > 0 && p.faults[len(p.faults)-1] == errStop
}

func (p *specParser) fault(at int, thing, what, fix string) {
	p.faults = append(p.faults, &fault{at, thing, what, fix})
}

func (p *specParser) fatal(at int, thing, what, fix string) {
	p.fault(at, thing, what, fix)
	p.faults = append(p.faults, errStop)
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
		if f.at >= 0 && strings.IndexByte(cmdLetters, f.code) >= 0 {
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
		p.fatal(f.at, thing, "bad argument", argumentFix(f.val.text))
		return false
	}
	if p.scan.negated {
		p.fatal(f.at, "!", "multiple consecutive ! not allowed", "give it once")
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
		p.fatal(f.at, f.name, "needs an argument", "")
		return
	}
	fix := ""
	if p.c.protoAs.text == "" && strings.HasSuffix(f.name, "port") {
		fix = "name the protocol before it, with -p"
	}
	p.fatal(f.at, f.name, f.why, fix)
}

// rewind lets the scanner read an option again, after a word was loaded.
func (p *specParser) rewind(f found) {
	s := &p.scan
	s.cluster = ""
	for s.ind > 0 && (s.ind >= len(s.args) || s.args[s.ind].at > f.at) {
		s.ind--
	}
}

// loadProto loads the word of the protocol that -p names, once.
func (p *specParser) loadProto() bool {
	if p.c.protoAs.text == "" || p.protoUsed {
		return false
	}
	kind := match.ForProtocolText(p.c.protoAs.text, p.o.Family, p.o.Resolver)
	if kind == nil {
		return false
	}
	p.protoUsed = true
	p.loadMatch(kind, p.c.protoAs.at)
	return true
}

// loadMatch adds a match to the rule and its options to the table; of two of the
// same kind the later one gets the options.
func (p *specParser) loadMatch(kind *ruleset.MatchKind, at int) {
	b := kind.New()
	w := p.newWord()
	*w = word{name: kind.Name, kind: kind, options: optionsOf(kind.Options, p.o.Family), builder: b, match: b, at: at}
	p.c.words = append(p.c.words, w)
	for i, have := range p.scan.words {
		if have.kind == kind {
			p.scan.words[i] = w
			return
		}
	}
	p.scan.words = append(p.scan.words, w)
}

// newWord gives a word that no longer belongs to a line.
func (p *specParser) newWord() *word {
	if p.used == len(p.pool) {
		p.pool = append(p.pool, &word{})
	}
	p.used++
	return p.pool[p.used-1]
}

// optionsOf leaves out the options that the family lacks.
func optionsOf(all []ruleset.Option, family packet.Family) []ruleset.Option {
	for i := range all {
		if all[i].Families == 0 || all[i].Families.Has(family) {
			continue
		}
		var some []ruleset.Option
		for _, o := range all {
			if o.Families == 0 || o.Families.Has(family) {
				some = append(some, o)
			}
		}
		return some
	}
	return all
}

// wordOption hands an option to its match or target.
func (p *specParser) wordOption(f found, invert bool) {
	args := p.value[:0]
	at := f.at
	if f.hasVal {
		args, at = append(args, f.val.text), f.val.at
	}
	switch f.option.NArgs {
	case 2:
		second, ok := p.scan.takeFollowing()
		if !ok {
			p.fatal(f.at, f.name, "needs two arguments", "")
			return
		}
		args = append(args, second.text)
	case ruleset.OptionalArg:
		if v, ok := p.scan.takeFollowing(); ok && !f.hasVal {
			args, at = append(args, v.text), v.at
		}
	}
	if invert && !f.option.Negate {
		p.fault(f.at, f.word.name, fmt.Sprintf("option %q cannot be inverted", "--"+f.option.Name), "remove the !")
		f.word.failed = true
		return
	}
	if len(args) == 0 {
		args = nil
	}
	if err := f.word.builder.Set(&p.env, f.option.Name, invert, args); err != nil {
		p.fault(at, f.word.name, err.Error(), "")
		f.word.failed = true
	}
}

// loadTarget adds the options of what -j names, unless it is a chain.
func (p *specParser) loadTarget(name arg) {
	if p.announced[name.text] && !standardTarget(name.text) {
		return
	}
	kind := target.Find(name.text, p.o.Family)
	if kind == nil {
		return
	}
	b := p.verdicts[kind]
	if b == nil {
		b = kind.New()
	}
	if standardTarget(kind.Name) {
		p.verdicts[kind] = b // it has no state
	}
	w := p.newWord()
	*w = word{name: kind.Name, kind: kind, options: optionsOf(kind.Options, p.o.Family), builder: b, target: b, at: name.at}
	p.c.target = w
	if len(w.options) > 0 {
		p.scan.words = append(p.scan.words, w)
	}
}

func standardTarget(name string) bool {
	return name == "ACCEPT" || name == "DROP" || name == "QUEUE" || name == "RETURN"
}

// finish does what do_parse() does after the last option.
func (p *specParser) finish() {
	c := p.c
	if p.table == "nat" && c.policy.text == "DROP" {
		p.fault(c.policy.at, "DROP", "the nat table is not for filtering", "drop in the filter or raw table")
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
		p.fault(a.at, a.text, "unknown argument after --", "remove it")
	case c.bits == 0:
		p.fault(0, "", "no command given", "a rule line begins with -A CHAIN")
	case p.scan.negated:
		p.fault(p.scan.args[len(p.scan.args)-1].at, "!", "nothing follows it", "put the option after it")
	}
	if f := c.legal(); f != nil {
		p.faults = append(p.faults, f)
	}
	if len(c.chain.text) > nameMax {
		p.fault(c.chain.at, c.chain.text, "chain name too long", fmt.Sprintf("at most %d characters", nameMax))
	}
	if f := c.misplaced(); f != nil {
		p.faults = append(p.faults, f)
	}
}

func (p *specParser) done(w *word) {
	if w.failed {
		return
	}
	if err := w.builder.Done(&p.env); err != nil {
		p.fault(w.at, w.name, err.Error(), "")
	}
}

// ruleNumber is parse_rulenumber().
func (p *specParser) ruleNumber(a arg) int {
	n, ok := strtoui(a.text, 1<<31-1)
	if !ok || n < 1 {
		p.fault(a.at, a.text, "invalid rule number", "rules count from 1")
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
