package iptables

import (
	"io"

	"github.com/bpftables/bpftables/ruleset"
)

// List writes a table as iptables-legacy 1.8.9 -L does.
func List(w io.Writer, t *ruleset.Table, o ListOptions) error { return nil }

func printCommands(w io.Writer, t *ruleset.Table, c *command) {}
