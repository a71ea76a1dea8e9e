package cli

import (
	"math"
	"runtime/debug"
	"testing"
)

// TestExpectedMemory: a long text bounds the memory, a short one and that of a command that a server
// runs do not.
func TestExpectedMemory(t *testing.T) {
	before := debug.SetMemoryLimit(math.MaxInt64)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	for _, c := range []struct {
		m            *memory
		bytes, lines int
		want         int64
	}{
		{nil, 7 << 20, 100000, math.MaxInt64},
		{&memory{}, 700 << 10, 10000, math.MaxInt64},
		{&memory{}, 7 << 20, 100000, 6*7<<20 + 360*100000},
	} {
		c.m.expect(c.bytes, c.lines)
		if got := debug.SetMemoryLimit(-1); got != c.want {
			t.Errorf("%d bytes in %d lines: %d, want %d", c.bytes, c.lines, got, c.want)
		}
	}
	t.Setenv("GOGC", "100")
	if collectLate() != nil {
		t.Error("what the environment says is not heard")
	}
}
