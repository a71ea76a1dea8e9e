package choice

import (
	"math"
	"math/bits"
	"sync"
	"time"
)

// speedSteps is how many steps are measured, three times: well below a millisecond.
const speedSteps = 20_000

// speedStep is what one step takes on the machine that the costs were measured on, in
// nanoseconds.
const speedStep = 4.5

// Costs says what the steps of lookups cost on some machine.
type Costs interface {
	// Slower is by how much all steps take longer than on the machine that they were
	// measured on.
	Slower() float64
	// Line is what it costs to touch a line of structures of some size, of which these are
	// words.
	Line(words []uint32) Line
}

// Reference is the machine that the costs were measured on, its caches included: what is
// laid out for it depends on the rules alone.
type Reference struct{}

// Slower is 1.
func (Reference) Slower() float64 { return 1 }

// Line takes a size that most of its caches do not hold.
func (Reference) Line([]uint32) Line { return Line{bytes: 1 << 24, ns: 20} }

// Machine is the machine at hand. It is measured when something is laid out for it.
type Machine struct{}

// Slower is measured once in a process, by loads of which each needs the one before, as in
// a lookup.
func (Machine) Slower() float64 { return slower() }

var slower = sync.OnceValue(func() float64 {
	table := make([]uint32, 1<<12)
	for i := range table {
		table[i] = uint32(i)*2654435761 + 1
	}
	best := time.Hour
	for range 3 {
		best = min(best, chase(table, 1, speedSteps))
	}
	return float64(best.Nanoseconds()) / speedSteps / speedStep
})

// chase reads words of which each says where the next one is, from somewhere on. The number
// of words is a power of two.
func chase(table []uint32, at uint32, steps int) time.Duration {
	mask := uint32(len(table) - 1)
	begin := time.Now()
	for range steps {
		at = (at + table[at*2246822519>>7&mask]) * 2654435761
	}
	took := time.Since(begin)
	if at == 0 { // hardly ever: it keeps the loop
		took++
	}
	return took
}

const (
	// nearBytes is what the caches next to a processor hold of a structure that packets use
	// in turn with everything else.
	nearBytes = 1 << 18
	// nearLine is what a line of the cache costs there, in nanoseconds.
	nearLine = 5.0
	// lineShare is how much of a line's cost is left in a lookup, where loads overlap.
	lineShare = 0.4
	// lineSteps is how many lines are read to find out what one costs elsewhere, lineTimes
	// times.
	lineSteps = 512
	lineTimes = 4
)

// Line is what it costs to touch a line of structures of some size, in nanoseconds: how much
// of them the machine's caches hold matters more than all else.
type Line struct {
	bytes int
	ns    float64
}

// Line is measured by reading some of the words.
func (m Machine) Line(words []uint32) Line {
	words = words[:1<<(bits.Len(uint(len(words)))-1)]
	near := nearLine * m.Slower()
	if 4*len(words) <= nearBytes {
		return Line{nearBytes, near}
	}
	best := time.Hour
	for i := range uint32(lineTimes) {
		best = min(best, chase(words, i+1, lineSteps))
	}
	return Line{4 * len(words), max(near, lineShare*float64(best.Nanoseconds())/lineSteps)}
}

// of is the cost of a line for another size on a machine that is slower by some factor: it
// grows with the logarithm of the size, as less and less of the structures is in the
// nearer caches.
func (l Line) of(bytes int, slower float64) float64 {
	near := nearLine * slower
	if bytes <= nearBytes || l.bytes <= nearBytes {
		return near
	}
	return near + (l.ns-near)*math.Log2(float64(bytes)/nearBytes)/math.Log2(float64(l.bytes)/nearBytes)
}
