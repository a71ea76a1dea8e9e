package thread_test

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/bpf/thread"
)

// The first thread of the process never runs such a function: it could not end with it.
func TestDo(t *testing.T) {
	for range 200 {
		thread.Do(func() {
			if unix.Gettid() == unix.Getpid() {
				t.Fatal("on the first thread")
			}
			if err := unix.Unshare(unix.CLONE_FS); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// What a function gives, or panics with, is its caller's.
func TestWithin(t *testing.T) {
	ns, err := os.Open("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	want := errors.New("as the test wants it")
	if err := thread.Within(ns, func() error { return want }); !errors.Is(err, want) && !errors.Is(err, unix.EPERM) {
		t.Error(err)
	}
	none, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer none.Close()
	if err := thread.Within(none, func() error { t.Error("it was called"); return nil }); err == nil {
		t.Error("no network namespace, and no error")
	}
	defer func() {
		if why := recover(); why == nil {
			t.Error("the panic is lost")
		}
	}()
	thread.Do(func() { panic("as the test wants it") })
}
