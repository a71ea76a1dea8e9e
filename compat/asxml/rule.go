package asxml

import (
	"slices"
	"strings"

	"github.com/bpftables/bpftables/ruleset/iptables"
)

// rule takes a line "[PACKETS:BYTES] -A CHAIN CONDITIONS ACTION".
func (w *writer) rule(line string, number int) error {
	counters, rest, err := countersOf(line, number)
	if err != nil {
		return err
	}
	words, err := iptables.Words(rest)
	if err != nil {
		return misread(number, "%s", err)
	}
	at := slices.IndexFunc(words, func(a iptables.Word) bool { return a.Text == "-A" })
	if at < 0 || at+1 >= len(words) {
		return failed("%s: line %d failed - no chain found", program, number)
	}
	w.enter(words[at+1].Text)
	conditions := len(words) > 2 && !toTarget(words[2].Text)
	if w.o.Combine && conditions && alike(words, w.last) {
		w.comment("", "Combine action from next rule")
	} else {
		w.openRule(counters, words, conditions)
	}
	if !w.inRule {
		w.out.WriteString("       <actions>\n")
		w.inRule = true
	}
	w.part(words, action)
	w.last = words
	return nil
}

// openRule begins a rule, with its conditions.
func (w *writer) openRule(counters []string, words []iptables.Word, conditions bool) {
	w.closeRule()
	w.out.WriteString("      <rule ")
	if counters != nil {
		w.attribute("packet-count", counters[0])
		w.attribute("byte-count", counters[1])
	}
	w.out.WriteString(">\n")
	if conditions {
		w.out.WriteString("       <conditions>\n")
		w.part(words, condition)
		w.out.WriteString("       </conditions>\n")
	}
}

func (w *writer) closeRule() {
	if w.inRule {
		w.out.WriteString("       </actions>\n\n      </rule>\n\n")
	}
	w.inRule = false
}

// countersOf cuts "[PACKETS:BYTES]" off a line; nil: there are none.
func countersOf(line string, number int) (counters []string, rest string, err error) {
	if line[0] != '[' {
		return nil, line, nil
	}
	_, rest, ok := strings.Cut(line, "]")
	packets, after, colon := strings.Cut(strings.TrimLeft(line[1:], ":"), ":")
	bytes, _, _ := strings.Cut(strings.TrimLeft(after, "]"), "]")
	switch {
	case ok && packets == "":
		return nil, "", misread(number, "Bad line %d: need :", number)
	case !ok, !colon, bytes == "":
		return nil, "", misread(number, "Bad line %d: need ]", number)
	}
	return []string{packets, bytes}, rest, nil
}

// toTarget says whether a target or a chain follows a word.
func toTarget(word string) bool {
	return word == "-j" || word == "--jump" || word == "-g" || word == "--goto"
}

// toMatch says whether the name of a match follows a word.
func toMatch(word string) bool { return word == "-m" || word == "--module" }

// alike says whether a rule has the conditions of the one before, which does not end with its action.
func alike(words, last []iptables.Word) bool {
	for i := range min(len(words), len(last)) {
		was := last[i].Text
		if toTarget(was) && toTarget(words[i].Text) {
			if was == "-g" || was == "--goto" {
				return false
			}
			return i+1 == len(last) || !slices.Contains([]string{"ACCEPT", "DROP", "QUEUE", "RETURN"}, last[i+1].Text)
		}
		if was != words[i].Text {
			return false
		}
	}
	return false
}

// which says what of a rule is printed.
type which bool

const (
	condition which = false
	action    which = true
)

// part prints the conditions or the action of a rule: matches and targets are tags, their options are
// tags within, and what follows an option is its content.
func (w *writer) part(words []iptables.Word, what which) {
	p := &printer{writer: w, words: words, at: 2}
	if what == action {
		for p.at < len(words) && !p.target(p.at) {
			p.at++
		}
	}
	p.builtin()
	for ; p.at < len(words); p.at++ {
		if what == condition && p.target(p.at) || !p.word() {
			break
		}
	}
	p.closeInner()
	p.closeOuter()
}

