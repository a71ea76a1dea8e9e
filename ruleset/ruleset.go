// Package ruleset is the model of what was written: tables, chains and rules with
// their matches, targets and positions.
//
// In: the readers (ruleset/iptables) build it, one value per family. Out: printers
// write it back, interp runs it, translate turns it into a plan. A Ruleset says
// what the text says, no more; Check refuses what netfilter would refuse.
package ruleset

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// Pos is a place in a file. Line and Col count from 1; 0 means unknown.
type Pos struct {
	File      string
	Line, Col int
}

// String is FILE:LINE:COL, without the parts that are not known.
func (p Pos) String() string {
	if p.Line <= 0 {
		return p.File
	}
	var room [64]byte
	b := strconv.AppendInt(append(append(room[:0], p.File...), ':'), int64(p.Line), 10)
	if p.Col > 0 {
		b = strconv.AppendInt(append(b, ':'), int64(p.Col), 10)
	}
	return string(b)
}

// Error is a fault of the input: position, thing, what is wrong, what would do.
type Error struct {
	Pos   Pos
	Thing string // the option, match, target or chain it is about
	What  string // what is wrong
	Fix   string // what would do; may be empty
	Cause error  // what else is known of the fault; may be nil
}

// Unwrap gives what else is known of the fault.
func (e *Error) Unwrap() error { return e.Cause }

// Error formats as "FILE:LINE:COL: thing: what is wrong; what would do".
func (e *Error) Error() string {
	s := e.Pos.String()
	for _, part := range []string{shown(e.Thing), printable(e.What)} {
		if part == "" {
			continue
		}
		if s != "" {
			s += ": "
		}
		s += part
	}
	if e.Fix != "" {
		s += "; " + e.Fix
	}
	return s
}

// shownMax is how much of a word an error repeats.
const shownMax = 250

// shown is a word of a text as an error may show it: not longer than a few lines.
func shown(s string) string {
	if len(s) > shownMax {
		s = strings.ToValidUTF8(s[:shownMax], "") + "..."
	}
	return printable(s)
}

// printable gives what a terminal prints as it is: a text may hold anything, escape sequences
// included.
func printable(s string) string {
	odd := func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }
	if utf8.ValidString(s) && !strings.ContainsFunc(s, odd) {
		return s
	}
	return strconv.Quote(s)
}

// Counters are packets and bytes.
type Counters struct{ Packets, Bytes uint64 }

// Ruleset is the tables of one family, in the order in which they were first named.
type Ruleset struct {
	Family packet.Family
	Tables []*Table
	Sets   []*Set
}

// Table finds a table by name; nil when there is none.
func (r *Ruleset) Table(name string) *Table {
	for _, t := range r.Tables {
		if t.Name == name {
			return t
		}
	}
	return nil
}

// Table is the chains of one owner for one family: chains jump to chains of their own
// table. iptables' tables have their base chains first, in the order of hooks.
type Table struct {
	Family packet.Family
	Name   string
	Owner  string // the frontend that made it, and alone changes it
	Chains []*Chain
	Pos    Pos
	index  map[string]*Chain
	bases  []*Base
}

// Chain finds a chain by name; nil when there is none.
func (t *Table) Chain(name string) *Chain {
	if len(t.index) != len(t.Chains) {
		t.index = make(map[string]*Chain, len(t.Chains))
		for _, c := range t.Chains {
			t.index[c.Name] = c
		}
	}
	return t.index[name]
}

// AddChain appends a chain.
func (t *Table) AddChain(c *Chain) {
	t.Chains = append(t.Chains, c)
	t.index, t.bases = nil, nil
}

// RemoveChain removes a chain.
func (t *Table) RemoveChain(c *Chain) {
	for i, have := range t.Chains {
		if have == c {
			t.Chains = append(t.Chains[:i:i], t.Chains[i+1:]...)
			break
		}
	}
	t.index, t.bases = nil, nil
}

// Chain is a list of rules. Counters are those of the policy.
type Chain struct {
	Name     string
	Base     *Base // nil: packets come by jumps alone
	Counters Counters
	Rules    []*Rule
	Pos      Pos
}

// BuiltIn says whether the chain belongs to a hook.
func (c *Chain) BuiltIn() bool { return c.Base != nil }

// Rule is one line: conditions and effects in written order, which is the order in which
// they are asked and come about. It holds the conditions up to the first effect, that
// effect, and in Then what stands behind it. A rule of iptables has one effect, its target,
// at its end; Matches hold -s, -d, -i, -o, -p and -f first, in that order, then the others
// as written.
type Rule struct {
	Pos      Pos
	Matches  []Match
	Target   Target // nil: the rule only counts
	Goto     bool   // -g instead of -j
	Counters Counters
	Source   uint64 // of the text that it was read from; 0: not known (Loader.Same)
	Then     *Rule  // what is written behind the effect; nil: nothing
}

// Match is one condition of a rule: a word after -m, or one of the base options.
type Match interface {
	// Word is the name after -m; for a base option it is the option, "-s".
	Word() string
	// Args is the text that iptables-save prints, from "-m word" on, split at the
	// spaces that separate arguments (an argument that needs quotes is not quoted).
	Args() []string
	// Check refuses what netfilter's kernel side refuses in this place.
	Check(in *Place) error
	// Eval says what netfilter answers for a packet: the readable statement.
	Eval(f *packet.Facts) pred.Answer
	// Lower gives the same meaning in predicates.
	Lower(in *Place) pred.Pred
}

// Target is what -j or -g names.
type Target interface {
	// Word is the name after -j.
	Word() string
	// Args is the text after -j, the name included.
	Args() []string
	// Check refuses what netfilter's kernel side refuses in this place.
	Check(in *Place) error
	// Lower gives the action.
	Lower(in *Place) pred.Action
}

// Verdict is a target that is one of netfilter's own verdicts.
type Verdict interface {
	// EndsChain says whether no packet goes on behind a rule with the target that it matches.
	EndsChain() bool
}

// Place is where a rule stands, as far as matches and targets depend on it.
type Place struct {
	Family packet.Family
	Bases  []*Base // of the table, see Table.Bases
	Hooks  uint8   // 1 << packet.Hook: the hooks from which the chain can be reached
	Rule   *Rule
}

// At says whether the chain can be reached from the hook.
func (p *Place) At(h packet.Hook) bool { return p.Hooks&(1<<h) != 0 }

// Action gives the action of the rule: Continue when it has no target.
func (p *Place) Action() pred.Action {
	if p.Rule.Target == nil {
		return pred.Action{Op: pred.Continue}
	}
	return p.Rule.Target.Lower(p)
}

// Proto gives the protocol that -p of the rule names; negate is set for "! -p".
// named is false without -p.
func (p *Place) Proto() (proto uint8, negate, named bool) {
	for _, m := range p.Rule.Matches {
		if pm, ok := m.(interface{ Protocol() (uint8, bool) }); ok {
			proto, negate = pm.Protocol()
			return proto, negate, true
		}
	}
	return 0, false, false
}
