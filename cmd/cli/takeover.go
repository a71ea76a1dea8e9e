package cli

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/bpftables/bpftables/compat/install"
	"github.com/bpftables/bpftables/compat/takeover"
	"github.com/bpftables/bpftables/engine/apply"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// familiesFlag is -4 and -6.
type familiesFlag struct {
	IPv4 bool `name:"ipv4" short:"4" xor:"family" help:"Only IPv4."`
	IPv6 bool `name:"ipv6" short:"6" xor:"family" help:"Only IPv6."`
}

func (f familiesFlag) families() []packet.Family {
	switch {
	case f.IPv4:
		return []packet.Family{packet.IPv4}
	case f.IPv6:
		return []packet.Family{packet.IPv6}
	}
	return bothOf
}

// takeoverCmd is "bpftables takeover".
type takeoverCmd struct {
	familiesFlag
	waitFlag
	DryRun bool `name:"dry-run" help:"Say what would be taken over, and why not; change nothing."`
}

// Help is the long help.
func (takeoverCmd) Help() string {
	return `Example:
  bpftables takeover --dry-run
  bpftables takeover

The rules of iptables-legacy and iptables-nft in this network namespace become rules of
bpftables, with their counters, and are then removed from netfilter. At every moment
at least one of the two enforces them all, also if the command is killed: run it again then.
Refused, with nothing changed: a table that both tools hold, or that bpftables holds with
other rules. Chains that nft has made in tables of its own stay as they are.`
}

// Run takes the rules over.
func (c *takeoverCmd) Run(s *streams) error {
	if err := s.checkTakeover(c.waitFlag, c.families(), c.DryRun); err != nil || c.DryRun {
		return err
	}
	if err := s.takeOver(c.waitFlag, c.families()); err != nil {
		return err
	}
	return s.noteEnforcing()
}

// checkTakeover says why rules cannot be taken over: of two families, none is taken if one of
// them would be refused. tell: what can is told.
func (s *streams) checkTakeover(w waitFlag, families []packet.Family, tell bool) error {
	report := io.Discard
	if tell {
		report = s.out
	}
	var errs []error
	for _, family := range families {
		errs = append(errs, s.locked(w, family, func(e *apply.Engine) error {
			return takeover.New(e, s.caller, report).Check()
		}))
	}
	return errors.Join(errs...)
}

// takeOver takes the rules of families over.
func (s *streams) takeOver(w waitFlag, families []packet.Family) error {
	for _, family := range families {
		err := s.locked(w, family, func(e *apply.Engine) error { return takeover.New(e, s.caller, s.out).Take() })
		if err != nil {
			return err
		}
	}
	return nil
}

// giveBackCmd is "bpftables give-back".
type giveBackCmd struct {
	familiesFlag
	waitFlag
}

// Help is the long help.
func (giveBackCmd) Help() string {
	return `Example:
  bpftables give-back

All rules of bpftables are loaded, with their counters, into the tools that takeover got
them from, the others into the one that the host's iptables stands for. Then nothing of
bpftables is left. At every moment at least one of the two enforces all rules, also if the
command is killed: run it again then.`
}

// Run gives the rules back.
func (c *giveBackCmd) Run(s *streams) error { return s.giveBack(c.waitFlag, c.families(), s.out) }

// giveBack gives the rules of families back.
func (s *streams) giveBack(w waitFlag, families []packet.Family, report io.Writer) error {
	for _, family := range families {
		err := s.locked(w, family, func(e *apply.Engine) error {
			if err := takeover.New(e, s.caller, report).Give(); err != nil {
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

// notEmptied is asked when a text leaves tables with nothing that have something. After a
// takeover it is what the host's iptables-save prints: tables without rules. Where netfilter
// runs a table for us, it prints our helpers.
func (s *streams) notEmptied(e *apply.Engine, tables []string, helpers bool) error {
	taken, err := takeover.Tables(e.Dir())
	if err != nil {
		return err
	}
	six := ""
	if e.Family() == packet.IPv6 {
		six = " -6"
	}
	const fix = "'bpftables save%s' prints the rules in force, 'bpftables flush%s -t %s' removes them"
	var errs []error
	for _, t := range tables {
		switch {
		case slices.Contains(taken, t):
			errs = append(errs, fmt.Errorf("table %s: the text has no rules for it, and those in force were taken over from netfilter, whose iptables-save is without them now; "+fix, t, six, six, t))
		case helpers:
			errs = append(errs, fmt.Errorf("table %s: the text has no rules for it, only those by which netfilter works for bpftables: it is what iptables-save prints beside bpftables; "+fix, t, six, six, t))
		default:
			fmt.Fprintf(s.err, "bpftables: table %s: all rules are removed, as the text has none for it\n", t)
		}
	}
	return errors.Join(errs...)
}
