package apply

import (
	"errors"
	"fmt"

	"github.com/bpftables/bpftables/bpf/failpoint"
	"github.com/bpftables/bpftables/engine/datapath"
	"github.com/bpftables/bpftables/ruleset/iptables"
)

// tendRows is from how many dead rows on Tend takes them out of the lists: before a
// command has to (wornRows).
const tendRows = wornRows / 4

// Tend keeps what changes in place leave behind from slowing packets down: dead rows are
// taken out of the lists, and rules that no table has room for get tables of their own in
// a new generation of the same rules. What takes long is done before locked is called,
// which runs a function under the xtables lock or, when another process has it, does not.
func (e *Engine) Tend(locked func(func() error) error) error {
	if err := e.data.Sweep(); err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	live, err := e.found()
	if err != nil || live == nil {
		return err
	}
	defer live.Close()
	classes, err := live.open()
	if err != nil || classes == nil {
		return err
	}
	switch {
	case classes.Rows().Crowded():
		return e.renew(live, locked)
	case classes.Rows().Worn() < tendRows:
		return nil
	}
	unlinked := classes.Rows().Unlinked()
	if err := e.data.Quiesce(); err != nil {
		return err
	}
	return locked(func() error {
		// Rows that a command has taken out of the lists meanwhile may still be met by packets that have come since.
		if !e.sees(live) || classes.Rows().Unlinked() != unlinked {
			return nil // its dead rows are for the next time
		}
		classes.Rows().Reclaim()
		failpoint.At("rows reclaimed")
		return nil
	})
}

// found is the live generation; nil also where something of it was removed, which Mend is for.
func (e *Engine) found() (*Live, error) {
	live, err := e.Live()
	if errors.Is(err, datapath.ErrLost) {
		return nil, nil
	}
	return live, err
}

// sees says whether a generation is live, at the version at which it was opened.
func (e *Engine) sees(live *Live) bool {
	number, err := e.data.Enforced()
	if err != nil || number != live.gen.Number() {
		return false
	}
	version, err := live.version()
	return err == nil && version == live.State.Version
}

// renew makes a new generation of the same rules.
func (e *Engine) renew(live *Live, locked func(func() error) error) error {
	rs, err := e.rules(live.State, "", nil)
	if err != nil {
		return err
	}
	c := &change{live: live, before: rs, after: rs, report: iptables.Report{}, filled: true}
	p, err := e.prepare(c)
	if err != nil && !e.sees(live) {
		return nil // as below
	}
	if err != nil {
		return err
	}
	return errors.Join(locked(func() error {
		if !e.sees(live) || !live.State.Carried {
			return nil // the rules have changed meanwhile: the next time
		}
		return e.claimed(func() error { return e.install(p) })
	}), p.Close())
}

// Mend puts back what someone has removed of what is enforced: links, and what netfilter was
// given; locked is as for Tend.
func (e *Engine) Mend(locked func(func() error) error) error {
	if whole, err := e.whole(); err != nil || whole {
		return err
	}
	return locked(func() error {
		return e.claimed(func() error {
			live, err := e.settle()
			return errors.Join(err, e.gone, live.Close())
		})
	})
}

// whole says whether nothing is missing of what is enforced.
func (e *Engine) whole() (bool, error) {
	live, err := e.Live()
	if errors.Is(err, datapath.ErrLost) {
		return false, nil
	}
	if err != nil || live == nil {
		return true, err
	}
	lost, err := e.lost(live)
	return len(lost) == 0, errors.Join(err, live.Close())
}

func (e *Engine) lost(live *Live) ([]string, error) {
	enforced, err := e.enforced(live)
	if err != nil {
		return nil, err
	}
	return e.data.Lost(enforced)
}
