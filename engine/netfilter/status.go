package netfilter

import (
	"fmt"
	"slices"

	"github.com/bpftables/bpftables/bpf/anchor"
	"github.com/bpftables/bpftables/compat/shim"
	"github.com/bpftables/bpftables/engine/datapath"
)

// Status says what netfilter still holds of what it was given, what programs and maps take,
// and what the early stage does.
func (d *Datapath) Status(live *datapath.Live) (*datapath.Status, error) {
	out := &datapath.Status{Held: map[string]datapath.Held{}}
	if live == nil {
		var err error
		out.Left, err = d.leftovers()
		return out, err
	}
	lost, r, err := d.lost(live)
	if err != nil {
		return nil, err
	}
	out.ConntrackLost = slices.Contains(lost, conntrackLost)
	for _, h := range r.Held {
		out.Held[h.Table] = datapath.HeldUnchanged
		if slices.Contains(lost, h.Table) {
			out.Held[h.Table] = datapath.HeldLost
		}
	}
	usage, err := d.space.Usage()
	if err != nil {
		return nil, err
	}
	out.Usage = datapath.Usage(*usage)
	out.Early, err = d.earlyStatus(live)
	return out, err
}

// leftovers says that netfilter still has rules that belonged to BPF programs which are
// gone: they drop what they cannot find a note of.
func (d *Datapath) leftovers() (string, error) {
	chains, err := d.netfilter.own.Chains()
	for _, c := range chains {
		if of, ours := shim.Generation(c.Name); ours {
			return fmt.Sprintf("chains of generation %d, whose programs were removed, are left in table %s of nf_tables and drop packets", of, anchor.Name), nil
		}
	}
	return "", err
}
