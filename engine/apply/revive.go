package apply

import (
	"errors"
	"fmt"
	"slices"

	"github.com/bpftables/bpftables/bpf/failpoint"
	"github.com/bpftables/bpftables/engine/state"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables"
)

// revive enforces again what was enforced when somebody removed programs or pins: a new
// generation of the rules in the state, with the counters that were written down. false: there
// is no state that can be read.
func (e *Engine) revive() (bool, error) {
	st, err := e.remembered()
	if err != nil || st == nil {
		return false, err
	}
	defer st.Close()
	c, err := e.again(st)
	if err != nil {
		return false, err
	}
	failpoint.At("remembered")
	p, err := e.prepare(c)
	if err != nil {
		return false, err
	}
	defer p.Close()
	if err := e.enforce(p); err != nil {
		return false, err
	}
	failpoint.At("revived")
	return true, e.unsweep() // what the removed generation has left is looked for
}

// remembered is the state of what was enforced last; nil when there is none.
func (e *Engine) remembered() (*state.Store, error) {
	m := e.marked()
	if m == nil {
		return nil, nil
	}
	states, err := state.Others(e.data.Dir(), 0)
	if err != nil || len(states) == 0 {
		return nil, err
	}
	number := m.Generation
	if !slices.Contains(states, number) {
		number = states[len(states)-1] // it was removed after the next one was enforced
	}
	st, err := state.Newest(e.data.Dir(), number)
	if errors.Is(err, state.ErrUnreadable) {
		return nil, nil
	}
	return st, err
}

// again is a change from nothing to the rules of a state, of all owners.
func (e *Engine) again(st *state.Store) (*change, error) {
	rs, err := e.rules(st, "", nil)
	if err != nil {
		return nil, err
	}
	others, err := e.readOthers(st, nil)
	if err != nil {
		return nil, err
	}
	rs.Tables = append(slices.Clone(rs.Tables), others...)
	if rs.Sets, err = e.setsAgain(st); err != nil {
		return nil, err
	}
	x, err := readExtra(st)
	if err != nil {
		return nil, err
	}
	return &change{
		before: &ruleset.Ruleset{Family: e.family}, after: rs, report: iptables.Report{}, filled: true, joined: true,
		was: x.Datapath,
	}, nil
}

// setsAgain are the sets that owners have declared, with the elements that the other family
// still has.
func (e *Engine) setsAgain(st *state.Store) ([]*ruleset.Set, error) {
	all, err := declared(st)
	if err != nil {
		return nil, err
	}
	for i, s := range all {
		full, err := e.live(s)
		if err != nil {
			return nil, err
		}
		if full != nil {
			all[i] = full
		}
	}
	return all, nil
}

// replace decides what a change does about rules of which something is missing: they are put back
// from their state, or e.gone says that they are to be replaced.
func (e *Engine) replace(why error) error {
	revived, err := false, error(nil)
	if !errors.Is(why, state.ErrUnreadable) && !errors.Is(why, state.ErrStale) {
		revived, err = e.revive()
	}
	if err != nil {
		why = fmt.Errorf("%w (they cannot be put back: %w)", why, err)
	}
	if revived {
		return err
	}
	e.gone = why
	return e.unsweep()
}
