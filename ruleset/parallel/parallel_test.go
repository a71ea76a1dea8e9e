package parallel_test

import (
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/bpftables/bpftables/ruleset/parallel"
)

func TestEach(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, processors := range []int{1, 2, 7} {
		runtime.GOMAXPROCS(processors)
		for _, n := range []int{0, 1, 6, 1000} {
			done := make([]atomic.Int32, n)
			parallel.Each(n, func(i int) { done[i].Add(1) })
			for i := range done {
				if times := done[i].Load(); times != 1 {
					t.Fatalf("%d processors: part %d of %d was done %d times", processors, i, n, times)
				}
			}
		}
	}
}
