package apply

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/bpftables/bpftables/bpf/failpoint"
	"github.com/bpftables/bpftables/engine/datapath"
	"github.com/bpftables/bpftables/engine/state"
	"github.com/bpftables/bpftables/ruleset"
)

// claimed runs a change. Readers never claim: they make and remove nothing.
func (e *Engine) claimed(change func() error) error {
	if e.data.Claimed() {
		return change()
	}
	if err := e.data.Claim(); err != nil {
		return err
	}
	return errors.Join(change(), e.data.Release())
}

// settle completes the switch to the live generation, removes all others, and gives
// the live one, nil when there is none. Where somebody has removed programs, pins or files, the
// rules are put back from their state; without one it gives nil as well, and e.gone says so:
// what is still enforced stays until the next generation is.
func (e *Engine) settle() (*Live, error) {
	if err := e.resume(); err != nil {
		return nil, err
	}
	live, err := e.Live()
	if e.gone = nil; errors.Is(err, datapath.ErrLost) {
		if err := e.replace(err); err != nil || e.gone != nil {
			return nil, err
		}
		live, err = e.Live()
	}
	if err != nil {
		return nil, err
	}
	if err := errors.Join(e.completeSets(live), e.complete(live)); err != nil {
		return nil, errors.Join(err, live.Close())
	}
	if live == nil {
		return nil, nil
	}
	e.mark(live)
	enforced, err := e.enforced(live)
	if err == nil {
		err = e.data.Mend(enforced)
	}
	if err != nil {
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
	others, err := state.Others(e.data.Dir(), keep)
	if err != nil || len(others) == 0 && carried && e.swept() {
		return err
	}
	if err := e.data.Quiesce(); err != nil {
		return err
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
	enforced, err := e.enforced(live)
	if err != nil {
		return err
	}
	if err := e.data.Retire(enforced); err != nil {
		return err
	}
	if err := state.Remove(e.data.Dir(), keep); err != nil {
		return err
	}
	return e.sweep()
}

// sweptFile tells that the datapath has nothing of ours but generations that have a state.
// Where somebody removed our files it is missing: then everything is looked for.
const sweptFile = "swept"

func (e *Engine) swept() bool {
	_, err := os.Stat(filepath.Join(e.data.Dir(), sweptFile))
	return err == nil
}

// sweep records that everything was looked for.
func (e *Engine) sweep() error {
	f, err := os.OpenFile(filepath.Join(e.data.Dir(), sweptFile), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil // a full disk: the next change looks again
	}
	return f.Close()
}

// unsweep makes the next change look for everything once its rules are enforced.
func (e *Engine) unsweep() error {
	if err := os.Remove(filepath.Join(e.data.Dir(), sweptFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
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
		if err := errors.Join(e.unmark(), e.drop(), e.data.Retire(nil)); err != nil {
			return err
		}
		return os.RemoveAll(e.data.Dir())
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
	return e.apply(&change{live: live, before: none, after: none, early: datapath.EarlyOff})
}
