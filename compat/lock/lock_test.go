package lock

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/bpftables/bpftables/compat/caller"
)

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
