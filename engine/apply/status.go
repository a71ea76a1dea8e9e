package apply

import (
	"slices"

	"github.com/bpftables/bpftables/bpf/attach"
	"github.com/bpftables/bpftables/translate/plan"
)

// Status is what runs where for one family.
type Status struct {
	Family     string        `json:"family"`
	Generation uint32        `json:"generation"`
	Tables     []TableStatus `json:"tables"`
	Conntrack  bool          `json:"conntrack"` // kept on for the rules
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

// Status describes the live generation.
func (e *Engine) Status() (*Status, error) {
	out := &Status{Family: e.family.String(), Tables: []TableStatus{}}
	live, err := e.Live()
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
