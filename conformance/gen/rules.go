package gen

import (
	"regexp"
	"slices"
	"strings"
)

// option is one option of a rule with its arguments.
type option struct {
	match  string // the word after -m that it belongs to; empty: base options
	name   string
	negate bool
	args   []string
}

// rule is one line of iptables-save.
type rule struct {
	table, chain string
	options      []option
	target       string
}

// rules reads the lines of iptables-save that are rules.
func rules(text string) []rule {
	var out []rule
	table := ""
	for _, line := range strings.Split(text, "\n") {
		if name, ok := strings.CutPrefix(line, "*"); ok {
			table = strings.TrimSpace(name)
		}
		if i := strings.Index(line, "-A "); i == 0 || i > 0 && line[0] == '[' {
			out = append(out, readRule(table, words(line[i+3:])))
		}
	}
	return out
}

// words splits a line as the shell would: quotes group, backslashes quote.
func words(line string) []string {
	var out []string
	var w strings.Builder
	in, quoted := false, false
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case c == '\\' && quoted && i+1 < len(line):
			i++
			w.WriteByte(line[i])
		case c == '"':
			quoted, in = !quoted, true
		case (c == ' ' || c == '\t') && !quoted:
			if in {
				out = append(out, w.String())
				w.Reset()
			}
			in = false
		default:
			in = true
			w.WriteByte(c)
		}
	}
	if in {
		out = append(out, w.String())
	}
	return out
}

func readRule(table string, w []string) rule {
	r := rule{table: table}
	if len(w) > 0 {
		r.chain = w[0]
	}
	match, negate := "", false
	for i := 1; i < len(w); i++ {
		switch {
		case w[i] == "!":
			negate = true
			continue
		case w[i] == "-m" && i+1 < len(w):
			i++
			match = w[i]
		case (w[i] == "-j" || w[i] == "-g") && i+1 < len(w):
			r.target = w[i+1]
			return r
		case strings.HasPrefix(w[i], "-"):
			o := option{match: match, name: w[i], negate: negate}
			for i+1 < len(w) && w[i+1] != "!" && !strings.HasPrefix(w[i+1], "-") {
				i++
				o.args = append(o.args, w[i])
			}
			r.options = append(r.options, o)
		}
		negate = false
	}
	return r
}

var interfaceOption = regexp.MustCompile(`(?:^|\s)(?:-i|-o|--in-interface|--out-interface)\s+(?:!\s*)?(\S+)`)

// Interfaces are the interfaces that a text names, at most max, and at least eth0
// and eth1. A name with a final + stands for itself with a 0 instead.
func Interfaces(text string, max int) []string {
	var names []string
	add := func(n string) {
		if n != "" && n != "lo" && !slices.Contains(names, n) && len(names) < max {
			names = append(names, n)
		}
	}
	for _, m := range interfaceOption.FindAllStringSubmatch(text, -1) {
		if n := concrete(m[1]); validName(n) {
			add(n)
		}
	}
	for _, n := range []string{"eth0", "eth1"} {
		if len(names) < 2 {
			add(n)
		}
	}
	return names
}

// concrete is a name that the pattern matches.
func concrete(pattern string) string {
	n, any := strings.CutSuffix(strings.Trim(pattern, `"'`), "+")
	if !any {
		return n
	}
	if n == "" {
		return "eth0"
	}
	if len(n) < 15 {
		return n + "0"
	}
	return n
}

// validName is dev_valid_name() (net/core/dev.c).
func validName(n string) bool {
	return n != "" && len(n) <= 15 && n != "." && n != ".." && !strings.ContainsAny(n, "/: \t%")
}
