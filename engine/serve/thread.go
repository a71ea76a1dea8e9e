package serve

import (
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/ruleset/parallel"
)

// onThread calls f on a thread that ends with it, so that f may move it to another
// namespace, and waits. When f panics, so does onThread.
func onThread(f func()) {
	done, guarded := make(chan *parallel.Thrown, 1), parallel.Guard(f)
	go spare(func() { done <- guarded() })
	if thrown := <-done; thrown != nil {
		panic(thrown)
	}
}

// spare calls f on a thread that ends with it. It must be the whole of a goroutine.
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
