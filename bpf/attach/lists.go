package attach

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/bpftables/bpftables/bpf/maps"
)

// NamedList opens a list of -m recent that rules of the namespace name, in either family; nil when
// there is none.
func (s *Space) NamedList(name string) (*maps.List, error) {
	m, err := s.findSet(maps.ListPin(name))
	return openList(name, m, err)
}

// openList is the list in a map that was found, or nil.
func openList(name string, m *ebpf.Map, err error) (*maps.List, error) {
	if err != nil || m == nil {
		return nil, err
	}
	list, err := maps.OpenList(m)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("list %s: %w", name, err), m.Close())
	}
	return list, nil
}

// ListNames are the names of these lists.
func (s *Space) ListNames() ([]string, error) {
	pins, err := filepath.Glob(filepath.Join(filepath.Dir(s.Pins()), "*", "gen-*", maps.ListPin("")+"*"))
	return listNames(pins), err
}

// listNames are the names of the lists among some pins.
func listNames(pins []string) (out []string) {
	for _, pin := range pins {
		if name, ok := maps.ListOf(filepath.Base(pin)); ok {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
