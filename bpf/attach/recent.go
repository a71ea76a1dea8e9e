package attach

import (
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/bpf/maps"
	"github.com/bpftables/bpftables/codegen"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// lists are the lists of -m recent that a generation uses, with its rules. A list is
// pinned in every generation that names it, of either family, and lives as long as
// one of them.
type lists struct {
	maps  map[string]*ebpf.Map
	rules []pred.Recent
}

// listPrefix begins the names of the pins of lists.
const listPrefix = "recent-"

// listPin is the name of a list's pin; a bpffs does not allow every name.
func listPin(name string) string { return listPrefix + hex.EncodeToString([]byte(name)) }

// openLists opens the lists that the rules name, and makes those that no generation
// in the namespace has.
func (s *Space) openLists(spec *ebpf.MapSpec, st *maps.States) (lists, error) {
	l := lists{maps: st.Lists}
	slots := make([]int, 0, len(st.Recents))
	for slot := range st.Recents {
		slots = append(slots, slot)
	}
	slices.Sort(slots)
	for _, slot := range slots {
		r := st.Recents[slot]
		l.rules = append(l.rules, r)
		if l.maps[r.List] != nil {
			continue
		}
		m, err := s.findList(r.List)
		if err == nil && m == nil {
			m, err = maps.NewRecentList(spec, r)
		}
		if err != nil {
			return l, errors.Join(err, l.Close())
		}
		l.maps[r.List] = m
	}
	return l, nil
}

// findList opens a list that a generation of either family has; nil when none does.
func (s *Space) findList(name string) (*ebpf.Map, error) {
	found, err := filepath.Glob(filepath.Join(filepath.Dir(s.Pins()), "*", "gen-*", listPin(name)))
	if err != nil || len(found) == 0 {
		return nil, err
	}
	m, err := ebpf.LoadPinnedMap(found[0], nil)
	if err != nil {
		return nil, fmt.Errorf("recent list %s: %w", name, err)
	}
	return m, nil
}

// Close closes the lists.
func (l lists) Close() error {
	var errs []error
	for _, m := range l.maps {
		errs = append(errs, m.Close())
	}
	return errors.Join(errs...)
}

// grow makes the lists fit for the rules of the generation.
func (l lists) grow() error {
	for _, r := range l.rules {
		if err := maps.GrowRecentList(l.maps[r.List], r); err != nil {
			return err
		}
	}
	return nil
}

// pin pins the lists in the directory of a generation. A list may be pinned elsewhere,
// too: a clone of its descriptor does not know.
func (l lists) pin(dir string) error {
	for name, m := range l.maps {
		clone, err := m.Clone()
		if err != nil {
			return err
		}
		err = clone.Pin(filepath.Join(dir, listPin(name)))
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
		for _, r := range p.Recents {
			if err := maps.CheckRecent(r); err != nil {
				return &RefusedError{Table: p.Table, Hook: p.Hook, Reason: err.Error(), Err: err}
			}
		}
	}
	return nil
}
