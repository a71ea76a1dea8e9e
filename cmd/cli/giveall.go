package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bpftables/bpftables/bpf/attach"
	"github.com/bpftables/bpftables/bpf/thread"
	"github.com/bpftables/bpftables/compat/install"
	"github.com/bpftables/bpftables/compat/persist"
	"github.com/bpftables/bpftables/compat/takeover"
	"github.com/bpftables/bpftables/compat/theirs"
	"github.com/bpftables/bpftables/engine/apply"
	"github.com/bpftables/bpftables/engine/datapath"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// giveAll gives the rules of all network namespaces back, this one's last: while others have rules of
// ours, so has it.
func (s *streams) giveAll() error {
	own, err := attach.Netns()
	if err != nil {
		return err
	}
	all, err := attach.Occupied()
	if err != nil {
		return err
	}
	for _, netns := range all {
		if netns == own {
			continue
		}
		if err := s.giveIn(netns); err != nil {
			return fmt.Errorf("network namespace %s: %w", netns, err)
		}
	}
	for _, family := range bothOf {
		if err := s.giveOwn(family); err != nil {
			return err
		}
	}
	return nil
}

// giveIn gives the rules of another network namespace back, unless nothing but our links is left of
// it.
func (s *streams) giveIn(netns string) error {
	ns, err := attach.Find(netns)
	if err != nil || ns == nil {
		return err
	}
	defer ns.Close()
	fmt.Fprintf(s.out, "network namespace %s:\n", netns)
	return thread.Within(ns, func() error {
		for _, family := range bothOf {
			if err := s.withEngine(family, s.give); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *streams) give(e *apply.Engine) error { return takeover.New(e, s.caller, s.out).Give() }

// giveOwn gives the rules of this network namespace back: where the state of what is enforced is lost,
// those that were stored last.
func (s *streams) giveOwn(family packet.Family) error {
	return s.withEngine(family, func(e *apply.Engine) error {
		err := s.giveVanished(e)
		if err == nil {
			err = s.give(e)
		}
		if errors.Is(err, datapath.ErrLost) {
			err = s.giveLost(e, err)
		}
		if err != nil {
			return err
		}
		return install.Enforces(e.Dir(), false)
	})
}

// giveLost gives rules of which the state is lost, and why.
func (s *streams) giveLost(e *apply.Engine, why error) error {
	if s.found(e) {
		if err := s.give(e); !errors.Is(err, datapath.ErrLost) {
			return err
		}
	}
	path := persist.File(e.Family())
	text, err := stored(path)
	if err != nil || text == "" {
		return errors.Join(err, fmt.Errorf("%w; %s has no rules to give back in their place: write there what is to be enforced, then run remove-compat again", why, path))
	}
	return s.giveStored(e, why, path, text)
}

// found finds lost rules again: the state may be there, and a change puts what was removed back; or a
// package has kept the version that has made them.
func (s *streams) found(e *apply.Engine) bool {
	nothing := &apply.Request{Text: strings.NewReader(""), File: "nothing", NoFlush: true}
	if e.Restore(nothing) == nil {
		return true
	}
	previous := filepath.Join(install.Dir, "previous")
	_, err := os.Stat(previous)
	return err == nil && s.makeAnew(e, previous) == nil
}

// giveVanished gives stored rules back where rules were enforced in this boot, and neither they nor others
// are any more. Of a giving that was killed, others may be a part.
func (s *streams) giveVanished(e *apply.Engine) error {
	if vanished, err := s.vanished(e); err != nil || !vanished {
		return err
	}
	path := persist.File(e.Family())
	text, err := stored(path)
	if err != nil {
		return err
	}
	if text == "" {
		fmt.Fprintf(s.err, "bpftables: warning: %s: rules were enforced, and nothing is left of them; %s has none to give back\n", e.Family(), path)
		return nil
	}
	return s.giveStored(e, errors.New("rules were enforced, and nothing is left of them"), path, text)
}

// vanished says whether rules are gone that no command has removed. Where the rules are known and there are none,
// somebody has removed them: that is noted, for the case that this command is killed.
func (s *streams) vanished(e *apply.Engine) (bool, error) {
	ours, err := e.Current()
	if err != nil {
		return false, nil // something is left, and to give it says what is wrong
	}
	if ours != nil {
		if slices.ContainsFunc(ours.Tables, apply.Holds) {
			return false, nil
		}
		return false, install.Enforces(e.Dir(), false)
	}
	was, err := install.WasEnforcing(e.Dir())
	if err != nil || !was {
		return false, err
	}
	held, err := theirs.Open(e.Family(), e.Pins(), s.caller.Env).All()
	if err != nil || len(held) == 0 {
		return err == nil, err
	}
	return takeover.New(e, s.caller, s.out).Interrupted()
}

// noteEnforcing remembers of which families rules are enforced here. Of what cannot be told, nothing new is remembered.
func (s *streams) noteEnforcing() error {
	var errs []error
	for _, family := range bothOf {
		_ = s.withEngine(family, func(e *apply.Engine) error {
			held, err := e.Held()
			if err == nil {
				errs = append(errs, install.Enforces(e.Dir(), len(held) > 0))
			}
			return err
		})
	}
	return errors.Join(errs...)
}

// stored is the text of a file that has rules; "" if it has none, or is not there.
func stored(path string) (string, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !persist.Full(string(text)) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return string(text), nil
}

// giveStored gives the rules that were stored last, and says what that means.
func (s *streams) giveStored(e *apply.Engine, why error, path, text string) error {
	st, err := os.Stat(path)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.err, "bpftables: warning: %s: %v; given back is what %s has, of %s: changes since then, and counters, are lost\n",
		e.Family(), why, path, st.ModTime().Format("2006-01-02 15:04:05"))
	return takeover.New(e, s.caller, s.out).GiveText(text)
}
