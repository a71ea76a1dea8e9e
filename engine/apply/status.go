package apply

import (
	"github.com/bpftables/bpftables/bpf/attach"
	"github.com/bpftables/bpftables/translate/plan"
)

// Status is what runs where for one family.
type Status struct {
	Family     string        `json:"family"`
	Generation uint32        `json:"generation"`
	Tables     []TableStatus `json:"tables"`
	Conntrack  bool          `json:"conntrack"` // kept on for the rules
	Usage      attach.Usage  `json:"usage"`
	// Early is what the early stage does.
	Early *attach.EarlyState `json:"early,omitempty"`
}

// TableStatus is where one table runs.
type TableStatus struct {
	Name  string      `json:"name"`
	Where string      `json:"where"` // bpf or netfilter
	Rules int         `json:"rules"`
	Shims int         `json:"shims"` // different targets that netfilter runs for BPF
	Notes []plan.Note `json:"notes,omitempty"`
}

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
	for _, t := range live.State.Tables() {
		ts := TableStatus{Name: t.Name, Where: "netfilter", Rules: t.Len(), Shims: t.Shims, Notes: x.Notes[t.Name]}
		if t.InBPF {
			ts.Where = "bpf"
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
