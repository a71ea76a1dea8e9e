// Package parallel does the same with many parts of a ruleset on all processors.
//
// In: how many parts there are, and what to do with each. Out: nothing; what is done with
// a part depends on the part alone, so that results are the same on any machine.
package parallel

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// Thrown is a panic of another goroutine, which whoever waited for it panics with: it ends the
// command that it belongs to, and no other command of the process.
type Thrown struct {
	Value any
	Stack []byte // of the goroutine
}

// Error is the panic's text, with the stack.
func (t *Thrown) Error() string { return fmt.Sprintf("%v\n\n%s", t.Value, t.Stack) }

// Guard gives what runs a function in another goroutine of the same command: with the caller's
// answer to faults of memory, such as a mapped file that was cut (debug.SetPanicOnFault), which
// a goroutine does not inherit. thrown is what it panicked with, nil when it did not.
func Guard(f func()) (run func() (thrown *Thrown)) {
	fault := debug.SetPanicOnFault(false)
	debug.SetPanicOnFault(fault)
	return func() (thrown *Thrown) {
		defer debug.SetPanicOnFault(debug.SetPanicOnFault(fault))
		defer func() {
			if why := recover(); why != nil {
				thrown = &Thrown{why, debug.Stack()}
			}
		}()
		f()
		return nil
	}
}

// Each calls do with each number below n, several at a time, and returns when all are done.
// What it does must not depend on their order. When it panics, so does Each, in the goroutine
// of its caller.
func Each(n int, do func(i int)) {
	workers := min(n, runtime.GOMAXPROCS(0))
	if workers <= 1 {
		for i := range n {
			do(i)
		}
		return
	}
	var next atomic.Int64
	var all sync.WaitGroup
	var first atomic.Pointer[Thrown]
	work := Guard(func() {
		for i := int(next.Add(1)) - 1; i < n && first.Load() == nil; i = int(next.Add(1)) - 1 {
			do(i)
		}
	})
	for range workers {
		all.Go(func() {
			if thrown := work(); thrown != nil {
				first.CompareAndSwap(nil, thrown)
			}
		})
	}
	all.Wait()
	if thrown := first.Load(); thrown != nil {
		panic(thrown)
	}
}
