package face

import (
	"fmt"
	"io"
	"time"

	"github.com/bpftables/bpftables/compat/beside"
	"github.com/bpftables/bpftables/compat/lock"
	"github.com/bpftables/bpftables/engine/apply"
	"github.com/bpftables/bpftables/ruleset/iptables"
)

// command is iptables and ip6tables.
func (p *process) command(args []string) int {
	argv, err := iptables.ParseArgv(args, iptables.Options{Family: p.Family, Resolver: p.Resolver()})
	if argv != nil && argv.Interval {
		fmt.Fprintln(p.Err, "Ignoring deprecated --wait-interval option.")
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
	held, err := lock.Acquire(wait(argv.Waits, argv.Wait), p.Caller)
	if err != nil {
		return p.fail(err)
	}
	defer held.Release()
	code := exitOK
	err = p.engines(p.Family, p.Caller, func(e *apply.Engine) error {
		b, err := beside.Look(e, p.Caller, argv.Table)
		if err != nil {
			return err
		}
		t, err := b.Runner()
		if err != nil {
			return err
		}
		if t != nil {
			code, err = t.Run(p.Caller, args)
			return err
		}
		if argv.Changes {
			b.WarnBoth()
		}
		return p.run(e, argv)
	})
	if p.Dialect == Legacy || err == nil {
		p.told.WriteTo(p.Out)
	}
	if err != nil {
		return p.fail(err)
	}
	return code
}

// run does what a command says: on live counters where it reads, as a change where it changes.
func (p *process) run(e *apply.Engine, argv *iptables.Argv) error {
	if argv.Lists || !argv.Changes {
		o := iptables.Options{Resolver: p.Resolver(), Output: p.Out, Told: &p.told}
		live, err := e.Current()
		if err != nil {
			return err
		}
		if live != nil {
			o.Base = live
		}
		if _, _, err := argv.Run(o); err != nil || !argv.Changes {
			return err
		}
	}
	return e.Restore(&apply.Request{Argv: argv, NoFlush: true, Output: io.Discard, Told: &p.told})
}

// wait is how long the lock is waited for.
func wait(waits bool, seconds int) time.Duration {
	if waits && seconds < 0 {
		return lock.Forever
	}
	return time.Duration(seconds) * time.Second
}
