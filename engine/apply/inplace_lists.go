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

// Lists of -m recent begin with the first rule that names them, and end with the last one, as tables of hashlimit do. netfilter checks the
// rules of a table as it is going to be before it gives those up that it has (do_replace(),
// net/ipv4/netfilter/ip_tables.c): a list that is named before and after a change goes on.

// lists are what a change does to lists of -m recent, and to tables of hashlimit.
type lists struct {
	begun map[string][16]byte     // lists, with their masks
	left  map[string]*ruleset.Set // that rules which go have named, by title
	ended []*ruleset.Set          // that no rule names any more
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

// How a rule begins to name a list, and a table of hashlimit.
const (
	recentWord = "-m recent "
	meterWord  = "-m hashlimit "
)

// elsewhere says whether a rule of a table that cannot be changed in place may name a list: netfilter may run
// it, and a list has one owner.
func (ed *editor) elsewhere() bool {
	for _, t := range ed.live.State.Tables() {
		if ed.tables[t.Name] == nil && names(t, recentWord, func(*state.Rule) bool { return true }) {
			return true
		}
	}
	return false
}

// names says whether a table has a rule with a word for which is says yes.
func names(t *state.Table, word string, is func(*state.Rule) bool) bool {
	for _, c := range t.Chains() {
		for i := range c.Len() {
			if r := c.Rule(i); bytes.Contains(r.Text, []byte(word)) && is(&r) {
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
		case s.Flags&ruleset.SetStamps == 0 && s.Meter == nil:
			return errNotInPlace // a new generation knows whether it ends
		default:
			if ed.lists.left == nil {
				ed.lists.left = map[string]*ruleset.Set{}
			}
			ed.lists.left[s.Title()], ed.other = s, true
		}
	}
	return nil
}

// end finds the lists that no rule names any more.
func (ed *editor) end() error {
	for title, list := range ed.lists.left {
		named, err := ed.named(list)
		if err != nil {
			return err
		}
		if named {
			continue
		}
		ed.lists.ended = append(ed.lists.ended, list)
		ed.extra.Sets = slices.DeleteFunc(ed.extra.Sets, func(s *ruleset.Set) bool { return s.Title() == title })
	}
	return nil
}

// named says whether a rule names a list.
func (ed *editor) named(list *ruleset.Set) (bool, error) {
	for _, t := range ed.live.State.Tables() {
		if t.InBPF && ed.tables[t.Name] == nil {
			return true, nil // it may
		}
	}
	word := recentWord
	if list.Meter != nil {
		word = meterWord
	}
	var fault error
	for table, t := range ed.tables {
		if ed.extra.Owned[table] != nil {
			continue // its rules are not iptables'
		}
		if names(t.state, word, func(stored *state.Rule) bool {
			r, err := ed.read(t.state, stored)
			if err != nil {
				fault = err
				return true
			}
			return slices.ContainsFunc(r.Matches, func(m ruleset.Match) bool {
				kept := ruleset.KeptSet(m)
				return kept != nil && kept.Title() == list.Title()
			})
		}) {
			return true, fault
		}
	}
	return false, nil
}

// forgetLists lets go of lists that no packet asks any more.
func (ed *editor) forgetLists(lists []*ruleset.Set) error {
	var errs []error
	for _, list := range lists {
		if err := ed.classes.Forget(list.Name, list.Meter != nil); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", list.Title(), err))
		}
	}
	return errors.Join(errs...)
}
