package iptables

import (
	"net"

	"github.com/bpftables/bpftables/ruleset"
)

// NewSystem gives the names of a host whose files are under root.
func NewSystem(root string) *System { return newSystem(root, net.DefaultResolver) }

// Known says whether the print of a rule is known to be readable.
func Known(r *ruleset.Rule, spec []byte) bool { return r.Source != 0 && r.Source == hashOf(spec) }
