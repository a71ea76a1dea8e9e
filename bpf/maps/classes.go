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
	for name, words := range map[string][]uint32{
		abi.NetfilterMapClassRows: s.Image.Rows, abi.NetfilterMapClassIndex: s.Image.Index,
	} {
		spec := specs[name].Copy()
		spec.ValueSize = uint32(4 * len(words))
		m, err := ebpf.NewMap(spec)
		if err != nil {
			return fmt.Errorf("map %s of %d KiB: %w", name, len(words)/256, err)
		}
		out[name] = m
		mapped, err := Words(m)
		if err != nil {
			return fmt.Errorf("map %s: %w", name, err)
		}
		copy(mapped, words)
		if err := Unmap(mapped); err != nil {
			return fmt.Errorf("map %s: %w", name, err)
		}
	}
	return nil
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
