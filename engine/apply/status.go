package apply

import (
	"errors"
	"fmt"
	"slices"

	"github.com/bpftables/bpftables/bpf/anchor"
	"github.com/bpftables/bpftables/bpf/attach"
	"github.com/bpftables/bpftables/compat/shim"
	"github.com/bpftables/bpftables/translate/plan"
)

// Status is what runs where for one family.
type Status struct {
	Family     string        `json:"family"`
	Generation uint32        `json:"generation"`
	Tables     []TableStatus `json:"tables"`
	// Lost says what is left of rules whose files were removed; "": nothing.
	Lost      string `json:"lost,omitempty"`
	Conntrack bool   `json:"conntrack"` // kept on for the rules
	// ConntrackLost says that another program has switched it off: packets of rules that
	// ask it are dropped.
	ConntrackLost bool         `json:"conntrackLost,omitempty"`
	Usage         attach.Usage `json:"usage"`
	// Early is what the early stage does.
	Early *attach.EarlyState `json:"early,omitempty"`
}

// TableStatus is where one table runs.
type TableStatus struct {
	Name  string      `json:"name"`
	Where string      `json:"where"` // bpf or netfilter
	Rules int         `json:"rules"`
	Shims int         `json:"shims"` // different targets that netfilter runs for BPF
	Held  Held        `json:"held,omitempty"`
	Notes []plan.Note `json:"notes,omitempty"`
}

// Held is whether netfilter still has what it was given for a table.
type Held string

// The answers; a table for which netfilter does nothing has none.
const (
	HeldUnchanged Held = "unchanged"
	HeldLost      Held = "lost" // another program removed or changed it: packets that need it are dropped
)

// leftovers says that netfilter still has rules that belonged to BPF programs which are
// gone: they drop what they cannot find a note of.
func (e *Engine) leftovers() (string, error) {
	chains, err := e.netfilter.own.Chains()
	for _, c := range chains {
		if of, ours := shim.Generation(c.Name); ours {
			return fmt.Sprintf("chains of generation %d, whose programs were removed, are left in table %s of nf_tables and drop packets; "+
				"a restore replaces them, 'bpftables flush --all' removes them", of, anchor.Name), nil
		}
	}
	return "", err
}

// Status describes the live generation.
func (e *Engine) Status() (*Status, error) {
	out := &Status{Family: e.family.String(), Tables: []TableStatus{}}
	live, err := e.Live()
	if errors.Is(err, attach.ErrLost) {
		out.Lost = err.Error()
		return out, nil
	}
	if err == nil && live == nil {
		out.Lost, err = e.leftovers()
	}
	if err != nil || live == nil {
		return out, err
	}
	defer live.Close()
	x, err := live.readExtra()
	if err != nil {
		return nil, err
	}
	out.Generation = live.State.Generation
	out.Conntrack = live.State.Conntrack
	lost, _, err := e.lost(live)
	if err != nil {
		return nil, err
	}
	out.ConntrackLost = slices.Contains(lost, conntrackLost)
	for _, t := range live.State.Tables() {
		ts := TableStatus{Name: t.Name, Where: "netfilter", Rules: t.Len(), Shims: t.Shims, Notes: x.Notes[t.Name]}
		if t.InBPF {
			ts.Where = "bpf"
		}
		for _, h := range x.Held {
			switch {
			case h.Table != t.Name:
			case slices.Contains(lost, t.Name):
				ts.Held = HeldLost
			default:
				ts.Held = HeldUnchanged
			}
		}
		out.Tables = append(out.Tables, ts)
	}
	usage, err := e.space.Usage()
	if err != nil {
		return nil, err
	}
	out.Usage = *usage
	wish, err := e.earlyWish(live)
	if err != nil {
		return nil, err
	}
	out.Early, err = e.space.EarlyState(wish)
	return out, err
}
