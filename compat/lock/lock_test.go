package lock

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bpftables/bpftables/compat/caller"
)

// TestAside: a command of the same process does not fail because of work in the
// background, which does not begin while a command runs.
func TestAside(t *testing.T) {
	t.Setenv("XTABLES_LOCKFILE", filepath.Join(t.TempDir(), "lock"))
	self := caller.Self(nil, nil, nil)
	work, err := Aside(self)
	if err != nil {
		t.Fatal(err)
	}
	got, begins := make(chan error), make(chan bool)
	var released atomic.Bool
	go func() {
		close(begins)
		command, err := Acquire(0, self)
		if err == nil && !released.Load() {
			err = errors.New("the command did not wait")
		}
		if err == nil {
			if _, e := Aside(self); !errors.Is(e, ErrBusy) {
				err = fmt.Errorf("work aside a command: %v", e)
			}
			err = errors.Join(err, command.Release())
		}
		got <- err
	}()
	<-begins
	released.Store(true)
	if err := work.Release(); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil {
		t.Error(err)
	}
	other, err := Acquire(0, self)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Release()
	if _, err := Acquire(0, self); !errors.Is(err, ErrBusy) {
		t.Errorf("aside a command: %v, want busy", err)
	}
}

func TestAcquire(t *testing.T) {
	t.Setenv("XTABLES_LOCKFILE", filepath.Join(t.TempDir(), "lock"))
	self := caller.Self(nil, nil, nil)
	first, err := Acquire(0, self)
	if err != nil {
		t.Fatal(err)
	}
	for _, wait := range []time.Duration{0, 30 * time.Millisecond} {
		if _, err := Acquire(wait, self); !errors.Is(err, ErrBusy) {
			t.Errorf("wait %v: %v, want busy", wait, err)
		}
	}
	got := make(chan error)
	go func() {
		second, err := Acquire(Forever, self)
		if err == nil {
			err = second.Release()
		}
		got <- err
	}()
	if err := first.Release(); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil {
		t.Errorf("after release: %v", err)
	}
}
