package apply

import (
	"errors"
	"fmt"

	"github.com/bpftables/bpftables/bpf/attach"
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
	if err := e.space.SweepSets(); err != nil {
		return fmt.Errorf("sweep named sets: %w", err)
	}
	live, err := e.Live()
	if err != nil || live == nil {
		return err
	}
	defer live.Close()
	if err := e.tendLinks(live, locked); err != nil {
		return err
	}
	classes, err := live.open()
	if err != nil || classes == nil {
		return err
	}
	switch {
	case classes.Crowded():
		return e.renew(live, locked)
	case classes.Worn() < tendRows:
		return nil
	}
	if err := attach.Quiesce(); err != nil {
		return err
	}
	return locked(func() error {
		if !e.sees(live) {
			return nil // its dead rows are for the next time
		}
		classes.Reclaim()
		return nil
	})
}

// sees says whether a generation is live, at the version at which it was opened.
func (e *Engine) sees(live *Live) bool {
	number, err := e.space.Enforced()
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
	mode, err := earlyMode("", live)
	if err != nil {
		return err
	}
	c := &change{live: live, before: rs, after: rs, report: iptables.Report{}, filled: true, early: mode}
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

// tendLinks links again what somebody has detached.
func (e *Engine) tendLinks(live *Live, locked func(func() error) error) error {
	detached, err := e.space.Detached(live.gen.Number())
	if err != nil || len(detached) == 0 {
		return err
	}
	return locked(func() error {
		if !e.sees(live) {
			return nil
		}
		return e.claimed(func() error { return e.space.Mend(live.gen.Number()) })
	})
}
