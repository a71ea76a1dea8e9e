package serve

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// onThread calls f on a thread that ends with it, so that f may move it to another
// namespace, and waits.
func onThread(f func()) {
	done := make(chan struct{})
	go spare(func() {
		defer close(done)
		f()
	})
	<-done
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
