package rows

import (
	"sync"
	"time"
)

// speedSteps is how many steps are measured, three times: well below a millisecond.
const speedSteps = 20_000

// speedStep is what one step takes on the machine that the costs were measured on, in
// nanoseconds.
const speedStep = 3.0

// Speed is by how much this machine is slower than the one that the costs of lookups were
// measured on: they are multiplied by it where they are shown. It is measured once in a
// process, by loads of which each needs the one before, as in a lookup.
var Speed = sync.OnceValue(func() float64 {
	table := make([]uint32, 1<<12)
	for i := range table {
		table[i] = uint32(i)*2654435761 + 1
	}
	best := time.Hour
	at := uint32(1)
	for range 3 {
		begin := time.Now()
		for range speedSteps {
			at = table[(at*2246822519)>>20]
		}
		best = min(best, time.Since(begin))
	}
	if at == 0 { // never: it keeps the loop
		return 1
	}
	return float64(best.Nanoseconds()) / speedSteps / speedStep
})
