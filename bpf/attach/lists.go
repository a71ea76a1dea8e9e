package attach

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/bpf/failpoint"
	"github.com/bpftables/bpftables/bpf/maps"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
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

// Keep makes a list of -m recent fit for a rule that is put in place, which asks it. known: rules of the generation
// have named it already; else what is pinned of it here is of a change that did not come to its end, or of a list
// that has ended.
func (c *Classes) Keep(by pred.Recent, known bool) error {
	list := &plan.Set{Name: by.List, Stamps: &plan.Stamps{Mask: by.Mask, Hits: []uint32{by.Hits}}}
	if err := maps.CheckStamps(list); err != nil {
		return err
	}
	if !known {
		if err := c.Forget(list.Name, false); err != nil {
			return err
		}
	}
	m, err := c.lists.space.findSet(maps.ListPin(list.Name))
	if m == nil && err == nil {
		m, err = newList(list)
	}
	if err != nil {
		return err
	}
	defer m.Close()
	if err := c.lists.pinList(list.Name, m); err != nil {
		return err
	}
	failpoint.At("list pinned")
	return maps.GrowStamps(m, list)
}

// newList makes a list.
func newList(list *plan.Set) (*ebpf.Map, error) {
	spec, err := datapath()
	if err != nil {
		return nil, err
	}
	return maps.NewStamps(spec.Maps[abi.NetfilterMapRecentList], list)
}

// setPin is where a generation has the pin of a set.
func (g *Generation) setPin(name string) string { return filepath.Join(g.space.genDir(g.number), name) }

// pinList pins a list, which may be pinned elsewhere, too, unless it is pinned here.
func (g *Generation) pinList(name string, m *ebpf.Map) error {
	clone, err := m.Clone()
	if err != nil {
		return err
	}
	defer clone.Close()
	if err := clone.Pin(g.setPin(maps.ListPin(name))); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// Forget lets go of a list of -m recent, or of a table of hashlimit, that no rule of the generation names any more. It ends
// with the last generation that has it.
func (c *Classes) Forget(list string, meter bool) error {
	pin := maps.ListPin(list)
	if meter {
		pin = maps.MeterPin(c.lists.space.family, list)
	}
	if err := os.Remove(c.lists.setPin(pin)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
