package apply

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/bpftables/bpftables/bpf/failpoint"
	"github.com/bpftables/bpftables/bpf/plainfile"
	"github.com/bpftables/bpftables/engine/state"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
	"github.com/bpftables/bpftables/translate/plan"
)

// Named sets belong to their owners and outlive generations: the state has what they are, and
// the kernel what is in them, which packets change, too. Where a change wants other elements
// of a set that is there, they are changed one by one once the new rules are enforced; what is
// to be done is written down before the switch, so that the next command completes it.

// SetEdit is a change of the elements of a set.
type SetEdit struct {
	Name   string            `json:"name"`
	Delete [][]byte          `json:"delete,omitempty"`
	Add    []ruleset.Element `json:"add,omitempty"`
}

// declared are the sets of all owners in a state, without elements. Those that rules keep are
// declared by the rules.
func declared(st *state.Store) ([]*ruleset.Set, error) {
	x, err := readExtra(st)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(x.Sets, func(s *ruleset.Set) bool { return s.Flags&ruleset.SetKept != 0 }), nil
}

// joinSets puts the sets of all owners into a change.
func (e *Engine) joinSets(c *change) error {
	var before []*ruleset.Set
	if c.live != nil {
		var err error
		if before, err = declared(c.live.State); err != nil {
			return err
		}
	}
	after := slices.Clone(before)
	for _, edit := range c.sets {
		var err error
		if after, err = e.editedSets(c, after, edit); err != nil {
			return err
		}
	}
	c.after.Sets = after
	return nil
}

// editedSets are the sets with those of one owner changed.
func (e *Engine) editedSets(c *change, all []*ruleset.Set, edit *Change) ([]*ruleset.Set, error) {
	var kept, own []*ruleset.Set
	for _, s := range all {
		if s.Owner != edit.Owner {
			kept = append(kept, s)
			continue
		}
		full, err := e.filled(s)
		if err != nil {
			return nil, err
		}
		own = append(own, full)
	}
	wanted, err := edit.Sets(own)
	if err != nil {
		return nil, err
	}
	for _, s := range wanted {
		if s.Owner != edit.Owner || s.Flags&ruleset.SetKept != 0 {
			return nil, fmt.Errorf("set %s: it is none that %s declares", s.Name, edit.Owner)
		}
		if err := s.Check(); err != nil {
			return nil, err
		}
		if i := slices.IndexFunc(kept, func(k *ruleset.Set) bool { return k.Name == s.Name }); i >= 0 {
			return nil, fmt.Errorf("set %s: there is one of that name, of %s; give another name", s.Name, kept[i].Owner)
		}
		from, err := e.setBefore(own, s)
		if err != nil {
			return nil, err
		}
		if from == nil {
			kept = append(kept, s)
			continue
		}
		if err := c.changeSet(from, s); err != nil {
			return nil, err
		}
		bare := *s
		bare.Elements = nil
		kept = append(kept, &bare)
	}
	return kept, nil
}

// setBefore is the set that one is to replace: of those of this family, or of the other; nil:
// there is none.
func (e *Engine) setBefore(own []*ruleset.Set, s *ruleset.Set) (*ruleset.Set, error) {
	if i := slices.IndexFunc(own, func(o *ruleset.Set) bool { return o.Name == s.Name }); i >= 0 {
		return own[i], nil
	}
	return e.live(s)
}

// live is a set with the elements that it has now; nil if it is not there.
func (e *Engine) live(s *ruleset.Set) (*ruleset.Set, error) {
	in, err := e.data.Set(s)
	if err != nil || in == nil {
		return nil, err
	}
	out := *s
	out.Elements, err = in.Elements()
	return &out, errors.Join(err, in.Close())
}

// filled is a set with the elements that it has now, which must be there.
func (e *Engine) filled(s *ruleset.Set) (*ruleset.Set, error) {
	full, err := e.live(s)
	if full == nil && err == nil {
		err = fmt.Errorf("set %s: its elements are gone: remove the set, and make it again", s.Name)
	}
	return full, err
}

// changeSet writes down what makes one set of another.
func (c *change) changeSet(from, to *ruleset.Set) error {
	if !slices.Equal(from.Type, to.Type) || from.Flags != to.Flags || from.Room() != to.Room() {
		return fmt.Errorf("set %s: there is one of another type, size or kind; remove it first, or give another name", to.Name)
	}
	if from == to {
		return nil
	}
	edit := SetEdit{Name: to.Name}
	wanted, there := map[string]ruleset.Element{}, map[string]bool{}
	for _, el := range to.Elements {
		el.Timeout = cmp.Or(el.Timeout, to.Timeout)
		wanted[string(el.Key)] = el
	}
	for _, el := range from.Elements {
		w, stays := wanted[string(el.Key)]
		if !stays {
			edit.Delete = append(edit.Delete, el.Key)
		}
		// One that is there keeps the time that it has left.
		there[string(el.Key)] = (w.Timeout == 0) == (el.Timeout == 0)
	}
	for _, el := range to.Elements {
		if !there[string(el.Key)] {
			edit.Add = append(edit.Add, wanted[string(el.Key)])
		}
	}
	if len(edit.Add)+len(edit.Delete) > 0 {
		c.setEdits = append(c.setEdits, edit)
	}
	return nil
}

