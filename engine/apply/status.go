package apply

import (
	"errors"

	"github.com/bpftables/bpftables/engine/datapath"
	"github.com/bpftables/bpftables/translate/plan"
)

// Status is what runs where for one family.
type Status struct {
	Family     string        `json:"family"`
	Generation uint32        `json:"generation"`
	Tables     []TableStatus `json:"tables"`
	// Order are the base chains of all owners as packets meet them, and Sets the named sets.
	Order []BaseStatus `json:"order,omitempty"`
	Sets  []SetStatus  `json:"sets,omitempty"`
	// Lost says what is left of rules whose files were removed; "": nothing.
	Lost      string `json:"lost,omitempty"`
	Conntrack bool   `json:"conntrack"` // kept on for the rules
	// ConntrackLost says that another program has switched it off: packets of rules that
	// ask it are dropped.
	ConntrackLost bool           `json:"conntrackLost,omitempty"`
	Usage         datapath.Usage `json:"usage"`
	// Early is what the early stage does.
	Early *datapath.Early `json:"early,omitempty"`
}

// TableStatus is where one table runs.
type TableStatus struct {
	Name    string        `json:"name"`
	Where   string        `json:"where"` // bpf or netfilter
	Rules   int           `json:"rules"`
	Shims   int           `json:"shims"` // different targets that netfilter runs for BPF
	Held    datapath.Held `json:"held,omitempty"`
	Reasons []plan.Reason `json:"notes,omitempty"`
}

// Status describes the live generation.
func (e *Engine) Status() (*Status, error) {
	out := &Status{Family: e.family.String(), Tables: []TableStatus{}}
	live, err := e.Live()
	if errors.Is(err, datapath.ErrLost) {
		out.Lost = err.Error()
		return out, nil
	}
	if err != nil || live == nil {
		return out, err
	}
	defer live.Close()
	enforced, err := e.enforced(live)
	if err != nil {
		return nil, err
	}
	has, err := e.data.Status(enforced)
	if err != nil {
		return nil, err
	}
	out.Generation, out.Conntrack, out.ConntrackLost = live.State.Generation, live.State.Conntrack, has.ConntrackLost
	out.Usage, out.Early = has.Usage, has.Early
	for _, t := range live.State.Tables() {
		ts := TableStatus{Name: t.Name, Where: "netfilter", Rules: t.Len(), Shims: t.Shims, Held: has.Held[t.Name], Reasons: live.extra.Reasons[t.Name]}
		if t.InBPF {
			ts.Where = "bpf"
			ts.Shims = live.extra.Actions[t.Name].Len() // since the generation was made there may be more
		}
		out.Tables = append(out.Tables, ts)
	}
	out.Order = order(live.State, live.extra)
	out.Sets, err = e.setsOf(live.extra)
	return out, err
}
