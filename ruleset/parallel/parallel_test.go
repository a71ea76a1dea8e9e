package parallel_test

import (
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"syscall"
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

// A panic in a part is one of the caller, who may recover from it; so is a fault of memory,
// where he has asked for that.
func TestPanic(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	cut := cutFile(t)
	for want, do := range map[string]func(int){
		"as the test wants it": func(i int) {
			if i == 70 {
				panic("as the test wants it")
			}
		},
		"invalid memory address": func(i int) {
			if i == 70 {
				t.Log(cut[0])
			}
		},
	} {
		func() {
			defer func() {
				thrown, ok := recover().(*parallel.Thrown)
				if !ok || !strings.Contains(thrown.Error(), want) || !strings.Contains(thrown.Error(), "TestPanic") {
					t.Errorf("recovered %v, want %q with its stack", thrown, want)
				}
			}()
			parallel.Each(100, do)
		}()
	}
}

// cutFile is a mapping of a file that has become shorter.
func cutFile(t *testing.T) []byte {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "cut"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := syscall.Mmap(int(f.Fd()), 0, os.Getpagesize(), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
