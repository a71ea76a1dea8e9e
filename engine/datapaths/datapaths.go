// Package datapaths knows the datapaths that there are. In: a family. Out: an engine over the
// datapath that fits.
package datapaths

import (
	"github.com/bpftables/bpftables/compat/caller"
	"github.com/bpftables/bpftables/engine/apply"
	"github.com/bpftables/bpftables/engine/netfilter"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// Kind is a datapath by its name.
type Kind struct {
	Name string
	Open apply.OpenDatapath
}

// Kinds are the datapaths, sorted by their names.
var Kinds = []Kind{
	{"netfilter", netfilter.Open},
}

// Open gives the engine of the current network namespace.
func Open(family packet.Family) (*apply.Engine, error) {
	return apply.Open(family, Kinds[0].Open)
}

// Use runs something with the engine of a family, opened for one command of a caller.
func Use(family packet.Family, c *caller.Caller, do func(*apply.Engine) error) error {
	e, err := Open(family)
	if err != nil {
		return err
	}
	defer e.Close()
	e.For(c)
	return do(e)
}
