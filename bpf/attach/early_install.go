package attach

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"

	"github.com/bpftables/bpftables/bpf/abi"
)

// Install puts the early stage beside the live one; Activate of the generation makes it
// the live one, and SyncEarly lets it judge. It stands still from here to there.
func (e *Early) Install() error {
	if e == nil {
		return nil
	}
	if err := e.space.HaltEarly(); err != nil {
		return err
	}
	for _, kind := range earlyKinds {
		if err := e.install(kind); err != nil {
			return fmt.Errorf("early stage (%s): %w", kind.name, err)
		}
	}
	return nil
}

func (e *Early) install(kind *earlyKind) error {
	given, err := e.space.openEarlyMaps(kind)
	if err != nil {
		return err
	}
	defer closeMaps(given)
	if err := given[abi.EarlyXdpMapEarlyProgs].Put(e.gen&1, e.progs[kind]); err != nil {
		return err
	}
	active, err := e.space.shared(abi.NetfilterMapActive)
	if err != nil {
		return err
	}
	given[abi.EarlyXdpMapActive] = active
	live, err := loadEarlyEntry(kind, abi.EarlyXdpProgLive, given)
	delete(given, abi.EarlyXdpMapActive)
	if err != nil {
		return err
	}
	defer live.Close()
	if err := os.MkdirAll(e.space.sharedEarlyDir(), 0o700); err != nil {
		return err
	}
	families, err := e.space.earlyFamilies(kind)
	if err != nil {
		return err
	}
	defer families.Close()
	return families.Put(e.space.familyIndex(), live)
}

// loadEarlyEntry loads one of the programs without rules.
func loadEarlyEntry(kind *earlyKind, name string, given map[string]*ebpf.Map) (*ebpf.Program, error) {
	spec, prog, err := earlySubset(kind, name)
	if err != nil {
		return nil, err
	}
	return load(spec, prog, given)
}

// earlyFamilies is the program array of the namespace.
func (s *Space) earlyFamilies(kind *earlyKind) (*ebpf.Map, error) {
	spec, err := kind.object()
	if err != nil {
		return nil, err
	}
	return pinnedMap(filepath.Join(s.sharedEarlyDir(), "families-"+kind.name), spec.Maps[abi.EarlyXdpMapEarlyFamilies])
}

// HaltEarly lets every packet go up until SyncEarly. A change of rules in place needs no
// call: the programs compare the version of the rules with the one they were made for.
func (s *Space) HaltEarly() error {
	m, err := ebpf.LoadPinnedMap(filepath.Join(s.earlyDir(), abi.EarlyXdpMapEarlyConfigs), nil)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer m.Close()
	return m.Put(uint32(0), abi.EarlyXdpEarlyConfig{})
}

// retireEarly takes the program of the other parity out.
func (s *Space) retireEarly(keep uint32) error {
	for _, kind := range earlyKinds {
		m, err := ebpf.LoadPinnedMap(filepath.Join(s.earlyDir(), abi.EarlyXdpMapEarlyProgs+"-"+kind.name), nil)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		err = m.Delete((keep + 1) & 1)
		m.Close()
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("remove the old early stage: %w", err)
		}
	}
	return nil
}

// RemoveEarly takes the family out of the early stage. With the last family, the
// interfaces are left.
func (s *Space) RemoveEarly() error {
	if err := s.HaltEarly(); err != nil {
		return err
	}
	others := false
	for _, kind := range earlyKinds {
		path := filepath.Join(s.sharedEarlyDir(), "families-"+kind.name)
		m, err := ebpf.LoadPinnedMap(path, nil)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		err = m.Delete(s.familyIndex())
		var id uint32
		others = others || m.Lookup(1-s.familyIndex(), &id) == nil
		m.Close()
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("remove the early stage: %w", err)
		}
	}
	errs := []error{os.RemoveAll(s.earlyDir())}
	if !others {
		errs = append(errs, s.detachEarly(), os.RemoveAll(s.sharedEarlyDir()))
	}
	return errors.Join(errs...)
}
