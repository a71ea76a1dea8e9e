package ruleset

import "strings"

// Texter is a match or target whose printed text is not its Args joined by spaces:
// iptables-save puts some arguments in quotes, always or by need.
type Texter interface {
	// Text is what iptables-save prints for it, from "-m word" or "-j WORD" on.
	Text() string
}

// Appender is a match or target that prints without making a string: those that long
// rulesets have in every rule.
type Appender interface {
	// AppendText appends what iptables-save prints for it to b.
	AppendText(b []byte) []byte
}

// Exact is a match or target that iptables-save may print with loss, or with a name that
// another file than the ruleset gives a meaning to.
type Exact interface {
	// ExactArgs are words that read, by iptables too, to the very same match or target,
	// from "-m word" or "-j WORD" on as Args. Numbers stand for names. nil: Args do.
	ExactArgs() []string
}

// ExactArgsOf gives the words that read to the very same match or target.
func ExactArgsOf(w interface{ Args() []string }) []string {
	if e, ok := w.(Exact); ok {
		if args := e.ExactArgs(); args != nil {
			return args
		}
	}
	return w.Args()
}

// TextOf gives what iptables-save prints for a match or target: Text where there
// is one, else the arguments joined by spaces.
func TextOf(w interface{ Args() []string }) string {
	switch t := w.(type) {
	case Texter:
		return t.Text()
	case Appender:
		return string(t.AppendText(nil))
	}
	return strings.Join(w.Args(), " ")
}

// AppendTextOf appends TextOf to b.
func AppendTextOf(b []byte, w interface{ Args() []string }) []byte {
	if t, ok := w.(Appender); ok {
		return t.AppendText(b)
	}
	return append(b, TextOf(w)...)
}

// WordsOf splits a printed text at its spaces: the Args of an Appender whose arguments
// have none.
func WordsOf(text []byte) []string {
	if len(text) == 0 {
		return nil
	}
	return strings.Split(string(text), " ")
}

// Quoted is the argument as xtables_save_string() of libxtables prints it: bare if
// it has letters, digits, '_' and '-' only, else in double quotes with \ before
// quotes, apostrophes and backslashes.
func Quoted(arg string) string {
	bare := arg != ""
	for i := 0; i < len(arg) && bare; i++ {
		c := arg[i]
		bare = c == '_' || c == '-' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
	}
	if bare {
		return arg
	}
	return `"` + escape.Replace(arg) + `"`
}

var escape = strings.NewReplacer(`"`, `\"`, `\`, `\\`, `'`, `\'`)
