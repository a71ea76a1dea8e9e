package attach

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/cilium/ebpf"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/bpf/maps"
	"github.com/bpftables/bpftables/bpf/probe"
	"github.com/bpftables/bpftables/codegen/rows/edit"
	"github.com/bpftables/bpftables/codegen/rows/layout"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// Classes is the classified chains of an installed generation, in memory that they share
// with the kernel.
type Classes struct {
	*edit.Chains
	counters *ebpf.Map
	load     func(name string) (*ebpf.Map, error) // opens another map of the generation
	lists    *Generation                          // which new lists of -m recent are for; nil: there is no room for any
	words    [][]uint32
}

// Classes opens the classified chains; nil when the generation has none, or was made by
// another version of the program, which a change in place would not be for.
func (g *Generation) Classes() (*Classes, error) {
	c := &Classes{counters: g.maps[abi.NetfilterMapCounters], load: g.pinned, lists: g}
	for _, name := range []string{abi.NetfilterMapClassRows, abi.NetfilterMapClassIndex} {
		words, err := g.words(name)
		if err != nil {
			return nil, errors.Join(err, c.Close())
		}
		if words == nil {
			return nil, c.Close()
		}
		c.words = append(c.words, words)
	}
	if c.Chains = edit.Open(g.space.family, c.words[0], c.words[1]); !c.Current() {
		return nil, c.Close()
	}
	return c, nil
}

// words maps the value of a pinned map of the generation; nil when it has no such map.
func (g *Generation) words(name string) ([]uint32, error) {
	m, err := g.pinned(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer m.Close()
	return maps.Words(m)
}

// pinned opens a map of the generation.
func (g *Generation) pinned(name string) (*ebpf.Map, error) {
	m, err := ebpf.LoadPinnedMap(filepath.Join(g.space.genDir(g.number), name), nil)
	if err != nil {
		return nil, fmt.Errorf("map %s of generation %d: %w", name, g.number, err)
	}
	return m, nil
}

// Version is the version of the generation's rules that packets see; First of package
// state where none of them can be changed in place.
func (g *Generation) Version() (uint32, error) {
	words, err := g.words(abi.NetfilterMapClassIndex)
	if err != nil || words == nil {
		return 0, err
	}
	version := layout.Open(g.space.family, nil, words).Version()
	return version - layout.FirstVersion, maps.Unmap(words)
}

// Close gives the memory back; enforcement goes on.
func (c *Classes) Close() error {
	var errs []error
	for _, w := range c.words {
		errs = append(errs, maps.Unmap(w))
	}
	c.words = nil
	return errors.Join(errs...)
}

// Counter reads the counter of one rule.
func (c *Classes) Counter(id uint32) (abi.Counter, error) {
	return maps.Counter(c.counters, id)
}

// Restart makes limits and nths begin anew, by their slots; nths have what they begin with.
func (c *Classes) Restart(limits []int, nths map[int]uint32) error {
	if err := c.with(abi.NetfilterMapLimits, len(limits), func(m *ebpf.Map) error {
		for _, slot := range limits {
			if err := maps.Refill(m, slot); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	return c.with(abi.NetfilterMapNths, len(nths), func(m *ebpf.Map) error {
		for slot, count := range nths {
			if err := maps.Recount(m, slot, count); err != nil {
				return err
			}
		}
		return nil
	})
}

// Room is how many slots there are for what a predicate remembers.
func (c *Classes) Room(of pred.Pred) (n int, err error) {
	if _, is := of.(pred.Recent); is && c.lists == nil {
		return 0, nil
	}
	err = c.with(memoryOf(of), 1, func(m *ebpf.Map) error {
		n = int(m.MaxEntries())
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil // another version of the program has made the generation
	}
	return n, err
}

// memoryOf names the map that has the slots of a predicate.
func memoryOf(p pred.Pred) string {
	switch p.(type) {
	case pred.Nth:
		return abi.NetfilterMapNths
	case pred.Recent:
		return abi.NetfilterMapRecentConfigs
	}
	return abi.NetfilterMapLimits
}

// Begin makes a slot that of a limit or an nth, which begins anew, or of a question to a list. No row that
// packets see may ask for it.
func (c *Classes) Begin(slot int, of pred.Pred) error {
	return c.with(memoryOf(of), 1, func(m *ebpf.Map) error {
		switch p := of.(type) {
		case pred.Limit:
			hz, err := probe.HZ()
			if err != nil {
				return err
			}
			return maps.PutLimit(m, slot, p, hz)
		case pred.Nth:
			return maps.PutNth(m, slot, p)
		case pred.Recent:
			return c.with(abi.NetfilterMapRecentLists, 1, func(lists *ebpf.Map) error {
				return c.with(maps.ListPin(p.List), 1, func(list *ebpf.Map) error { return maps.PutRecent(m, lists, slot, p, list) })
			})
		}
		return fmt.Errorf("%s has no slot", of)
	})
}

// with opens a map while something is done to it, unless that is nothing.
func (c *Classes) with(name string, n int, do func(*ebpf.Map) error) error {
	if n == 0 {
		return nil
	}
	m, err := c.load(name)
	if err != nil {
		return err
	}
	return errors.Join(do(m), m.Close())
}

// Version is how often the rules of the runner's program were changed in place.
func (r *Runner) Version() (uint32, error) {
	c, err := r.Classes()
	if err != nil || c == nil {
		return 0, err
	}
	return c.Chains.Version() - layout.FirstVersion, c.Close()
}

// Classes opens the classified chains of the runner's program; nil when it has none.
func (r *Runner) Classes() (*Classes, error) {
	c := &Classes{
		counters: r.maps[abi.NetfilterMapCounters],
		load:     func(name string) (*ebpf.Map, error) { return r.maps[name].Clone() },
	}
	for _, name := range []string{abi.NetfilterMapClassRows, abi.NetfilterMapClassIndex} {
		if r.maps[name] == nil {
			return nil, c.Close()
		}
		words, err := maps.Words(r.maps[name])
		if err != nil {
			return nil, errors.Join(err, c.Close())
		}
		c.words = append(c.words, words)
	}
	c.Chains = edit.Open(r.family, c.words[0], c.words[1])
	return c, nil
}
