package maps

import (
	"fmt"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/bpf/abi"
)

// classes makes the maps of the classified chains and fills them.
func (s *States) classes(specs map[string]*ebpf.MapSpec, out Set) error {
	if s.Image == nil {
		return nil
	}
	s.Image.SetLimits(s.Rules, s.slots(), s.Needs)
	for _, part := range []struct {
		name  string
		size  uint32
		words []uint32
	}{
		{abi.NetfilterMapClassRows, s.Image.RowsWords, s.Image.Rows},
		{abi.NetfilterMapClassIndex, s.Image.IndexWords, s.Image.Index},
	} {
		m, err := filled(specs[part.name], part.size, part.words)
		if m != nil {
			out[part.name] = m
		}
		if err != nil {
			return fmt.Errorf("map %s of %d KiB: %w", part.name, part.size/256, err)
		}
	}
	return nil
}

// filled makes a mmapable array of a number of words that begins with some.
func filled(spec *ebpf.MapSpec, size uint32, words []uint32) (*ebpf.Map, error) {
	spec = spec.Copy()
	spec.ValueSize = 4 * size
	m, err := ebpf.NewMap(spec)
	if err != nil {
		return nil, err
	}
	mapped, err := Words(m)
	if err != nil {
		return m, err
	}
	copy(mapped, words)
	return m, Unmap(mapped)
}

// Words maps the value of a mmapable array with one entry into memory. What is written
// there is in the map at once. Unmap ends it.
func Words(m *ebpf.Map) ([]uint32, error) {
	size := int(m.ValueSize())
	data, err := unix.Mmap(m.FD(), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map into memory: %w", err)
	}
	return unsafe.Slice((*uint32)(unsafe.Pointer(&data[0])), size/4), nil
}

// Unmap gives back what Words gave.
func Unmap(words []uint32) error {
	return unix.Munmap(unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), 4*len(words)))
}
