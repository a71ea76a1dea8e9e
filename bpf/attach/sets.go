package attach

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/bpf/failpoint"
	"github.com/bpftables/bpftables/bpf/maps"
	"github.com/bpftables/bpftables/codegen"
	"github.com/bpftables/bpftables/translate/plan"
)

// namedSets are the named sets that a generation uses. A set is pinned in every generation that names it, of either family, and lives as long as
// one of them.
type namedSets struct {
	maps map[string]*ebpf.Map // by pin
	sets []*plan.Set
}

// openSets opens the sets that the rules name with find, which may be nil, and makes those
// that it does not find.
func openSets(specs map[string]*ebpf.MapSpec, st *maps.States, find func(pin string) (*ebpf.Map, error)) (namedSets, error) {
	n := namedSets{maps: st.Named, sets: st.Sets}
	for _, set := range st.Sets {
		m, err := n.open(maps.PinOf(set), find, func() (*ebpf.Map, error) { return maps.NewSet(specs, set) })
		if err == nil {
			err = maps.SameSet(m, set)
		}
		if err != nil {
			return n, errors.Join(err, n.Close())
		}
	}
	return n, nil
}

// open gives the set of a pin: one that was opened before, that is found, or a new one.
func (n namedSets) open(pin string, find func(pin string) (*ebpf.Map, error), fresh func() (*ebpf.Map, error)) (*ebpf.Map, error) {
	m := n.maps[pin]
	if m != nil {
		return m, nil
	}
	var err error
	if find != nil {
		m, err = find(pin)
	}
	if m == nil && err == nil {
		m, err = fresh()
	}
	if err == nil {
		n.maps[pin] = m
	}
	return m, err
}

// findSet opens a set that a generation of either family has; nil when none does.
func (s *Space) findSet(pin string) (*ebpf.Map, error) {
	found, err := filepath.Glob(filepath.Join(filepath.Dir(s.Pins()), "*", "gen-*", pin))
	if err != nil || len(found) == 0 {
		return nil, err
	}
	m, err := ebpf.LoadPinnedMap(found[0], nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", found[0], err)
	}
	return m, nil
}

// NamedSet opens a set of keys that rules of the namespace name, to look at it or change
// it; nil when there is none.
func (s *Space) NamedSet(name string, keyLen int) (*maps.KeySet, error) {
	m, err := s.findSet(maps.SetPin(name))
	return keySet(name, keyLen, m, err)
}

// keySet is the set of keys in a map that was found, or nil.
func keySet(name string, keyLen int, m *ebpf.Map, err error) (*maps.KeySet, error) {
	if err != nil || m == nil {
		return nil, err
	}
	set, err := maps.OpenKeySet(m, keyLen)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("set %s: %w", name, err), m.Close())
	}
	return set, nil
}

// SweepSets takes elements whose time has come out of the named sets of the generation that
// is enforced.
func (s *Space) SweepSets() error {
	live, err := s.live()
	if err != nil || live == 0 {
		return err
	}
	found, err := filepath.Glob(filepath.Join(s.genDir(live), maps.SetPin("")+"*"))
	if err != nil {
		return err
	}
	for _, pin := range found {
		m, err := ebpf.LoadPinnedMap(pin, nil)
		if err == nil {
			_, err = maps.Sweep(m)
			m.Close()
			failpoint.At("set swept")
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s: %w", pin, err)
		}
	}
	return nil
}

// Close closes the sets.
func (n namedSets) Close() error {
	var errs []error
	for _, m := range n.maps {
		errs = append(errs, m.Close())
	}
	return errors.Join(errs...)
}

// grow makes lists of time stamps fit for the rules of the generation.
func (n namedSets) grow() error {
	for _, set := range n.sets {
		if set.Stamps == nil {
			continue
		}
		if err := maps.GrowStamps(n.maps[maps.PinOf(set)], set); err != nil {
			return err
		}
	}
	return nil
}

// pin pins the sets in the directory of a generation. A set may be pinned elsewhere, too: a
// clone of its descriptor does not know.
func (n namedSets) pin(dir string) error {
	for pin, m := range n.maps {
		clone, err := m.Clone()
		if err != nil {
			return err
		}
		err = clone.Pin(filepath.Join(dir, pin))
		clone.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// refuseRecents finds a table whose lists BPF cannot keep as netfilter does.
func refuseRecents(progs []codegen.Program) error {
	for i := range progs {
		p := &progs[i]
		// Rules that are looked up call it by their data.
		if !p.Looks && !slices.Contains(p.Insns.FunctionReferences(), abi.FuncRecent) {
			continue
		}
		for _, s := range p.Sets {
			if s.Stamps == nil {
				continue
			}
			if err := maps.CheckStamps(s); err != nil {
				return &RefusedError{Table: p.Table, Hook: p.Hook, Reason: err.Error(), Err: err}
			}
		}
	}
	return nil
}
