package apply

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/bpftables/bpftables/bpf/attach"
	"github.com/bpftables/bpftables/bpf/failpoint"
	"github.com/bpftables/bpftables/engine/state"
	"github.com/bpftables/bpftables/ruleset"
)

// claimed runs a change. Readers never claim: they make and remove nothing.
func (e *Engine) claimed(change func() error) error {
	if e.space.Claimed() {
		return change()
	}
	if err := e.space.Claim(); err != nil {
		return err
	}
	return errors.Join(change(), e.space.Release())
}

// settle completes the switch to the live generation, removes all others, and gives
// the live one, nil when there is none. Where the files of the live one are gone, it gives
// nil as well, and e.gone says so: what is enforced stays until the next generation is.
func (e *Engine) settle() (*Live, error) {
	if err := e.resume(); err != nil {
		return nil, err
	}
	live, err := e.Live()
	if e.gone = nil; errors.Is(err, attach.ErrLost) {
		e.gone = err
		return nil, e.unsweep()
	}
	if err != nil {
		return nil, err
	}
	if err := e.complete(live); err != nil {
		return nil, errors.Join(err, live.Close())
	}
	if live == nil {
		return nil, nil
	}
	if err := errors.Join(e.space.Mend(live.State.Generation), e.mend(live)); err != nil {
		return nil, errors.Join(err, live.Close())
	}
	return live, nil
}

// complete does for settle what is left to do.
func (e *Engine) complete(live *Live) error {
	keep, carried := uint32(0), true
	if live != nil {
		keep, carried = live.State.Generation, live.State.Carried
	}
	others, err := state.Others(e.space.Dir(), keep)
	if err != nil || len(others) == 0 && carried && e.swept() {
		return err
	}
	if live != nil || e.space.Pinned() {
		if err := attach.Quiesce(); err != nil {
			return err
		}
	}
	if !carried {
		// Until here the old generation may have counted.
		err := e.carry(live, live.State.Carry)
		if errors.Is(err, errRetired) {
			err = live.State.Carry(nil)
		}
		if err != nil {
			return err
		}
	}
	failpoint.At("carried")
	if err := e.removeRest(keep, live != nil && live.State.Conntrack); err != nil {
		return err
	}
	if err := e.space.RemoveStrays(); err != nil {
		return err
	}
	return e.sweep()
}

// removeRest removes everything of ours that does not belong to a generation.
func (e *Engine) removeRest(keep uint32, conntrack bool) error {
	if err := e.netfilter.keep(keep, e.space.Pins()); err != nil {
		return err
	}
	failpoint.At("cleaned")
	if !conntrack {
		if err := e.netfilter.own.ConntrackOff(); err != nil {
			return err
		}
	}
	failpoint.At("conntrack off")
	if keep == 0 && !e.space.Pinned() {
		return state.Remove(e.space.Dir(), keep)
	}
	if err := e.space.Retire(keep); err != nil {
		return err
	}
	failpoint.At("retired")
	if keep == 0 { // the directories are gone, too
		return errors.Join(e.space.Release(), e.space.Claim())
	}
	return state.Remove(e.space.Dir(), keep)
}

// sweptFile tells that netfilter has no rules of ours but those of generations that have a
// state. Where somebody removed our files it is missing: then everything is looked for.
const sweptFile = "swept"

func (e *Engine) swept() bool {
	_, err := os.Stat(filepath.Join(e.space.Dir(), sweptFile))
	return err == nil
}

// sweep notes that everything was looked for.
func (e *Engine) sweep() error {
	f, err := os.OpenFile(filepath.Join(e.space.Dir(), sweptFile), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil // a full disk: the next change looks again
	}
	return f.Close()
}

// unsweep makes the next change look for everything once its rules are enforced.
func (e *Engine) unsweep() error {
	if err := os.Remove(filepath.Join(e.space.Dir(), sweptFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("state: %w", err)
	}
	return nil
}

// FlushAll removes everything of ours in this family. Before anything of it is taken apart, a
// generation without rules is enforced: however far it comes, packets meet all rules or none.
func (e *Engine) FlushAll() error {
	return e.claimed(func() error {
		// Where that cannot be, because files are damaged or the disk is full, the rules
		// are removed all the same.
		_ = e.enforceNothing()
		failpoint.At("left")
		if err := e.netfilter.keep(0, e.space.Pins()); err != nil {
			return err
		}
		failpoint.At("cleaned")
		if err := e.space.RemoveEarly(); err != nil {
			return err
		}
		failpoint.At("early removed")
		return errors.Join(e.drop(), e.space.RemoveStrays(), e.space.RemoveAll())
	})
}

// enforceNothing switches to a generation without rules, if one with rules is live.
func (e *Engine) enforceNothing() error {
	live, err := e.settle()
	if err != nil || live == nil && e.gone == nil {
		return err
	}
	defer live.Close()
	none := &ruleset.Ruleset{Family: e.family}
	return e.apply(&change{live: live, before: none, after: none, early: attach.EarlyOff})
}
