// Package thread runs functions on threads of their own, which may be moved to other namespaces.
//
// In: a function, and perhaps a network namespace. Out: what the function gives. A thread ends with its
// function, so that nothing else ever runs where it has been moved to.
package thread

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/ruleset/parallel"
)

// Do calls f on a thread that ends with it, and waits. When f panics, so does Do.
func Do(f func()) {
	done, guarded := make(chan *parallel.Thrown, 1), parallel.Guard(f)
	Go(func() { done <- guarded() })
	if thrown := <-done; thrown != nil {
		panic(thrown)
	}
}

// Within calls f on such a thread in a network namespace.
func Within(ns *os.File, f func() error) (err error) {
	Do(func() {
		if err = os.NewSyscallError("setns", unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)); err == nil {
			err = f()
		}
	})
	return err
}

// Go calls f on a thread that ends with it, and does not wait.
func Go(f func()) { go spare(f) }

// spare is the whole of a goroutine.
func spare(f func()) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		// The first thread never ends: it must stay where the process began. This
		// goroutine holds it, while another one goes on.
		go spare(f)
		select {}
	}
	f()
}