// printer is what is open in a part.
type printer struct {
	*writer
	words        []iptables.Word
	at           int
	outer, inner []string // the tag that is open, if there is one: its name may be empty
	spacer       string   // before the next content
	invert       bool     // "!" stands before the next option
}

// target says whether "-j", "-g" stands there, not quoted.
func (p *printer) target(at int) bool { return !p.words[at].Quoted && toTarget(p.words[at].Text) }

// named says whether a target or a match begins there.
func (p *printer) named(at int) bool {
	return p.target(at) || !p.words[at].Quoted && toMatch(p.words[at].Text)
}

// begins says whether there is a word that begins with a hyphen.
func (p *printer) begins(at int) bool {
	return at < len(p.words) && strings.HasPrefix(p.words[at].Text, "-")
}

// builtin opens a tag for options that belong to no -m.
func (p *printer) builtin() {
	i := p.at
	if i < len(p.words) && p.words[i].Text == "!" {
		i++
	}
	if p.begins(i) && !toTarget(p.words[i].Text) && p.words[i].Text != "-m" {
		p.openOuter("match")
		p.out.WriteString(">\n")
	}
}

// word prints one word; false: it is the last, and is left out.
func (p *printer) word() bool {
	w := p.words[p.at]
	switch {
	case !w.Quoted && w.Text == "!":
		if p.begins(p.at + 1) {
			p.invert = true
		} else {
			p.out.WriteString(p.spacer + w.Text)
		}
		p.spacer = " "
	case p.named(p.at):
		if p.at+1 == len(p.words) {
			return false
		}
		p.name(w.Text)
	case !w.Quoted && strings.HasPrefix(w.Text, "-"):
		p.option(strings.TrimLeft(w.Text, "-"))
	default:
		p.content(w)
	}
	return true
}

// name prints what follows -m, -j or -g.
func (p *printer) name(after string) {
	p.closeInner()
	p.closeOuter()
	p.spacer, p.invert = "", false
	isTarget := p.target(p.at)
	p.at++
	name := p.words[p.at].Text
	if isTarget && p.declared(name) {
		tag := "call"
		if after == "-g" || after == "--goto" {
			tag = "goto"
		}
		p.openOuter(tag)
		p.out.WriteString(">\n          <" + name + " />\n")
		return
	}
	p.openOuter(name)
	if p.at+1 == len(p.words) || p.named(p.at+1) {
		p.out.WriteString(" />\n")
		p.outer = nil
	} else {
		p.out.WriteString(">\n")
	}
}

func (p *printer) option(tag string) {
	p.closeInner()
	p.spacer = ""
	p.inner = []string{tag}
	p.out.WriteString("          <" + tag + " ")
	if p.invert {
		p.out.WriteString(" invert=\"1\"")
	}
	p.invert = false
	if p.at+1 == len(p.words) || p.begins(p.at+1) {
		p.out.WriteString(" />\n")
		p.inner = nil
	} else {
		p.out.WriteString(">")
	}
}

func (p *printer) content(w iptables.Word) {
	quote := ""
	if w.Quoted || strings.Contains(w.Text, " ") {
		quote = "&quot;"
	}
	p.out.WriteString(p.spacer + quote)
	p.encoded(w.Text)
	p.out.WriteString(quote)
	p.spacer = " "
}

func (p *printer) openOuter(tag string) {
	p.outer = []string{tag}
	p.out.WriteString("        <" + tag + " ")
}

func (p *printer) closeOuter() {
	for _, tag := range p.outer {
		p.out.WriteString("        </" + tag + ">\n")
	}
	p.outer = nil
}

func (p *printer) closeInner() {
	for _, tag := range p.inner {
		p.out.WriteString("</" + tag + ">\n")
	}
	p.inner = nil
}
