package cli

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
)

// memory is when the process of one command collects garbage. By itself Go would do it again and
// again while a ruleset is read, which takes a sixth of the time of a long restore, and at the
// end of it hold half as much garbage as there are rules.
type memory struct{ limit atomic.Int64 }

const (
	// least is how large the heap is at the first collection: most commands have ended by then.
	least = 16 << 20
	// perByte and perLine are how much memory a restore takes for its text: a little more than its
	// rules do at most.
	perByte, perLine = 6, 360
)

// collectLate lets the first collection wait. nil: who calls has said when there are some.
func collectLate() *memory {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return nil
	}
	m := &memory{}
	debug.SetGCPercent(least / (4 << 20) * 100) // of at least 4 MB
	m.again()
	return m
}

// expect is told of a text that is about to be read: as long as the heap is smaller than its rules
// will make it, there is nothing to be won by a collection, and from there on it is to grow slowly.
func (m *memory) expect(bytes, lines int) {
	if m == nil {
		return
	}
	if limit := int64(perByte*bytes + perLine*lines); limit > least {
		m.limit.Store(limit)
		debug.SetMemoryLimit(limit)
	}
}

// again sets the pace after each collection: what is alive may grow by a quarter at least, or
// there would be nothing but collections where rules take more than was expected.
func (m *memory) again() {
	runtime.AddCleanup(new([16]byte), func(m *memory) {
		live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		metrics.Read(live)
		percent := 50
		if limit := m.limit.Load(); limit > 0 {
			percent = 100
			debug.SetMemoryLimit(max(limit, int64(live[0].Value.Uint64()/4*5)))
		}
		debug.SetGCPercent(percent)
		m.again()
	}, m)
}
