package maps

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/bpftables/bpftables/bpf/abi"
)

// batch is how many counters are read with one system call.
const batch = 1024

// Counters reads the counters of all rules, summed over the processors.
func Counters(m *ebpf.Map) ([]abi.Counter, error) {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return nil, fmt.Errorf("number of processors: %w", err)
	}
	out := make([]abi.Counter, m.MaxEntries())
	size := min(batch, len(out))
	keys := make([]uint32, size)
	values := make([]abi.Counter, size*cpus)
	var cursor ebpf.MapBatchCursor
	for {
		n, err := m.BatchLookup(&cursor, keys, values, nil)
		last := errors.Is(err, ebpf.ErrKeyNotExist)
		if err != nil && !last {
			return nil, fmt.Errorf("read counters: %w", err)
		}
		for i, key := range keys[:n] {
			for _, c := range values[i*cpus : (i+1)*cpus] {
				out[key].Packets += c.Packets
				out[key].Bytes += c.Bytes
			}
		}
		if last {
			return out, nil
		}
	}
}
