package apply

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/bpftables/bpftables/bpf/failpoint"
	"github.com/bpftables/bpftables/bpf/plainfile"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// Change is what one owner wants of one family.
type Change struct {
	Engine *Engine // of the family
	Owner  string
	// Edit gets the owner's tables as they are enforced and gives those that are to be. A
	// rule that is the same value goes on counting.
	// nil: they stay.
	Edit func(before []*ruleset.Table) ([]*ruleset.Table, error)
	// Sets gets the owner's sets with the elements that they have now, and gives those that are
	// to be. One that is the same value stays as it is, whatever packets do to it meanwhile;
	// of others with the name of one that is there, the elements are changed in place. nil:
	// all stay. iptables has none: its rules declare those that they keep.
	Sets func(before []*ruleset.Set) ([]*ruleset.Set, error)
}

// Apply makes changes of any owners and families as one: all of them, or none. The caller
// holds the xtables lock. Each family is switched by one write; what is to be switched is
// written down before the first, so that the next command completes what a killed one left.
func Apply(changes ...Change) error {
	engines, of := byEngine(changes)
	return claimAll(engines, func() error { return applyAll(engines, of) })
}

// claimAll runs a change of both families.
func claimAll(engines []*Engine, change func() error) error {
	if len(engines) == 0 {
		return change()
	}
	return engines[0].claimed(func() error { return claimAll(engines[1:], change) })
}

func applyAll(engines []*Engine, of map[*Engine][]*Change) error {
	var ready []*prepared
	for _, e := range engines {
		live, err := e.settle()
		if err != nil {
			return err
		}
		defer live.Close()
		c, err := e.merged(live, of[e])
		if err != nil {
			return err
		}
		p, err := e.prepare(c)
		if err != nil {
			return errors.Join(err, giveUp(engines))
		}
		defer p.Close()
		// What is staged is found by the next family: a set is one for both.
		if err := e.stage(p); err != nil {
			return errors.Join(err, giveUp(engines))
		}
		ready = append(ready, p)
	}
	if err := switchAll(engines, ready); err != nil {
		return err
	}
	var errs []error
	for _, e := range engines {
		errs = append(errs, e.finish())
		_ = e.follow()
	}
	return errors.Join(errs...)
}

// byEngine gives the engines in the order in which they are first named.
func byEngine(changes []Change) (engines []*Engine, of map[*Engine][]*Change) {
	of = map[*Engine][]*Change{}
	for i := range changes {
		c := &changes[i]
		if of[c.Engine] == nil {
			engines = append(engines, c.Engine)
		}
		of[c.Engine] = append(of[c.Engine], c)
	}
	return engines, of
}

// merged is the change of a family that some owners want.
func (e *Engine) merged(live *Live, wanted []*Change) (*change, error) {
	before, err := e.before(live, true)
	if err != nil {
		return nil, err
	}
	c := &change{live: live, before: before, after: before, filled: true}
	for _, w := range wanted {
		if w.Sets != nil {
			c.sets = append(c.sets, w)
		}
		if w.Edit == nil {
			continue
		}
		if w.Owner != tables.Owner {
			c.edits = append(c.edits, w)
			continue
		}
		after, err := w.Edit(c.after.Tables)
		if err != nil {
			return nil, err
		}
		c.after = &ruleset.Ruleset{Family: e.family, Tables: after}
	}
	return c, nil
}

// giveUp removes what was staged of a change that failed.
func giveUp(engines []*Engine) error {
	var errs []error
	for _, e := range engines {
		live, err := e.settle()
		errs = append(errs, err, live.Close())
	}
	return errors.Join(errs...)
}

// switchAll switches the families to what is staged.
func switchAll(engines []*Engine, ready []*prepared) error {
	if len(engines) > 1 {
		if err := announce(engines, ready); err != nil {
			return errors.Join(err, giveUp(engines))
		}
	}
	failpoint.At("announced")
	for _, p := range ready {
		if err := p.activate(); err != nil {
			return err
		}
		failpoint.At("activated")
	}
	if len(engines) > 1 {
		return os.Remove(engines[0].switchFile())
	}
	return nil
}

// switchFile names the generations of both families that are to be live. From the moment
// on that it is there, they are; who finds it makes them so.
func (e *Engine) switchFile() string { return filepath.Join(filepath.Dir(e.data.Dir()), "switch") }

func announce(engines []*Engine, ready []*prepared) error {
	numbers := map[packet.Family]uint32{}
	for i, e := range engines {
		numbers[e.family] = ready[i].number
	}
	data, err := json.Marshal(numbers)
	if err != nil {
		return err
	}
	return writeWhole(engines[0].switchFile(), data)
}

// writeWhole writes a file that others read whole or not at all.
func writeWhole(path string, data []byte) error {
	temporary := path + ".new"
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.Write(data); err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	failpoint.At("switch beside")
	return os.Rename(temporary, path)
}

// resume completes the switch of both families that a killed process announced.
func (e *Engine) resume() error {
	data, err := plainfile.Read(e.switchFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var numbers map[packet.Family]uint32
	if err := json.Unmarshal(data, &numbers); err != nil {
		return fmt.Errorf("%s: %w; remove it, and load the rules again", e.switchFile(), err)
	}
	for family, number := range numbers {
		if err := e.activate(family, number); err != nil {
			return err
		}
	}
	return os.Remove(e.switchFile())
}

// activate makes a staged generation live, unless it is, or something came after it.
func (e *Engine) activate(family packet.Family, number uint32) error {
	data, err := e.open(family)
	if err != nil {
		return err
	}
	enforced, err := data.Enforced()
	if err != nil || enforced >= number {
		return errors.Join(err, data.Close())
	}
	gen, err := data.Open(number)
	if err != nil || gen == nil {
		return errors.Join(err, data.Close())
	}
	return errors.Join(gen.Activate(), gen.Close(), data.Close())
}
