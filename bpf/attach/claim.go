package attach

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/bpf/failpoint"

	"github.com/bpftables/bpftables/bpf/plainfile"
	"github.com/bpftables/bpftables/bpf/probe"
)

// Claim makes the space ready for changes until Release: what a namespace left behind that
// had the same number is removed, and so is what dead ones left. The caller holds the xtables
// lock. A process in another mount namespace, with a lock file of its own, is waited for.
func (s *Space) Claim() error {
	if s.lock != nil {
		return nil
	}
	if err := probe.MissingRights(); err != nil {
		return err
	}
	o := look(s.holder)
	if !o.inside && !mountNamespace(s.holder) {
		s.holder = holder() // an ancestor that has ended
		o = look(s.holder)
	}
	if err := o.mountPins(); err != nil {
		return probe.Refused(err)
	}
	if err := s.takeLock(); err != nil {
		return err
	}
	if err := s.claim(); err != nil {
		return errors.Join(err, s.Release())
	}
	return nil
}

func (s *Space) claim() error {
	foreign, err := s.foreign()
	if err != nil {
		return err
	}
	if foreign {
		if err := s.forget(); err != nil {
			return err
		}
	}
	failpoint.At("stale removed")
	if err := errors.Join(s.mark(), s.completePins()); err != nil {
		return err
	}
	if s.links, err = reap(s.netns, nil); err != nil {
		return fmt.Errorf("remove what namespaces left behind: %w", err)
	}
	return os.MkdirAll(s.Dir(), 0o700)
}

// forget removes what is left of the namespace that had the same number, and begins anew.
func (s *Space) forget() error {
	if err := errors.Join(s.Close(), removeNetns(s.netns)); err != nil {
		return err
	}
	if err := s.Release(); err != nil {
		return err
	}
	return s.takeLock()
}

// lockPrefix begins the names of directories beside the pins of a namespace that are there
// to be locked, one for each family: a change of both claims both.
const lockPrefix = "lock-"

// takeLock locks a directory beside the namespace's pins: it is the same in all mount
// namespaces. One that was removed meanwhile is of no use.
func (s *Space) takeLock() error {
	dir := filepath.Join(pinRoot, s.netns, lockPrefix+s.family.String())
	for {
		f, err := plainfile.Open(dir, os.O_RDONLY, 0)
		if errors.Is(err, os.ErrNotExist) {
			if err := os.MkdirAll(dir, 0o700); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		for err = unix.EINTR; err == unix.EINTR; {
			err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
		}
		if err == nil && leadsTo(dir, f) {
			s.lock = f
			return nil
		}
		f.Close()
		if err != nil {
			return fmt.Errorf("lock %s: %w", dir, err)
		}
	}
}

// Release ends what Claim began. Directories with nothing in them go.
func (s *Space) Release() error {
	f := s.lock
	if f == nil {
		return nil
	}
	s.lock, s.links = nil, nil
	_ = unix.Rmdir(s.Dir())
	if err := unix.Rmdir(s.Pins()); err == unix.ENOTEMPTY {
		return f.Close()
	}
	return errors.Join(s.leave(), f.Close())
}

// leadsTo says whether a path still leads to an open file.
func leadsTo(path string, f *os.File) bool {
	var x, y unix.Stat_t
	return unix.Stat(path, &x) == nil && unix.Fstat(int(f.Fd()), &y) == nil && x.Dev == y.Dev && x.Ino == y.Ino
}

// Pinned says whether anything of the space is pinned.
func (s *Space) Pinned() bool {
	_, err := os.Stat(s.Pins())
	return err == nil
}

// Claimed says whether Claim has been called.
func (s *Space) Claimed() bool { return s.lock != nil }
