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
	return m, writeWords(m, words)
}

// window is how many words of a map are in memory at once while it is written: the kernel maps
// all that is asked for, and all of that counts as ours.
const window = 64 << 10

// writeWords writes the first words of a mmapable array with one entry. Its pages are 4 KiB at
// least.
func writeWords(m *ebpf.Map, words []uint32) error {
	for at := 0; at < len(words); at += window {
		part := words[at:min(at+window, len(words))]
		mapped, err := mapWords(m, at, len(part))
		if err != nil {
			return err
		}
		copy(mapped, part)
		if err := Unmap(mapped); err != nil {
			return err
		}
	}
	return nil
}

// Words maps the value of a mmapable array with one entry into memory. What is written
// there is in the map at once. Unmap ends it.
func Words(m *ebpf.Map) ([]uint32, error) {
	return mapWords(m, 0, int(m.ValueSize())/4)
}

// mapWords maps n words from one on, which begins a page.
func mapWords(m *ebpf.Map, at, n int) ([]uint32, error) {
	data, err := unix.Mmap(m.FD(), 4*int64(at), 4*n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map into memory: %w", err)
	}
	return unsafe.Slice((*uint32)(unsafe.Pointer(&data[0])), n), nil
}

// Unmap gives back what Words gave.
func Unmap(words []uint32) error {
	return unix.Munmap(unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), 4*len(words)))
}
