package apply

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/bpftables/bpftables/engine/state"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// All is the rules of all owners.
type All struct {
	// Rules has the tables with live counters, those of other owners than iptables under names
	// that begin with the owner's, and the sets with the elements that they have.
	Rules *ruleset.Ruleset
	// Unread says of tables whose rules no dialect here reads whose they are. They are there
	// with base chains alone, which accept.
	Unread map[string]string
}

// All gives the rules of all owners; those of nobody when nothing is enforced.
func (e *Engine) All() (out *All, err error) {
	out = &All{Rules: &ruleset.Ruleset{Family: e.family}}
	err = e.counted(func(st *state.Store, counts state.Live) error {
		rs, err := e.rules(st, "", counts)
		if err != nil {
			return err
		}
		out = &All{Rules: rs, Unread: map[string]string{}}
		x, err := readExtra(st)
		if err != nil {
			return err
		}
		for _, t := range st.Tables() {
			own := x.Owned[t.Name]
			if own == nil {
				continue
			}
			read := e.readOwned
			if _, err := e.dialect(own.Owner); err != nil {
				out.Unread[t.Name], read = own.Owner, e.readBases
			}
			table, err := read(t, own, counts)
			if err != nil {
				return err
			}
			rs.Tables = append(rs.Tables, table)
		}
		sets, err := declared(st)
		if err != nil {
			return err
		}
		for _, s := range sets {
			full, err := e.filled(s)
			if err != nil {
				return err
			}
			rs.Sets = append(rs.Sets, full)
		}
		return nil
	})
	return out, err
}

// readBases reads the base chains of a table, which accept, without rules.
func (e *Engine) readBases(t *state.Table, own *owned, live state.Live) (*ruleset.Table, error) {
	out := &ruleset.Table{Family: e.family, Name: t.Name, Owner: own.Owner}
	for _, c := range t.Chains() {
		if base := own.Bases[c.Name]; base != nil {
			open := *base
			open.Policy = ruleset.Accept
			out.AddChain(&ruleset.Chain{Name: c.Name, Base: &open, Counters: live.Add(c.Counters, c.Cell())})
		}
	}
	return out, nil
}

// BaseStatus is a base chain on the way of a packet.
type BaseStatus struct {
	Hook     string `json:"hook"`
	Priority int32  `json:"priority"`
	Owner    string `json:"owner"`
	Table    string `json:"table"`
	Chain    string `json:"chain"`
	hook     packet.Hook
}

// String is what stands between others on a line.
func (b BaseStatus) String() string {
	if b.Owner == tables.Owner {
		return fmt.Sprintf("%d %s", b.Priority, b.Table)
	}
	return fmt.Sprintf("%d %s %s", b.Priority, b.Table, b.Chain)
}

// order are the base chains of all owners as packets meet them: by hook, by priority, and among
// equals as their tables were made.
func order(st *state.Store, x *extra) (out []BaseStatus) {
	for _, t := range st.Tables() {
		own := x.Owned[t.Name]
		for _, c := range t.Chains() {
			base, owner := tables.Base(t.Name, c.Name, c.Policy), tables.Owner
			if own != nil {
				base, owner = own.Bases[c.Name], own.Owner
			}
			if base != nil {
				out = append(out, BaseStatus{base.Hook.String(), base.Priority, owner, t.Name, c.Name, base.Hook})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b BaseStatus) int {
		return cmp.Or(cmp.Compare(a.hook, b.hook), cmp.Compare(a.Priority, b.Priority))
	})
	return out
}

// SetStatus is a named set.
type SetStatus struct {
	Name  string `json:"name"`
	Owner string `json:"owner"`
	Size  int    `json:"size"`
	// Elements is how many there are; of sets that rules keep it is not counted.
	Elements *int `json:"elements,omitempty"`
}

// setsOf are the sets of a state.
func (e *Engine) setsOf(x *extra) (out []SetStatus, err error) {
	for _, s := range x.Sets {
		one := SetStatus{Name: s.Name, Owner: s.Owner, Size: s.Room()}
		if s.Flags&ruleset.SetKept == 0 {
			full, err := e.filled(s)
			if err != nil {
				return nil, err
			}
			n := len(full.Elements)
			one.Elements = &n
		}
		out = append(out, one)
	}
	return out, nil
}
