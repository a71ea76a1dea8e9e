package face

import (
	"errors"
	"fmt"

	"github.com/bpftables/bpftables/compat/asxml"
)

var xmlOptions = []option{{'v', "verbose", noArg}, {'c', "combine", noArg}, {'h', "help", noArg}}

// xml is iptables-xml (iptables_xml_main(), iptables/iptables-xml.c).
func (p *process) xml(args []string) int {
	var o asxml.Options
	g := &getopt{program: p.Name, options: xmlOptions, args: args}
	for {
		opt, err := g.next()
		if err != nil {
			fmt.Fprintln(p.Err, err) // and it goes on
			continue
		}
		if opt == nil {
			break
		}
		switch opt.short {
		case 'c':
			o.Combine = true
		case 'v':
			fmt.Fprintln(p.Out, "xptables-xml")
			o.Verbose = true
		case 'h':
			fmt.Fprintf(p.Err, "Usage: %s [-c] [-v] [-h]\n          [--combine ]\n\t   [ --verbose ]\n\t   [ --help ]\n", p.shown())
			return exitOther
		}
	}
	text, said := p.textOf(g.rest)
	if text == nil {
		fmt.Fprint(p.Err, said)
		return exitOther
	}
	defer text.Close()
	err := asxml.Write(p.Out, text, o)
	var fault *asxml.Fault
	switch {
	case !errors.As(err, &fault):
		return p.fail(err)
	case fault.Line != 0:
		fmt.Fprintf(p.Err, "%s v%s: %s\n", p.shown(), Version, fault)
		return p.tryHelp(fault.Line)
	}
	fmt.Fprintln(p.Err, fault)
	return exitOther
}
