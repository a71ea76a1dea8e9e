package ruleset

import "strings"

// Texter is a match or target whose printed text is not its Args joined by spaces:
// iptables-save puts some arguments in quotes, always or by need.
type Texter interface {
	// Text is what iptables-save prints for it, from "-m word" or "-j WORD" on.
	Text() string
}

// TextOf gives what iptables-save prints for a match or target: Text where there
// is one, else the arguments joined by spaces.
func TextOf(w interface{ Args() []string }) string {
	if t, ok := w.(Texter); ok {
		return t.Text()
	}
	return strings.Join(w.Args(), " ")
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
