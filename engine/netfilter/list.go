package netfilter

import (
	"github.com/bpftables/bpftables/bpf/maps"
	"github.com/bpftables/bpftables/engine/datapath"
)

// List opens a list of -m recent.
func (d *Datapath) List(name string) (datapath.List, error) {
	l, err := d.space.NamedList(name)
	if err != nil || l == nil {
		return nil, err
	}
	return list{l}, nil
}

// Lists are their names.
func (d *Datapath) Lists() ([]string, error) { return d.space.ListNames() }

type list struct{ *maps.List }

// Entries are the addresses in it.
func (l list) Entries() (out []datapath.Seen, err error) {
	all, err := l.List.Entries()
	for _, e := range all {
		out = append(out, datapath.Seen(e))
	}
	return out, err
}
