package apply

import (
	"errors"

	"github.com/bpftables/bpftables/bpf/failpoint"
)

// compiled is of how many rules code is made at most when they have rested: of more it takes seconds,
// in which other commands wait, and what a packet costs in a long ruleset are its lookups.
const compiled = 5000

// Interpreted gives a name of the rules as they are now, for Compile, where packets meet rows of
// which code could be made; else "".
func (e *Engine) Interpreted() (rules string, err error) {
	live, err := e.found()
	if err != nil || live == nil {
		return "", err
	}
	defer live.Close()
	classes, err := live.open()
	if err != nil || classes == nil || !classes.Rows().Interpreted() || classes.Rows().Slots() > compiled {
		return "", err
	}
	return versionName(live), nil
}

// Compile makes code of the rules, and the early stage anew, with a new generation of them, if they
// are still those that Interpreted or TendEarly has named. The programs of rows alone that the next change needs are there then, too.
// locked is as for Tend.
func (e *Engine) Compile(rules string, locked func(func() error) error) error {
	live, err := e.found()
	if err != nil || live == nil {
		return err
	}
	defer live.Close()
	if versionName(live) != rules {
		return nil
	}
	if err := e.renew(live, locked); err != nil {
		return err
	}
	return locked(func() error { return e.claimed(e.foresee) })
}

// foresee loads programs of rows alone for tables that are code.
func (e *Engine) foresee() error {
	live, err := e.found()
	if err != nil || live == nil {
		return err
	}
	defer live.Close()
	classes, err := live.open()
	if err != nil || classes == nil {
		return err
	}
	var errs []error
	for _, k := range classes.Rows().Kinds() {
		errs = append(errs, live.gen.Widen(k.Bases, k.Ops))
		failpoint.At("foreseen")
	}
	return errors.Join(errs...)
}
