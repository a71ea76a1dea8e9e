package attach

import (
	stdmaps "maps"
	"slices"

	"errors"

	"github.com/cilium/ebpf"

	"github.com/bpftables/bpftables/bpf/maps"
)

// RunnerSets are named sets that runners share, as generations share those that are pinned.
type RunnerSets struct {
	maps map[string]*ebpf.Map // by pin
}

func (s *RunnerSets) find(pin string) (*ebpf.Map, error) {
	if s == nil || s.maps[pin] == nil {
		return nil, nil
	}
	return s.maps[pin].Clone()
}

// add keeps sets for runners to come.
func (s *RunnerSets) add(n namedSets) error {
	if s == nil {
		return nil
	}
	if s.maps == nil {
		s.maps = map[string]*ebpf.Map{}
	}
	for pin, m := range n.maps {
		if s.maps[pin] != nil {
			continue
		}
		clone, err := m.Clone()
		if err != nil {
			return err
		}
		s.maps[pin] = clone
	}
	return nil
}

// Named opens a set of keys; nil when there is none of the name.
func (s *RunnerSets) Named(name string, keyLen int) (*maps.KeySet, error) {
	m, err := s.find(maps.SetPin(name))
	return keySet(name, keyLen, m, err)
}

// List opens a list of -m recent; nil when there is none.
func (s *RunnerSets) List(name string) (*maps.List, error) {
	m, err := s.find(maps.ListPin(name))
	return openList(name, m, err)
}

// Lists are the names of these lists.
func (s *RunnerSets) Lists() []string {
	return listNames(slices.Collect(stdmaps.Keys(s.maps)))
}

// Keep removes all sets but those of some runners.
func (s *RunnerSets) Keep(runners []*Runner) error {
	needed := map[string]bool{}
	for _, r := range runners {
		for pin := range r.sets.maps {
			needed[pin] = true
		}
	}
	var errs []error
	for pin, m := range s.maps {
		if !needed[pin] {
			errs = append(errs, m.Close())
			delete(s.maps, pin)
		}
	}
	return errors.Join(errs...)
}
