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

// ClearCounter sets the counter of a rule to zero on all processors.
func ClearCounter(m *ebpf.Map, id uint32) error {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return fmt.Errorf("number of processors: %w", err)
	}
	if err := m.Put(id, make([]abi.Counter, cpus)); err != nil {
		return fmt.Errorf("clear counter %d: %w", id, err)
	}
	return nil
}

// Counter reads the counter of one rule, summed over the processors.
func Counter(m *ebpf.Map, id uint32) (sum abi.Counter, err error) {
	var values []abi.Counter
	if err := m.Lookup(id, &values); err != nil {
		return sum, fmt.Errorf("read counter %d: %w", id, err)
	}
	for _, c := range values {
		sum.Packets += c.Packets
		sum.Bytes += c.Bytes
	}
	return sum, nil
}
