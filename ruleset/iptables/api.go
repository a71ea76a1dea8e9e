package iptables

import (
	"errors"
	"io"

	"github.com/bpftables/bpftables/ruleset"
)

var errNotYet = errors.New("not implemented")

// Read reads the text of iptables-save or iptables-restore.
func Read(r io.Reader, o Options) (*ruleset.Ruleset, Report, error) {
	return nil, Report{}, errNotYet
}

// ParseRule reads one rule specification of a command line, without command and
// chain: one rule for each combination of source and destination addresses.
func ParseRule(args []string, o Options, table string) ([]*ruleset.Rule, error) {
	return nil, errNotYet
}

// Print writes a Ruleset as iptables-legacy-save 1.8.9 does.
func Print(w io.Writer, r *ruleset.Ruleset, o PrintOptions) error { return errNotYet }

// PrintRule gives the line of a rule: "-A INPUT ...".
func PrintRule(r *ruleset.Rule, chain string) string { return "" }

// List writes a table as iptables-legacy 1.8.9 -L does.
func List(w io.Writer, t *ruleset.Table, o ListOptions) error { return errNotYet }
