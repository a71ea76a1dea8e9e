package attach

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/bpf/failpoint"
)

// Install puts the early stage in the place of the one before; it lets packets go up until
// Activate of its generation makes that the live one, and SyncEarly lets it judge.
func (e *Early) Install() error {
	if err := e.space.HaltEarly(); err != nil {
		return err
	}
	if err := os.MkdirAll(e.space.sharedEarlyDir(), 0o700); err != nil {
		return err
	}
	for kind, prog := range e.progs {
		families, err := e.space.earlyFamilies(kind)
		if err == nil {
			err = errors.Join(families.Put(e.space.familyIndex(), prog), families.Close())
		}
		if err != nil {
			return fmt.Errorf("early stage (%s): %w", kind.name, err)
		}
		failpoint.At("early installed")
	}
	return nil
}

// loadFront loads the program that is attached.
func loadFront(kind *earlyKind, given map[string]*ebpf.Map) (*ebpf.Program, error) {
	spec, prog, err := earlySubset(kind, abi.EarlyXdpProgFront)
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

// leaveFamilies takes the programs of the family out. others says that the other family
// has some.
func (s *Space) leaveFamilies() (others bool, err error) {
	for _, kind := range earlyKinds {
		m, err := ebpf.LoadPinnedMap(filepath.Join(s.sharedEarlyDir(), "families-"+kind.name), nil)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return others, err
		}
		err = m.Delete(s.familyIndex())
		var id uint32
		others = others || m.Lookup(1-s.familyIndex(), &id) == nil
		m.Close()
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return others, fmt.Errorf("remove the early stage: %w", err)
		}
	}
	return others, nil
}

// DropEarly takes the early stage of the generation before out, where the next one has
// none. Interfaces are left by SyncEarly.
func (s *Space) DropEarly() error {
	if !s.HasEarly() {
		return nil
	}
	_, err := s.leaveFamilies()
	return errors.Join(s.HaltEarly(), err)
}

// RemoveEarly takes the family out of the early stage. With the last family, the
// interfaces are left. The directory that says that there is one goes last: who finds it
// completes what a killed process began.
func (s *Space) RemoveEarly() error {
	if err := s.HaltEarly(); err != nil {
		return err
	}
	others, err := s.leaveFamilies()
	if err != nil {
		return err
	}
	failpoint.At("early family left")
	if !others {
		if err := errors.Join(s.detachEarly(), os.RemoveAll(s.sharedEarlyDir())); err != nil {
			return err
		}
	}
	failpoint.At("early detached from all")
	return os.RemoveAll(s.earlyDir())
}
