package match

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// given remembers which options of a word were used, as the xflags of
// xtables_option_parse() (libxtables/xtoptions.c). Equal sets are one map, which is not
// changed any more: long rulesets use few of them.
type given map[string]bool

// givenSets are all sets of options that were used: those of one option by its name,
// all by their names in order.
var givenSets = struct {
	sync.Mutex
	one map[string]given
	all map[string]given
}{one: map[string]given{}, all: map[string]given{}}

// once notes an option; a second use is an error.
func (g *given) once(option string) error {
	if (*g)[option] {
		return ruleset.InWordsOf(fmt.Errorf("--%s is given twice; it can be used once", option), "option \"--%s\" can only be used once.\n", option)
	}
	g.take(option)
	return nil
}

// take notes an option that may be used again.
func (g *given) take(option string) {
	if (*g)[option] {
		return
	}
	givenSets.Lock()
	defer givenSets.Unlock()
	if len(*g) == 0 {
		if givenSets.one[option] == nil {
			givenSets.one[option] = given{option: true}
		}
		*g = givenSets.one[option]
		return
	}
	var roomNames [8]string
	var roomKey [128]byte
	names := append(roomNames[:0], option)
	for name := range *g {
		names = append(names, name)
	}
	slices.Sort(names)
	key := roomKey[:0]
	for _, name := range names {
		key = append(append(key, name...), ' ')
	}
	if givenSets.all[string(key)] == nil {
		set := given{}
		for _, name := range names {
			set[name] = true
		}
		givenSets.all[string(key)] = set
	}
	*g = givenSets.all[string(key)]
}

// tooShort is what iptables says of a name of no characters (xtopt_parse_string(), libxtables).
const tooShort = "Argument must have a minimum length of 1 characters\n"

// need refuses a word without the options that it must have.
func (g given) need(options ...string) error {
	for _, o := range options {
		if !g[o] {
			return ruleset.InWordsOf(fmt.Errorf("--%s is missing", o), "option \"--%s\" must be specified\n", o)
		}
	}
	return nil
}

// needOneOf refuses a word that has none of the options.
func (g given) needOneOf(options ...string) error {
	for _, o := range options {
		if g[o] {
			return nil
		}
	}
	return fmt.Errorf("one of --%s is needed", strings.Join(options, ", --"))
}

// notBoth refuses two options that exclude each other.
func (g given) notBoth(a, b string) error {
	if g[a] && g[b] {
		return ruleset.InWordsOf(fmt.Errorf("--%s and --%s cannot be used together", a, b),
			"option \"--%s\" cannot be used together with \"--%s\".\n", a, b)
	}
	return nil
}

// also refuses an option without another one that it needs.
func (g given) also(option, other string) error {
	if g[option] && !g[other] {
		return ruleset.InWordsOf(fmt.Errorf("--%s also needs --%s", option, other), "option \"--%s\" also requires \"--%s\".\n", option, other)
	}
	return nil
}

// bang is the "!" that stands before a negated option, as a list to append.
func bang(negate bool) []string {
	if negate {
		return []string{"!"}
	}
	return nil
}

// appendBang appends "! " before a negated option.
func appendBang(b []byte, negate bool) []byte {
	if negate {
		return append(b, "! "...)
	}
	return b
}

// nameIn finds the first name of a list of which s is a prefix, without regard to
// case, as strncasecmp(s, name, length of s) does; -1: none, or s is empty.
func nameIn(names []string, s string) int {
	if s == "" {
		return -1
	}
	for i, name := range names {
		if len(s) <= len(name) && strings.EqualFold(name[:len(s)], s) {
			return i
		}
	}
	return -1
}

// onlyAt refuses a word in a chain that can be reached from other hooks than
// those of its struct xt_match (xt_check_match(), net/netfilter/x_tables.c).
func onlyAt(in *ruleset.Place, hooks ...packet.Hook) error {
	names := make([]string, len(hooks))
	rest := in.Hooks
	for i, h := range hooks {
		rest &^= 1 << h
		names[i] = h.String()
	}
	for h := packet.Prerouting; h <= packet.Postrouting; h++ {
		if rest&(1<<h) != 0 {
			return fmt.Errorf("the chain is reached from %s, where it cannot be used; use it in %s", h, strings.Join(names, ", "))
		}
	}
	return nil
}

// notAt refuses an option in a chain that can be reached from one of the hooks.
func notAt(in *ruleset.Place, option string, hooks ...packet.Hook) error {
	for _, h := range hooks {
		if in.At(h) {
			return fmt.Errorf("--%s: the chain is reached from %s, where it cannot be used", option, h)
		}
	}
	return nil
}

// answer turns a comparison and its negation into an Answer.
func answer(yes, negate bool) pred.Answer { return pred.Bool(yes != negate) }
