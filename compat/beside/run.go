package beside

import (
	"io"

	"github.com/bpftables/bpftables/compat/caller"
	"github.com/bpftables/bpftables/engine/apply"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables"
)

// How says how a command is run.
type How struct {
	Quiet bool      // no warning of rules that the tools hold beside us
	Told  io.Writer // takes what -v tells; nil: nothing is told
	// Emptied is Request.Emptied; helpers: the text has helpers of ours, which were passed over.
	Emptied func(tables []string, helpers bool) error
}

// Rule does what one command line of iptables says: itself, or by the tool that holds the table
// alone, which is given args and the caller's streams. code is the tool's exit code.
func Rule(e *apply.Engine, c *caller.Caller, argv *iptables.Argv, args []string, how How) (code int, err error) {
	b, err := Look(e, c, argv.Table)
	if err != nil {
		return 0, err
	}
	t, err := b.Runner()
	if err != nil {
		return 0, err
	}
	if t != nil {
		return t.Run(c, args)
	}
	if !how.Quiet {
		b.WarnBoth()
	}
	// What reads is run on live counters.
	if argv.Lists || !argv.Changes {
		o := iptables.Options{Resolver: c.Resolver(), Output: c.Out, Told: how.Told}
		if err := e.Read(argv, o); err != nil || !argv.Changes {
			return 0, err
		}
	}
	return 0, e.Restore(&apply.Request{Argv: argv, NoFlush: true, Output: io.Discard, Told: how.Told})
}

// Restore does what a text says: itself, and by the tools what it changes in tables that they
// hold alone. Helpers of ours in the text, which a tool has printed, are passed over.
func Restore(e *apply.Engine, c *caller.Caller, req *apply.Request, how How) error {
	b, err := Look(e, c, req.Table)
	if err != nil {
		return err
	}
	text := newNoHelpers(req.Text, e.Pins())
	req.Text, req.Told = text, how.Told
	if how.Emptied != nil {
		req.Emptied = func(tables []string) error { return how.Emptied(tables, text.found) }
	}
	theirs, err := b.Share(req)
	if err != nil {
		return err
	}
	if err := e.Restore(req); err != nil {
		return err
	}
	if err := theirs(); err != nil || req.Test || len(b.Held) == 0 || how.Quiet {
		return err
	}
	if err := b.again(); err != nil {
		return err
	}
	b.WarnBoth()
	return nil
}

// Save prints the rules: ours, and the tables that only the tools hold.
func Save(e *apply.Engine, c *caller.Caller, out io.Writer, o iptables.PrintOptions, how How) error {
	b, err := Look(e, c, o.Table)
	if err != nil {
		return err
	}
	if !how.Quiet {
		b.WarnBoth()
	}
	other := b.Tables()
	if o.Table == "" || len(other) == 0 {
		if err := e.Save(out, o); err != nil {
			return err
		}
	}
	o.Table = ""
	return iptables.Print(out, &ruleset.Ruleset{Family: e.Family(), Tables: other}, o)
}
