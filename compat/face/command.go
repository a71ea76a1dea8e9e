package face

import (
	"fmt"

	"github.com/bpftables/bpftables/compat/beside"
	"github.com/bpftables/bpftables/engine/apply"
	"github.com/bpftables/bpftables/ruleset/iptables"
)

// command is iptables and ip6tables.
func (p *process) command(args []string) int {
	argv, err := iptables.ParseArgv(args, iptables.Options{Family: p.Family, Resolver: p.Resolver()})
	if argv.Interval {
		fmt.Fprintln(p.Err, "Ignoring deprecated --wait-interval option.")
	}
	for _, text := range argv.Warnings {
		p.warn(text)
	}
	switch {
	case err != nil:
		return p.fail(err)
	case argv.Version:
		fmt.Fprintln(p.Out, p.version())
		return exitOK
	case argv.Help:
		p.help(argv)
		return exitOK
	}
	held, err := p.acquire(argv.Wait)
	if err != nil {
		return p.fail(err)
	}
	defer held.Release()
	code := exitOK
	err = p.engines(p.Family, p.Caller, func(e *apply.Engine) error {
		code, err = beside.Rule(e, p.Caller, argv, args, p.how())
		return err
	})
	if err != nil {
		code = p.fail(err)
	}
	if p.Dialect == Legacy || err == nil {
		p.told.WriteTo(p.Out) // behind the message, as where the C library holds it back until the end
	}
	return code
}

// warn prints what iptables warns of.
func (p *process) warn(text string) { fmt.Fprintln(p.Err, text) }

// how is how commands are run: without warnings of our own, as callers such as Docker take all that
// a command prints for a failure.
func (p *process) how() beside.How {
	return beside.How{Quiet: p.Getenv(VerboseEnv) == "", Told: &p.told}
}
