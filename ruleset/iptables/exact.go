package iptables

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
)

// Exact gives the words after "-A CHAIN" that read to the very same rule, one after the
// other with a zero byte between them, or nil where spec, which AppendSpec gave for it,
// reads to it: iptables-save prints some rules with loss (ruleset.Exact), and others in a
// form that reads otherwise, such as names with blanks without quotes.
//
// A Loader takes what ends with -j or -g and the name of a chain for a jump. A rule that
// ends so without being one begins with an empty word; isChain tells the names.
func Exact(r *ruleset.Rule, spec []byte, isChain func(name string) bool) []byte {
	var all []string
	if plain := !lossy(r) && (r.Source != 0 && r.Source == hashOf(spec) || readsTo(spec, words(r))); !plain {
		all = words(r)
	}
	if _, jumps := jumpChain(r.Target); !jumps && looksLikeJump(spec, all, isChain) {
		all = append([]string{""}, words(r)...)
	}
	if all == nil {
		return nil
	}
	return []byte(strings.Join(all, wordEnd))
}

// wordEnd separates the words of a rule: no argument of a program has one.
const wordEnd = "\x00"

// lossy says whether a word of the rule has other words than it prints.
func lossy(r *ruleset.Rule) bool {
	for _, m := range r.Matches {
		if e, ok := m.(ruleset.Exact); ok && e.ExactArgs() != nil {
			return true
		}
	}
	e, ok := r.Target.(ruleset.Exact)
	return ok && e.ExactArgs() != nil
}

func words(r *ruleset.Rule) []string {
	out := []string{}
	for _, m := range r.Matches {
		out = append(out, ruleset.ExactArgsOf(m)...)
	}
	if r.Target != nil {
		out = append(append(out, strings.TrimSpace(jumpOption(r))), ruleset.ExactArgsOf(r.Target)...)
	}
	return out
}

// readsTo says whether a text is cut into some words.
func readsTo(text []byte, want []string) bool {
	got, f := cutArgs(nil, string(text), 0)
	return f == nil && slices.EqualFunc(got, want, func(a arg, w string) bool { return a.text == w })
}

// looksLikeJump says whether a text, or the words that stand for it, end as a jump does.
func looksLikeJump(spec []byte, words []string, isChain func(string) bool) bool {
	if n := len(words); n >= 2 && isJumpOption(words[n-2]) && isChain(words[n-1]) {
		return true
	}
	at := bytes.LastIndexByte(spec, ' ')
	if at < 2 || !isJumpOption(string(spec[at-2:at])) {
		return false
	}
	name := string(spec[at+1:])
	return !standardTarget(name) && isChain(name)
}

func isJumpOption(word string) bool { return word == "-j" || word == "-g" }

// ExactLine is the line that makes iptables-restore read the very same rule, without
// its newline.
func ExactLine(r *ruleset.Rule, chain string) (string, error) {
	r = withoutBrokenRemarks(r)
	exact := Exact(r, AppendSpec(nil, r), func(string) bool { return false })
	if exact == nil {
		return PrintRule(r, chain), nil
	}
	spec := ""
	for _, w := range strings.Split(string(exact), wordEnd) {
		if strings.Contains(w, "\n") {
			return "", &ruleset.Error{Pos: r.Pos, Thing: fmt.Sprintf("%q", w),
				What: "has a line break, and the table is left to netfilter, whose iptables-restore reads line by line", Fix: "take it out"}
		}
		spec += " " + quotedArg(w)
	}
	line := "-A " + chain + spec
	if !readsTo([]byte(spec), strings.Split(string(exact), wordEnd)) || len(line) >= chunkMax {
		return "", &ruleset.Error{Pos: r.Pos, Thing: "rule",
			What: "has more or longer arguments than iptables-restore reads, and the table is left to netfilter", Fix: "split it"}
	}
	return line, nil
}

// withoutBrokenRemarks leaves out comments that no line can have: the rule does the same
// without them.
func withoutBrokenRemarks(r *ruleset.Rule) *ruleset.Rule {
	broken := func(m ruleset.Match) bool {
		return ruleset.IsRemark(m) && slices.ContainsFunc(m.Args(), func(a string) bool { return strings.Contains(a, "\n") })
	}
	if !slices.ContainsFunc(r.Matches, broken) {
		return r
	}
	out := *r
	out.Matches, out.Source = slices.DeleteFunc(slices.Clone(r.Matches), broken), 0
	return &out
}

// quotedArg is an argument as add_param_to_argv() in iptables/xshared.c takes it.
func quotedArg(a string) string {
	if a != "" && !strings.ContainsAny(a, " \t\"'\\") {
		return a
	}
	return `"` + strings.NewReplacer(`"`, `\"`, `\`, `\\`).Replace(a) + `"`
}

// key is a text that two rules share when they are the same but for their counters.
func key(r *ruleset.Rule) string {
	spec := AppendSpec(nil, r)
	if exact := Exact(r, spec, func(string) bool { return false }); exact != nil {
		return "\x00" + string(exact)
	}
	return string(spec)
}
