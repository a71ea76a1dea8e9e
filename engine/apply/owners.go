package apply

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bpftables/bpftables/engine/datapath"
	"github.com/bpftables/bpftables/engine/state"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
	"github.com/bpftables/bpftables/translate/plan"
)

// Dialect writes and reads the rules of an owner as they are stored. iptables, whose
// tables the kernel has names for, is built in.
type Dialect interface {
	// Owner is the name of the owner, without a slash.
	Owner() string
	// Append appends what a rule is stored as; several rules are asked for at once.
	Append(b []byte, r *ruleset.Rule) []byte
	// Read reads it again.
	Read(text []byte) (*ruleset.Rule, error)
}

// Speak lets the engine read and write the rules of one more owner.
func (e *Engine) Speak(d Dialect) { e.dialects = append(e.dialects, d) }

func (e *Engine) dialect(owner string) (Dialect, error) {
	for _, d := range e.dialects {
		if d.Owner() == owner {
			return d, nil
		}
	}
	return nil, fmt.Errorf("the rules of %s are enforced, and this program cannot read them; change the rules with the one that made them", owner)
}

// owned says of a table of another owner than iptables what the state has no place for.
type owned struct {
	Owner string                   `json:"owner"`
	Bases map[string]*ruleset.Base `json:"bases"` // by chain
}

// qualified is a table under the name that it has among those of all owners: that of
// iptables' tables are their own.
func qualified(t *ruleset.Table) *ruleset.Table {
	if t.Owner == tables.Owner {
		return t
	}
	out := *t
	out.Name = t.Owner + "/" + t.Name
	return &out
}

// unqualified is the table as its owner knows it.
func unqualified(t *ruleset.Table) *ruleset.Table {
	out := *t
	out.Name = strings.TrimPrefix(t.Name, t.Owner+"/")
	return &out
}

// readOthers reads the tables of all owners but iptables, by their names among all, with
// their counters and what live adds.
func (e *Engine) readOthers(st *state.Store, live state.Live) ([]*ruleset.Table, error) {
	x, err := readExtra(st)
	if err != nil {
		return nil, err
	}
	var out []*ruleset.Table
	for _, t := range st.Tables() {
		own := x.Owned[t.Name]
		if own == nil {
			continue
		}
		table, err := e.readOwned(t, own, live)
		if err != nil {
			return nil, err
		}
		out = append(out, table)
	}
	return out, nil
}

func (e *Engine) readOwned(t *state.Table, own *owned, live state.Live) (*ruleset.Table, error) {
	d, err := e.dialect(own.Owner)
	if err != nil {
		return nil, err
	}
	out := &ruleset.Table{Family: e.family, Name: t.Name, Owner: own.Owner}
	for _, c := range t.Chains() {
		chain := &ruleset.Chain{Name: c.Name, Base: own.Bases[c.Name], Counters: live.Add(c.Counters, c.Cell())}
		for i := range c.Len() {
			stored := c.Rule(i)
			r, err := d.Read(stored.Text)
			if err != nil {
				return nil, fmt.Errorf("state: table %s: chain %s: rule %d: %w", t.Name, c.Name, i+1, err)
			}
			r.Counters = live.Add(stored.Counters, state.Cell{Chain: c, Rule: i, Slot: stored.Slot, Origin: stored.Origin})
			chain.Rules = append(chain.Rules, r)
		}
		out.AddChain(chain)
	}
	return out, nil
}

// join puts the tables of the other owners beside those that a change is about: a
// generation has the rules of all.
func (e *Engine) join(c *change) error {
	if c.joined {
		return nil
	}
	c.joined = true
	var before []*ruleset.Table
	if c.live != nil {
		var err error
		if before, err = e.readOthers(c.live.State, nil); err != nil {
			return err
		}
	}
	after := slices.Clone(before)
	for _, edit := range c.edits {
		var err error
		if after, err = e.edited(after, edit); err != nil {
			return err
		}
	}
	with := func(rs *ruleset.Ruleset, more []*ruleset.Table) *ruleset.Ruleset {
		all := *rs
		all.Tables = slices.Concat(rs.Tables, more)
		return &all
	}
	c.before, c.after = with(c.before, before), with(c.after, after)
	return e.joinSets(c)
}

// edited are the tables with those of one owner changed.
func (e *Engine) edited(all []*ruleset.Table, edit *Change) ([]*ruleset.Table, error) {
	if _, err := e.dialect(edit.Owner); err != nil {
		return nil, err
	}
	var kept, own []*ruleset.Table
	for _, t := range all {
		if t.Owner == edit.Owner {
			own = append(own, unqualified(t))
		} else {
			kept = append(kept, t)
		}
	}
	own, err := edit.Edit(own)
	if err != nil {
		return nil, err
	}
	for _, t := range own {
		if t.Owner != edit.Owner || t.Family != e.family || strings.Contains(t.Name, "/") {
			return nil, fmt.Errorf("table %s: it is none of %s for %s", t.Name, edit.Owner, e.family)
		}
		kept = append(kept, qualified(t))
	}
	return kept, nil
}

// addOwned keeps of a table what only its owner's dialect can read.
func (x *extra) addOwned(t *ruleset.Table) {
	if t.Owner == tables.Owner {
		return
	}
	own := &owned{Owner: t.Owner, Bases: map[string]*ruleset.Base{}}
	for _, c := range t.Chains {
		if c.Base != nil {
			own.Bases[c.Name] = c.Base
		}
	}
	if x.Owned == nil {
		x.Owned = map[string]*owned{}
	}
	x.Owned[t.Name] = own
}

// refuseOwned refuses tables of other owners that the datapath would leave to others as a whole:
// nobody has a table of that owner to run it in.
func refuseOwned(rs *ruleset.Ruleset, p *plan.Plan, can datapath.Can) error {
	for i, t := range rs.Tables {
		if t.Owner == tables.Owner {
			continue
		}
		for _, b := range t.Bases() {
			if why := can.Base(b); why != "" {
				return fmt.Errorf("table %s: %s", t.Name, why)
			}
		}
		for _, n := range p.Tables[i].Reasons {
			return fmt.Errorf("table %s: %s", t.Name, n)
		}
	}
	return nil
}

// Owned are the enforced tables of one owner, with live counters.
func (e *Engine) Owned(owner string) (out []*ruleset.Table, err error) {
	err = e.counted(func(st *state.Store, counts state.Live) error {
		out = nil
		all, err := e.readOthers(st, counts)
		for _, t := range all {
			if t.Owner == owner {
				out = append(out, unqualified(t))
			}
		}
		return err
	})
	return out, err
}
