package iptables

import (
	"net"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
)

// NewSystem gives the names of a host whose files are under root.
func NewSystem(root string) *System { return newSystem(root, net.DefaultResolver) }

// Known says whether the print of a rule is known to be readable.
func Known(r *ruleset.Rule, spec []byte) bool { return r.Source != 0 && r.Source == hashOf(spec) }

// Key is what rules that are the same have in common.
var Key = key

// ReadPlainly reads a text without recipes.
func ReadPlainly(text string, o Options) (*ruleset.Ruleset, error) {
	rd := newReader(o)
	rd.parser.afresh = true
	rs, _, err := rd.read(strings.NewReader(text))
	return rs, err
}

// ReadTogether reads a text on all processors, however short it is.
func ReadTogether(text string, o Options) (*ruleset.Ruleset, error) {
	rd := newReader(o)
	rd.least = 1
	rs, _, err := rd.read(strings.NewReader(text))
	return rs, err
}
