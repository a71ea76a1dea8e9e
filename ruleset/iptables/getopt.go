package iptables

import (
	"strings"
	"sync"

	"github.com/bpftables/bpftables/ruleset"
)

// argMode says whether an option takes an argument, as has_arg of getopt_long().
type argMode uint8

const (
	argNone argMode = iota
	argRequired
	argOptional
)

// longBase is one long option of the commands themselves (original_opts in
// iptables/iptables.c). Two names of one option have the same char.
type longBase struct {
	name string
	mode argMode
	char byte
}

var longBases = []longBase{
	{"append", argRequired, 'A'}, {"delete", argRequired, 'D'}, {"check", argRequired, 'C'},
	{"insert", argRequired, 'I'}, {"replace", argRequired, 'R'}, {"list", argOptional, 'L'},
	{"list-rules", argOptional, 'S'}, {"flush", argOptional, 'F'}, {"zero", argOptional, 'Z'},
	{"new-chain", argRequired, 'N'}, {"delete-chain", argOptional, 'X'},
	{"rename-chain", argRequired, 'E'}, {"policy", argRequired, 'P'},
	{"source", argRequired, 's'}, {"destination", argRequired, 'd'}, {"src", argRequired, 's'},
	{"dst", argRequired, 'd'}, {"protocol", argRequired, 'p'}, {"in-interface", argRequired, 'i'},
	{"jump", argRequired, 'j'}, {"table", argRequired, 't'}, {"match", argRequired, 'm'},
	{"numeric", argNone, 'n'}, {"out-interface", argRequired, 'o'}, {"verbose", argNone, 'v'},
	{"wait", argOptional, 'w'}, {"wait-interval", argOptional, 'W'}, {"exact", argNone, 'x'},
	{"fragments", argNone, 'f'}, {"version", argNone, 'V'}, {"help", argOptional, 'h'},
	{"line-numbers", argNone, '0'}, {"modprobe", argRequired, 'M'},
	{"set-counters", argRequired, 'c'}, {"goto", argRequired, 'g'}, {"ipv4", argNone, '4'},
	{"ipv6", argNone, '6'},
}

// shortMode is the option string (IPT_OPTSTRING in iptables/xshared.h); ok is false
// for a character that is no option.
func shortMode(c byte) (mode argMode, ok bool) {
	switch c {
	case 'A', 'C', 'D', 'E', 'I', 'M', 'N', 'P', 'R', 'c', 'd', 'g', 'i', 'j', 'm', 'o', 'p', 's', 't':
		return argRequired, true
	case 'F', 'L', 'S', 'W', 'X', 'Z', 'h', 'w':
		return argOptional, true
	case 'V', '4', '6', 'b', 'f', 'n', 'v', 'x':
		return argNone, true
	}
	return 0, false
}

// word is a match or target that is loaded for the rule being read: its options
// are in the table of getopt.
type word struct {
	name    string
	kind    any // *ruleset.MatchKind or *ruleset.TargetKind
	options []ruleset.Option
	builder ruleset.Builder
	at      int
	failed  bool // an option of it was refused
	used    []*ruleset.Option
	match   ruleset.MatchBuilder
	target  ruleset.TargetBuilder
}

// The codes of scanner.next that are no option characters.
const (
	codeEnd     = 0
	codePlain   = 1   // an argument that is no option
	codeWord    = 2   // an option of a word
	codeUnknown = '?' // no such option, or an ambiguous one
	codeMissing = ':' // its argument is missing
)

// found is one step of the scanner.
type found struct {
	code   byte
	at     int  // of the option
	val    arg  // its argument
	hasVal bool // there is one
	name   string
	word   *word
	option *ruleset.Option
	why    string // codeUnknown: what is wrong
}

// scanner is getopt_long() in its mode RETURN_IN_ORDER over the arguments of one
// command.
type scanner struct {
	args    []arg
	ind     int    // the next argument
	cluster string // what is left of a cluster of short options
	words   []*word
	negated bool
}

// next gives the next option or argument.
func (s *scanner) next() found {
	if s.cluster != "" {
		return s.short()
	}
	if s.ind >= len(s.args) {
		return found{code: codeEnd}
	}
	a := s.args[s.ind]
	if len(a.text) < 2 || a.text[0] != '-' {
		s.ind++
		return found{code: codePlain, at: a.at, val: a, hasVal: true}
	}
	if a.text[1] != '-' {
		s.cluster = a.text[1:]
		return s.short()
	}
	s.ind++
	if len(a.text) == 2 {
		return found{code: codeEnd}
	}
	return s.long(a)
}

