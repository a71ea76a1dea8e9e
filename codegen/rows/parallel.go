package rows

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// parallel calls do with each number below n, on all processors. What it does must not
// depend on their order.
func parallel(n int, do func(i int)) {
	var next atomic.Int64
	var all sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	all.Wait()
}
