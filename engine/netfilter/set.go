package netfilter

import (
	"github.com/bpftables/bpftables/bpf/maps"
	"github.com/bpftables/bpftables/engine/datapath"
	"github.com/bpftables/bpftables/ruleset"
)

// Set opens a named set.
func (d *Datapath) Set(s *ruleset.Set) (datapath.Set, error) {
	in, err := d.space.NamedSet(s.Name, s.KeyLen())
	if err != nil || in == nil {
		return nil, err
	}
	return keySet{in}, nil
}

// keySet is a set of keys.
type keySet struct{ *maps.KeySet }

// Elements are what is in the set.
func (s keySet) Elements() (out []ruleset.Element, err error) {
	all, err := s.KeySet.Elements()
	for _, e := range all {
		out = append(out, ruleset.Element(e))
	}
	return out, err
}