// shortNames are "-A", "-B" and so on: made once, as long texts have many.
var shortNames = sync.OnceValue(func() *[256]string {
	var names [256]string
	for i := range names {
		names[i] = "-" + string([]byte{byte(i)})
	}
	return &names
})

// short takes one option of a cluster.
func (s *scanner) short() found {
	a := s.args[s.ind]
	c := s.cluster[0]
	f := found{code: c, at: a.at, name: shortNames()[c]}
	s.cluster = s.cluster[1:]
	mode, ok := shortMode(c)
	switch {
	case !ok:
		f.code, f.why = codeUnknown, "unknown option"
	case mode == argNone:
	case s.cluster != "":
		f.val, f.hasVal = arg{s.cluster, a.at + len(a.text) - len(s.cluster)}, true
		s.cluster = ""
	case mode == argRequired:
		s.ind++
		if f.val, f.hasVal = s.take(); !f.hasVal {
			f.code = codeMissing
		}
		return f
	}
	if s.cluster == "" {
		s.ind++
	}
	return f
}

// take takes the next argument whatever it is.
func (s *scanner) take() (arg, bool) {
	if s.ind >= len(s.args) {
		return arg{}, false
	}
	s.ind++
	return s.args[s.ind-1], true
}

// follows says whether the next argument can belong to the option before it:
// xs_has_arg() in iptables/xshared.c.
func (s *scanner) follows() bool {
	if s.ind >= len(s.args) {
		return false
	}
	t := s.args[s.ind].text
	return t == "" || t[0] != '-' && t[0] != '!'
}

// takeFollowing takes the next argument if it can belong to the option before it.
func (s *scanner) takeFollowing() (arg, bool) {
	if !s.follows() {
		return arg{}, false
	}
	return s.take()
}

// candidate is a long option that a name may mean.
type candidate struct {
	char   byte
	mode   argMode
	word   *word
	option *ruleset.Option
}

func (s *scanner) long(a arg) found {
	name, value, hasValue := strings.Cut(a.text[2:], "=")
	f := found{at: a.at, name: "--" + name}
	c, why := s.lookup(name)
	if why != "" {
		f.code, f.why = codeUnknown, why
		return f
	}
	f.code, f.word, f.option = c.char, c.word, c.option
	if c.word != nil {
		f.code = codeWord
	}
	if hasValue {
		if c.mode == argNone {
			f.code, f.why = codeUnknown, "takes no argument"
			return f
		}
		f.val, f.hasVal = arg{value, a.at + len(a.text) - len(value)}, true
		return f
	}
	if c.mode == argRequired {
		if f.val, f.hasVal = s.take(); !f.hasVal {
			f.code = codeMissing
		}
	}
	return f
}

// lookup finds a long option: by its exact name, the options of the commands first
// and then those of the words, last loaded first; else by an abbreviation that only
// one option has.
func (s *scanner) lookup(name string) (candidate, string) {
	for i := range longBases {
		if longBases[i].name == name {
			return candidate{char: longBases[i].char, mode: longBases[i].mode}, ""
		}
	}
	for i := len(s.words) - 1; i >= 0; i-- {
		w := s.words[i]
		for j := range w.options {
			if w.options[j].Name == name {
				return wordCandidate(w, &w.options[j]), ""
			}
		}
	}
	return s.abbreviated(name)
}

func (s *scanner) abbreviated(name string) (candidate, string) {
	var got candidate
	var names []string
	same := true
	add := func(c candidate, full string) {
		if len(names) == 0 {
			got = c
		} else if c.char != got.char || c.option != got.option || c.mode != got.mode {
			same = false
		}
		names = append(names, "--"+full)
	}
	for _, b := range longBases {
		if strings.HasPrefix(b.name, name) {
			add(candidate{char: b.char, mode: b.mode}, b.name)
		}
	}
	for i := len(s.words) - 1; i >= 0; i-- {
		w := s.words[i]
		for j := range w.options {
			if strings.HasPrefix(w.options[j].Name, name) {
				add(wordCandidate(w, &w.options[j]), w.options[j].Name)
			}
		}
	}
	switch {
	case len(names) == 0:
		return candidate{}, "unknown option"
	case !same:
		return candidate{}, "ambiguous option; it may be " + strings.Join(names, " or ")
	}
	return got, ""
}

func wordCandidate(w *word, o *ruleset.Option) candidate {
	mode := argRequired
	switch o.NArgs {
	case 0:
		mode = argNone
	case ruleset.OptionalArg:
		mode = argOptional
	}
	return candidate{mode: mode, word: w, option: o}
}