// pending is what is to be done to sets once a generation is enforced.
type pending struct {
	Generation uint32    `json:"generation"`
	Edits      []SetEdit `json:"edits"`
}

func (e *Engine) pendingFile() string { return filepath.Join(e.data.Dir(), "sets") }

// noteSets writes down what is to be done to sets.
func (e *Engine) noteSets(p *prepared) error {
	if len(p.setEdits) == 0 {
		if err := os.Remove(e.pendingFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	data, err := json.Marshal(pending{p.number, p.setEdits})
	if err != nil {
		return err
	}
	return writeWhole(e.pendingFile(), data)
}

// completeSets does what was written down, if it was for the generation that is enforced.
func (e *Engine) completeSets(live *Live) error {
	data, err := plainfile.Read(e.pendingFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var todo pending
	if err := json.Unmarshal(data, &todo); err != nil {
		return errors.Join(fmt.Errorf("%s: %w", e.pendingFile(), err), os.Remove(e.pendingFile()))
	}
	var errs []error
	if live != nil && live.State.Generation == todo.Generation {
		sets, err := declared(live.State)
		errs = append(errs, err)
		for _, edit := range todo.Edits {
			errs = append(errs, e.editSet(sets, edit))
			failpoint.At("set changed")
		}
	}
	return errors.Join(append(errs, os.Remove(e.pendingFile()))...)
}

// editSet changes the elements of one of some sets. Those that go make room for those that
// come.
func (e *Engine) editSet(sets []*ruleset.Set, edit SetEdit) error {
	i := slices.IndexFunc(sets, func(s *ruleset.Set) bool { return s.Name == edit.Name })
	if i < 0 {
		return fmt.Errorf("there is no set %s", edit.Name)
	}
	in, err := e.data.Set(sets[i])
	if err != nil || in == nil {
		return cmp.Or(err, fmt.Errorf("set %s: its elements are gone", edit.Name))
	}
	var errs []error
	for _, key := range edit.Delete {
		errs = append(errs, in.Delete(key))
	}
	for _, el := range edit.Add {
		if err := in.Add(el.Key, cmp.Or(el.Timeout, sets[i].Timeout)); err != nil {
			errs = append(errs, fmt.Errorf("set %s: %w", edit.Name, err))
			break
		}
	}
	return errors.Join(append(errs, in.Close())...)
}

// ChangeSet changes elements of a set of an owner where packets ask it, one by one, without a
// new generation. The caller holds the xtables lock.
func (e *Engine) ChangeSet(owner string, edit SetEdit) error {
	return e.claimed(func() error {
		live, err := e.settle()
		if err != nil {
			return err
		}
		defer live.Close()
		if live == nil {
			return fmt.Errorf("there is no set %s", edit.Name)
		}
		sets, err := declared(live.State)
		if err != nil {
			return err
		}
		return e.editSet(slices.DeleteFunc(sets, func(s *ruleset.Set) bool { return s.Owner != owner }), edit)
	})
}

// Sets are the sets that an owner has declared, with the elements that they have now.
func (e *Engine) Sets(owner string) (out []*ruleset.Set, err error) {
	live, err := e.Live()
	if err != nil || live == nil {
		return nil, err
	}
	defer live.Close()
	all, err := declared(live.State)
	if err != nil {
		return nil, err
	}
	for _, s := range all {
		if s.Owner != owner {
			continue
		}
		full, err := e.filled(s)
		if err != nil {
			return nil, err
		}
		out = append(out, full)
	}
	return out, nil
}

// addSets keeps the sets of a generation: those that owners have declared, and those that rules
// of iptables keep.
func (x *extra) addSets(rs *ruleset.Ruleset, p *plan.Plan) {
	for _, s := range rs.Sets {
		bare := *s
		bare.Elements = nil
		x.Sets = append(x.Sets, &bare)
	}
	for _, s := range p.Sets {
		switch {
		case s.Stamps != nil:
			x.addList(s.Name, s.Room)
		case s.Meter != nil:
			like := s.Meter.Metering
			x.Sets = append(x.Sets, &ruleset.Set{Name: s.Name, Owner: tables.Owner, Flags: ruleset.SetKept, Meter: &like})
		}
	}
}

// addList keeps a list of -m recent.
func (x *extra) addList(name string, room int) {
	x.Sets = append(x.Sets, &ruleset.Set{Name: name, Owner: tables.Owner, Flags: ruleset.SetStamps | ruleset.SetKept, Size: room})
}
