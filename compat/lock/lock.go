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
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/bpf/plainfile"
	"github.com/bpftables/bpftables/compat/caller"
)

// ErrBusy says that another process holds the lock.
var ErrBusy = errors.New("another app is currently holding the xtables lock")

// DefaultFile is the lock file of iptables.
const DefaultFile = "/run/xtables.lock"

// Forever is the wait of -w without a number.
const Forever = time.Duration(-1)

// Seconds is the wait of "-w N". As with iptables-legacy 1.8.9, 0 has no end, and -w need not be given for
// that (xtables_lock(), iptables/xshared.c).
func Seconds(n int) time.Duration {
	if n <= 0 {
		return Forever
	}
	return time.Duration(n) * time.Second
}

// poll is how often a waiting process tries again.
const poll = 20 * time.Millisecond

// Lock is a held lock.
type Lock struct {
	file  *os.File
	aside bool // see Aside
	by    *caller.Caller
}

// aside has the files of the locks that Aside took.
var aside = struct {
	sync.Mutex
	held map[string]bool
}{held: map[string]bool{}}

func isAside(file string) bool {
	aside.Lock()
	defer aside.Unlock()
	return aside.held[file]
}

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

func open(c *caller.Caller) (*os.File, error) {
	f, err := plainfile.Open(File(c.Getenv(FileEnv)), os.O_CREATE|os.O_RDONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("xtables lock: %w", err)
	}
	return f, nil
}

// Aside takes the lock for work that nobody has asked for, if nobody has it: the error wraps
// ErrBusy otherwise. Who acquires it in this process meanwhile waits, however long he
// would wait for others: what he does must not fail because of such work.
func Aside(c *caller.Caller) (*Lock, error) {
	aside.Lock()
	defer aside.Unlock()
	f, err := open(c)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = busy(0)
		}
		return nil, err
	}
	aside.held[f.Name()] = true
	return &Lock{file: f, aside: true, by: c}, nil
}

// Acquire takes the lock for a caller. It waits for at most the given time, and as long
// as the caller is there: 0 does not wait, Forever has no end. The error wraps
// ErrBusy when the lock is held by another. What the caller prints until Release is kept until
// then: who reads it slowly, or not at all, must not hold others up.
func Acquire(wait time.Duration, c *caller.Caller) (*Lock, error) {
	f, err := open(c)
	if err != nil {
		return nil, err
	}
	deadline := time.Now().Add(wait)
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil && c.Gone() {
			f.Close()
			return nil, ErrGone
		}
		if err == nil {
			c.Hold()
			return &Lock{file: f, by: c}, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			f.Close()
			return nil, fmt.Errorf("xtables lock %s: %w", f.Name(), err)
		}
		if wait != Forever && !time.Now().Before(deadline) && !isAside(f.Name()) {
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
		return ErrBusy
	}
	return fmt.Errorf("%w; stopped waiting after %s", ErrBusy, wait)
}

// Release gives the lock back, and lets out what the caller has printed meanwhile.
func (l *Lock) Release() error {
	defer l.by.Let()
	if l.aside {
		aside.Lock()
		defer aside.Unlock()
		delete(aside.held, l.file.Name())
	}
	return l.file.Close()
}
