package cli

import (
	"errors"
	"fmt"
	"io"

	"github.com/bpftables/bpftables/compat/beside"
	"github.com/bpftables/bpftables/compat/lock"
	"github.com/bpftables/bpftables/engine/apply"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// exitVersion is the exit code of iptables for a table that there is not.
const exitVersion = 3

// imitated is the version of iptables whose command line this is.
const imitated = "1.8.9"

// ruleCmd is "bpftables iptables" and "bpftables ip6tables". The arguments never get to
// kong, which would take options out of them: RunFor hands them to ruleCommand.
type ruleCmd struct {
	Argument []string `arg:"" optional:"" passthrough:"" help:"What iptables takes."`
}

// Help is the long help.
func (ruleCmd) Help() string { return ruleHelp }

const ruleHelp = `Example:
  bpftables iptables -I INPUT 1 -s 192.0.2.0/24 -p tcp --dport 22 -j DROP
  bpftables iptables -t raw -L -v -n --line-numbers
  bpftables ip6tables -w 5 -D INPUT 3

One command: -A -C -D -I -R -L -S -F -Z -N -X -E -P, with the options and exit codes of
iptables 1.8.9: 2 for a command line that is wrong, 3 for a table that there is not,
4 when the lock is held by another process for longer than -w says.

A table in which bpftables holds nothing, and iptables-legacy or iptables-nft does, is
theirs until 'bpftables takeover': the command is then run by that tool. Where both hold
rules, packets must pass both; the command is for those of bpftables, with a warning.`

// ruleFamily says whether a word is a command of this kind, and for which family.
func ruleFamily(word string) (packet.Family, bool) {
	switch word {
	case "iptables":
		return packet.IPv4, true
	case "ip6tables":
		return packet.IPv6, true
	}
	return packet.IPv4, false
}

// ruleCommand runs one command line of iptables or ip6tables, given with that word.
func (s *streams) ruleCommand(family packet.Family, args []string) int {
	name := args[0]
	argv, err := iptables.ParseArgv(args[1:], iptables.Options{File: name, Family: family, Resolver: s.caller.Resolver()})
	switch {
	case err != nil:
		return ruleCode(err, s.err)
	case argv.Help:
		fmt.Fprintf(s.out, "Usage: bpftables %s COMMAND [OPTIONS]\n\n%s\n", name, ruleHelp)
		return exitOK
	case argv.Version:
		fmt.Fprintf(s.out, "%s v%s (bpftables v%s)\n", name, imitated, Version)
		return exitOK
	}
	held, err := lock.Acquire(lock.Seconds(argv.Wait), s.caller)
	if err != nil {
		return ruleCode(err, s.err)
	}
	defer held.Release()
	code := exitOK
	err = s.withEngine(family, func(e *apply.Engine) error {
		code, err = beside.Rule(e, s.caller, argv, args[1:], beside.How{})
		return err
	})
	if err != nil {
		return ruleCode(err, s.err)
	}
	return code
}

func ruleCode(err error, out io.Writer) int {
	code := exitCode(err, out)
	switch {
	case errors.Is(err, iptables.ErrUsage):
		return exitUsage
	case errors.Is(err, iptables.ErrNoTable):
		return exitVersion
	}
	return code
}
