// Package lock takes the lock that all iptables tools of a host share.
//
// In: how long to wait. Out: a held lock, or ErrBusy, for which the legacy tools
// exit with status 4. The file is /run/xtables.lock unless XTABLES_LOCKFILE names
// another one (iptables/xshared.c, xtables_lock()).
package lock

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/compat/caller"
)

// ErrBusy says that another process holds the lock.
var ErrBusy = errors.New("another app is currently holding the xtables lock")

// DefaultFile is the lock file of iptables.
const DefaultFile = "/run/xtables.lock"

// Forever is the wait of -w without a number.
const Forever = time.Duration(-1)

// poll is how often a waiting process tries again.
const poll = 20 * time.Millisecond

// Lock is a held lock.
type Lock struct{ file *os.File }

// FileEnv names another lock file.
const FileEnv = "XTABLES_LOCKFILE"

// ErrGone says that the one who wanted the lock has gone.
var ErrGone = errors.New("the caller is gone; nothing has changed")

// File is the path of the lock file, by the value of FileEnv.
func File(env string) string {
	if env != "" {
		return env
	}
	return DefaultFile
}

// Acquire takes the lock for a caller. It waits for at most the given time, and as long
// as the caller is there: 0 does not wait, Forever has no end. The error wraps
// ErrBusy when the lock is held by another.
func Acquire(wait time.Duration, c *caller.Caller) (*Lock, error) {
	f, err := os.OpenFile(File(c.Getenv(FileEnv)), os.O_CREATE|os.O_RDONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("xtables lock: %w", err)
	}
	deadline := time.Now().Add(wait)
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil && c.Gone() {
			f.Close()
			return nil, ErrGone
		}
		if err == nil {
			return &Lock{f}, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			f.Close()
			return nil, fmt.Errorf("xtables lock %s: %w", f.Name(), err)
		}
		if wait != Forever && !time.Now().Before(deadline) {
			f.Close()
			return nil, busy(wait)
		}
		if c.Gone() {
			f.Close()
			return nil, ErrGone
		}
		time.Sleep(poll)
	}
}

func busy(wait time.Duration) error {
	if wait == 0 {
		return fmt.Errorf("%w; wait for it with -w", ErrBusy)
	}
	return fmt.Errorf("%w; stopped waiting after %s", ErrBusy, wait)
}

// Release gives the lock back.
func (l *Lock) Release() error { return l.file.Close() }
