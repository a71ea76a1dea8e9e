package maps

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/bpftables/bpftables/bpf/abi"
)

// batch is how many blocks of counters are read with one system call.
const batch = 32

// block is the value of an entry of the map of counters on one processor.
type block = abi.NetfilterCounterBlock

// blocks is how many entries the map of counters needs for so many.
func blocks(counters int) int {
	return (counters + int(abi.CounterBlock) - 1) / int(abi.CounterBlock)
}

// Counters reads the counters of all rules, summed over the processors. There may be
// more of them than rules.
func Counters(m *ebpf.Map) ([]abi.Counter, error) {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return nil, fmt.Errorf("number of processors: %w", err)
	}
	out := make([]abi.Counter, m.MaxEntries()*abi.CounterBlock)
	size := min(batch, int(m.MaxEntries()))
	keys := make([]uint32, size)
	values := make([]block, size*cpus)
	var cursor ebpf.MapBatchCursor
	for {
		n, err := m.BatchLookup(&cursor, keys, values, nil)
		last := errors.Is(err, ebpf.ErrKeyNotExist)
		if err != nil && !last {
			return nil, fmt.Errorf("read counters: %w", err)
		}
		for i, key := range keys[:n] {
			sum(out[key*abi.CounterBlock:], values[i*cpus:(i+1)*cpus])
		}
		if last {
			return out, nil
		}
	}
}

// sum adds the counters of a block on all processors.
func sum(out []abi.Counter, perCPU []block) {
	for c := range perCPU {
		for i := range perCPU[c].At {
			out[i].Packets += perCPU[c].At[i].Packets
			out[i].Bytes += perCPU[c].At[i].Bytes
		}
	}
}

// Counter reads the counter of one rule, summed over the processors.
func Counter(m *ebpf.Map, id uint32) (abi.Counter, error) {
	var values []block
	if err := m.Lookup(id/abi.CounterBlock, &values); err != nil {
		return abi.Counter{}, fmt.Errorf("read counter %d: %w", id, err)
	}
	var all [abi.CounterBlock]abi.Counter
	sum(all[:], values)
	return all[id%abi.CounterBlock], nil
}
