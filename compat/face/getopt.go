package face

import (
	"fmt"
	"strings"
)

// option is an option of a program, as getopt_long() knows them.
type option struct {
	short byte // 0: none
	long  string
	arg   int // noArg, needsArg, mayHaveArg
}

const (
	noArg = iota
	needsArg
	mayHaveArg
)

// given is an option with its argument.
type given struct {
	*option
	value string
	has   bool
}

// getopt reads arguments as getopt_long() of the C library does: options may stand behind other
// arguments, long ones may be shortened. The error is worded as there.
type getopt struct {
	program string
	options []option
	args    []string
	rest    []string // what is no option
	cluster string   // what is left of a cluster of short options
}

// next gives the next option; nil at the end.
func (g *getopt) next() (*given, error) {
	for g.cluster == "" {
		if len(g.args) == 0 {
			return nil, nil
		}
		arg := g.args[0]
		g.args = g.args[1:]
		switch {
		case arg == "--":
			g.rest, g.args = append(g.rest, g.args...), nil
		case strings.HasPrefix(arg, "--"):
			return g.long(arg[2:])
		case len(arg) > 1 && arg[0] == '-':
			g.cluster = arg[1:]
		default:
			g.rest = append(g.rest, arg)
		}
	}
	return g.short()
}

func (g *getopt) short() (*given, error) {
	c := g.cluster[0]
	g.cluster = g.cluster[1:]
	for i := range g.options {
		o := &g.options[i]
		if o.short != c {
			continue
		}
		out := &given{option: o}
		if o.arg == noArg {
			return out, nil
		}
		if g.cluster != "" {
			out.value, out.has, g.cluster = g.cluster, true, ""
			return out, nil
		}
		if o.arg == needsArg {
			if len(g.args) == 0 {
				return nil, g.fault("option requires an argument -- '%c'", c)
			}
			out.value, out.has, g.args = g.args[0], true, g.args[1:]
		}
		return out, nil
	}
	return nil, g.fault("invalid option -- '%c'", c)
}

func (g *getopt) long(text string) (*given, error) {
	name, value, has := strings.Cut(text, "=")
	o, err := g.find(name)
	if err != nil {
		return nil, err
	}
	switch {
	case has && o.arg == noArg:
		return nil, g.fault("option '--%s' doesn't allow an argument", o.long)
	case !has && o.arg == needsArg:
		if len(g.args) == 0 {
			return nil, g.fault("option '--%s' requires an argument", o.long)
		}
		value, has, g.args = g.args[0], true, g.args[1:]
	}
	return &given{o, value, has}, nil
}

// find finds a long option by its name or the beginning of it.
func (g *getopt) find(name string) (*option, error) {
	var found []*option
	for i := range g.options {
		switch o := &g.options[i]; {
		case o.long == name:
			return o, nil
		case strings.HasPrefix(o.long, name):
			found = append(found, o)
		}
	}
	switch len(found) {
	case 0:
		return nil, g.fault("unrecognized option '--%s'", name)
	case 1:
		return found[0], nil
	}
	text := fmt.Sprintf("option '--%s' is ambiguous; possibilities:", name)
	for _, o := range found {
		text += fmt.Sprintf(" '--%s'", o.long)
	}
	return nil, g.fault("%s", text)
}

// takeFollowing takes the next argument, if it is none that begins with '-' or "!"
// (xs_has_arg(), iptables/xshared.c).
func (g *getopt) takeFollowing() (string, bool) {
	if g.cluster != "" || len(g.args) == 0 || strings.HasPrefix(g.args[0], "-") || strings.HasPrefix(g.args[0], "!") {
		return "", false
	}
	arg := g.args[0]
	g.args = g.args[1:]
	return arg, true
}

func (g *getopt) fault(format string, args ...any) error {
	return fmt.Errorf("%s: %s", g.program, fmt.Sprintf(format, args...))
}
