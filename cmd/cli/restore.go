package cli

import (
	"fmt"

	"github.com/bpftables/bpftables/compat/beside"
	"github.com/bpftables/bpftables/compat/caller"
	"github.com/bpftables/bpftables/compat/install"
	"github.com/bpftables/bpftables/compat/lock"
	"github.com/bpftables/bpftables/engine/apply"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/translate"
)

// restoreCmd is "bpftables restore".
type restoreCmd struct {
	familyFlag
	waitFlag
	Counters bool   `short:"c" help:"Set the counters that the text gives."`
	NoFlush  bool   `name:"noflush" short:"n" help:"Keep what the text does not name."`
	Table    string `short:"t" aliases:"T" enum:",raw,mangle,nat,filter,security" default:"" help:"Only this table of the text."`
	Test     bool   `help:"Check only: parse, plan and verify in the kernel; attach nothing."`
	Strict   bool   `help:"Refuse what would have to be left to netfilter."`
	classifierFlag
	Early string `enum:",auto,xdp,tcx,exact,off" default:"" help:"Also drop early, at the interfaces: at XDP or tcx (auto), only at XDP (xdp), only at tcx (tcx), with counters without exception (exact), nowhere (off). Kept until given again; off at first."`
	File  string `arg:"" optional:"" help:"The text; standard input by default."`
}

// classifierFlag is --classifier.
type classifierFlag struct {
	Classifier string `enum:",auto,code,tuples,tree,rows" default:"" help:"How rules are found, for tests: auto, code, tuples, tree, rows ($$BPFTABLES_CLASSIFIER)."`
}

// classifierEnv is --classifier where it is not given. The parser's own variables would be those
// of the server.
const classifierEnv = "BPFTABLES_CLASSIFIER"

func (f classifierFlag) classifier(c *caller.Caller) (translate.Classifier, error) {
	if f.Classifier != "" {
		return translate.ParseClassifier(f.Classifier)
	}
	way, err := translate.ParseClassifier(c.Getenv(classifierEnv))
	if err != nil {
		err = fmt.Errorf("%s: %w", classifierEnv, err)
	}
	return way, err
}

// Help is the long help.
func (restoreCmd) Help() string {
	return `Example:
  bpftables restore --strict /etc/iptables/rules.v4
  iptables-save | bpftables restore

The rules are enforced as a whole or not at all. An error names file, line and
column; the old rules then go on, untouched. As with iptables-restore, tables that
the text does not name stay as they are, and without -n everything else of bpftables in
those that it names is replaced. Rules of iptables-legacy and iptables-nft stay, and are
enforced beside them, with a warning: 'bpftables takeover' moves them. With -n, what
the text changes in tables that only they hold is changed by them.`
}

// Run applies the text.
func (c *restoreCmd) Run(s *streams) error {
	classifier, err := c.classifier(s.caller)
	if err != nil {
		return err
	}
	in, name, err := s.open(c.File)
	if err != nil {
		return err
	}
	defer in.Close()
	text, err := beside.Spool(in)
	if err != nil {
		return err
	}
	s.memory.expect(text.Bytes, text.Lines)
	req := &apply.Request{
		Text: text, File: name, Table: c.Table, NoFlush: c.NoFlush, Counters: c.Counters,
		Test: c.Test, Strict: c.Strict, Early: c.Early, Output: s.out,
		Classifier: classifier,
	}
	return s.locked(c.waitFlag, c.family(), func(e *apply.Engine) error {
		return beside.Restore(e, s.caller, req, beside.How{Emptied: func(tables []string, helpers bool) error {
			return s.notEmptied(e, tables, helpers)
		}})
	})
}

// locked runs a change under the xtables lock.
func (s *streams) locked(w waitFlag, family packet.Family, change func(*apply.Engine) error) error {
	l, err := lock.Acquire(w.duration(), s.caller)
	if err != nil {
		return err
	}
	defer l.Release()
	return s.withEngine(family, change)
}

// briefly runs what takes no longer than other commands wait, under the xtables lock.
func (s *streams) briefly(do func() error) error {
	l, err := lock.Acquire(lock.Forever, s.caller)
	if err != nil {
		return err
	}
	defer l.Release()
	return do()
}

func (s *streams) withEngine(family packet.Family, do func(*apply.Engine) error) error {
	return s.engine(family, s.caller, do)
}

// flushCmd is "bpftables flush".
type flushCmd struct {
	familyFlag
	waitFlag
	Table string `short:"t" enum:",raw,mangle,nat,filter,security" default:"" help:"Only this table; all by default."`
	All   bool   `help:"Remove everything of ours, both families: links, pins, state, shim rules."`
}

// Help is the long help.
func (flushCmd) Help() string {
	return `Example:
  bpftables flush -t filter
  bpftables flush --all

Without --all, rules and user chains go and policies stay. With --all nothing of
ours is left and packets meet only what others have set up.`
}

// Run empties the tables.
func (c *flushCmd) Run(s *streams) error {
	if !c.All {
		return s.locked(c.waitFlag, c.family(), func(e *apply.Engine) error {
			if err := e.Flush(c.Table); err != nil {
				return err
			}
			b, err := beside.Look(e, s.caller, c.Table)
			for _, h := range b.Held {
				fmt.Fprintf(s.err, "bpftables: warning: %s; they stay\n", h)
			}
			return err
		})
	}
	for _, family := range bothOf {
		err := s.locked(c.waitFlag, family, func(e *apply.Engine) error {
			if err := e.FlushAll(); err != nil {
				return err
			}
			return install.Enforces(e.Dir(), false)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// checkCmd is "bpftables check".
type checkCmd struct {
	familyFlag
	File string `arg:"" help:"The text; - for standard input."`
}

// Help is the long help.
func (checkCmd) Help() string {
	return `Example:
  bpftables check /etc/iptables/rules.v4

All errors of the file are printed at once. Nothing is attached. Where a rule names
what only netfilter knows, such as a set, netfilter is asked about it.`
}

// Run checks the file.
func (c *checkCmd) Run(s *streams) error {
	in, name, err := s.open(c.File)
	if err != nil {
		return err
	}
	defer in.Close()
	err = s.withEngine(c.family(), func(e *apply.Engine) error {
		return e.Restore(&apply.Request{Text: in, File: name, Test: true, Output: s.out, Locked: s.briefly})
	})
	if err == nil {
		fmt.Fprintln(s.out, name+": ok")
	}
	return err
}
