// Package parallel does the same with many parts of a ruleset on all processors.
//
// In: how many parts there are, and what to do with each. Out: nothing; what is done with
// a part depends on the part alone, so that results are the same on any machine.
package parallel

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Each calls do with each number below n, several at a time, and returns when all are done.
// What it does must not depend on their order.
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
	for range workers {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	all.Wait()
}
