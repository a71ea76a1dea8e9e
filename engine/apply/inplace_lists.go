package apply

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/bpftables/bpftables/engine/state"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// Lists of -m recent begin with the first rule that names them, and end with the last one. netfilter checks the
// rules of a table as it is going to be before it gives those up that it has (do_replace(),
// net/ipv4/netfilter/ip_tables.c): a list that is named before and after a change goes on.

// lists are what a change does to lists of -m recent.
type lists struct {
	begun map[string][16]byte // with their masks
	left  map[string]bool     // that rules which go have named
	ended []string            // that no rule names any more
}

// keep makes the lists that a rule asks fit for it.
func (ed *editor) keep(t *tableEditor, slot uint32, asks []pred.Pred) error {
	for _, p := range asks {
		by, is := p.(pred.Recent)
		if !is {
			continue
		}
		// Which of several rules of one table begins a list depends on where they stand (translate).
		if mask, begun := ed.lists.begun[by.List]; ed.elsewhere() || begun && mask != by.Mask {
			return errNotInPlace
		}
		known := slices.ContainsFunc(ed.extra.Sets, func(s *ruleset.Set) bool { return isList(s, by.List) })
		if ed.classes.Keep(by, known) != nil {
			return errNotInPlace // a new generation does, or says why not
		}
		if !known {
			if ed.lists.begun == nil {
				ed.lists.begun = map[string][16]byte{}
			}
			ed.lists.begun[by.List] = by.Mask
			ed.extra.addList(by.List, 0)
		}
		t.Keepers = append(slices.Clip(t.Keepers), slot)
		ed.other = true
	}
	return nil
}

// isList says whether a set is the list of a name.
func isList(s *ruleset.Set, name string) bool {
	return s != nil && s.Flags&ruleset.SetStamps != 0 && s.Name == name
}

// recentWord is how a rule begins to name a list.
const recentWord = "-m recent "

// elsewhere says whether a rule of a table that cannot be changed in place may name a list: netfilter may run
// it, and a list has one owner.
func (ed *editor) elsewhere() bool {
	for _, t := range ed.live.State.Tables() {
		if ed.tables[t.Name] == nil && ed.names(t, func(*state.Rule) bool { return true }) {
			return true
		}
	}
	return false
}

// names says whether a table has a rule that names a list, of those for which is says yes.
func (ed *editor) names(t *state.Table, is func(*state.Rule) bool) bool {
	for _, c := range t.Chains() {
		for i := range c.Len() {
			if r := c.Rule(i); bytes.Contains(r.Text, []byte(recentWord)) && is(&r) {
				return true
			}
		}
	}
	return false
}

// release notes what a rule that goes has named.
func (ed *editor) release(r *ruleset.Rule) error {
	for _, m := range r.Matches {
		s := ruleset.KeptSet(m)
		switch {
		case s == nil:
		case s.Flags&ruleset.SetStamps == 0:
			return errNotInPlace // a new generation knows whether it ends
		default:
			if ed.lists.left == nil {
				ed.lists.left = map[string]bool{}
			}
			ed.lists.left[s.Name], ed.other = true, true
		}
	}
	return nil
}

// end finds the lists that no rule names any more.
func (ed *editor) end() error {
	for name := range ed.lists.left {
		named, err := ed.named(name)
		if err != nil {
			return err
		}
		if named {
			continue
		}
		ed.lists.ended = append(ed.lists.ended, name)
		ed.extra.Sets = slices.DeleteFunc(ed.extra.Sets, func(s *ruleset.Set) bool { return isList(s, name) })
	}
	return nil
}

// named says whether a rule names a list.
func (ed *editor) named(name string) (bool, error) {
	var fault error
	for table, t := range ed.tables {
		if ed.extra.Owned[table] != nil {
			continue // its rules are not iptables'
		}
		if ed.names(t.state, func(stored *state.Rule) bool {
			r, err := ed.read(t.state, stored)
			if err != nil {
				fault = err
				return true
			}
			return slices.ContainsFunc(r.Matches, func(m ruleset.Match) bool { return isList(ruleset.KeptSet(m), name) })
		}) {
			return true, fault
		}
	}
	return false, nil
}

// forgetLists lets go of lists that no packet asks any more.
func (ed *editor) forgetLists(names []string) error {
	var errs []error
	for _, name := range names {
		if err := ed.classes.Forget(name); err != nil {
			errs = append(errs, fmt.Errorf("list %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}
