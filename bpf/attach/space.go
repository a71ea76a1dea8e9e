package attach

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/bpf/probe"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// sharedMaps outlive generations. The pin of the last one says that there is something.
var sharedMaps = []string{
	abi.NetfilterMapProgs, abi.NetfilterMapNotes, abi.NetfilterMapOutNotes, abi.NetfilterMapActive,
}

// Space is what we have in one network namespace for one family.
type Space struct {
	family packet.Family
	netns  string   // inode of the namespace, in decimal
	root   string   // directory of the states of all namespaces
	holder string   // see holder
	cookie string   // of the namespace, in decimal
	lock   *os.File // see Claim
	links  []hooked // what Claim has read of them; see detached
	maps   map[string]*ebpf.Map
	aside  bool              // what is pinned is to be set aside; see setAside
	pins   map[string]uint64 // inodes of the pins of maps, where they are certain; see Fresh
}

// processors is the file by which package ebpf counts processors.
const processors = "/sys/devices/system/cpu/possible"

// Open gives the space of the network namespace of the calling thread, as it is: nothing is
// made or removed. Who changes something has the xtables lock and calls Claim before.
func Open(family packet.Family) (*Space, error) {
	netns, err := currentNetns()
	if err != nil {
		return nil, err
	}
	// Maps with a value for each processor are not found without it: their files look removed.
	// Whether they can be counted is asked with one system call; reading takes a dozen.
	if err := unix.Access(processors, unix.R_OK); err != nil {
		return nil, fmt.Errorf("number of processors: %s: %w; mount a sysfs at /sys", processors, err)
	}
	cookie, err := netnsCookie()
	if err != nil {
		return nil, err
	}
	o := look(holder())
	s := &Space{
		family: family, netns: netns, root: o.stateRoot(), holder: o.holder, cookie: cookie,
		maps: map[string]*ebpf.Map{}, pins: map[string]uint64{},
	}
	return s, o.showPins()
}

// currentNetns is the inode of the thread's network namespace.
func currentNetns() (string, error) {
	var st unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &st); err != nil {
		return "", fmt.Errorf("network namespace: /proc/thread-self/ns/net: %w; mount a proc file system at /proc", err)
	}
	return strconv.FormatUint(st.Ino, 10), nil
}

// Close closes what is held open. Enforcement goes on.
func (s *Space) Close() error {
	var errs []error
	for _, m := range s.maps {
		errs = append(errs, m.Close())
	}
	s.maps, s.pins = map[string]*ebpf.Map{}, map[string]uint64{}
	return errors.Join(errs...)
}

// Dir is where the caller keeps its state of this namespace and family.
func (s *Space) Dir() string { return filepath.Join(s.root, s.netns, s.family.String()) }

// Identity tells the namespace from all others since the machine was made: cookies begin anew
// with each boot.
func (s *Space) Identity() string {
	return s.cookie + " " + probe.Boot()
}

// Pins is the directory that all pins of this namespace and family lie under.
func (s *Space) Pins() string { return filepath.Join(pinRoot, s.netns, s.family.String()) }

func (s *Space) genDir(gen uint32) string { return filepath.Join(s.Pins(), fmt.Sprintf("gen-%d", gen)) }

// linksName is the directory of links among the pins of a family.
const linksName = "links"

func (s *Space) linkDir() string { return filepath.Join(s.Pins(), linksName) }

// shared opens a pinned map of the namespace; nil when there is none.
func (s *Space) shared(name string) (*ebpf.Map, error) {
	if m := s.maps[name]; m != nil {
		return m, nil
	}
	before := s.pin(name)
	m, err := ebpf.LoadPinnedMap(filepath.Join(s.Pins(), name), nil)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", name, probe.Refused(err))
	}
	s.maps[name] = m
	if before != 0 && s.pin(name) == before {
		s.pins[name] = before
	}
	return m, nil
}

// pin is the inode of the pin of a map; 0 when there is none.
func (s *Space) pin(name string) uint64 {
	var st unix.Stat_t
	if unix.Stat(filepath.Join(s.Pins(), name), &st) != nil {
		return 0
	}
	return st.Ino
}

// makeShared opens all maps of the namespace and makes those that are not there. Where one was
// made by another version of bpftables, all are made anew.
func (s *Space) makeShared() error {
	spec, err := datapath()
	if err != nil {
		return fmt.Errorf("datapath: %w", err)
	}
	for _, name := range sharedMaps {
		m, err := s.shared(name)
		if err != nil {
			return err
		}
		if m != nil && spec.Maps[name].Compatible(m) != nil {
			s.aside = true
		}
	}
	if s.aside {
		if err := s.Close(); err != nil {
			return err
		}
	}
	for _, name := range sharedMaps {
		if s.maps[name] != nil {
			continue
		}
		if s.maps[name], err = ebpf.NewMap(spec.Maps[name].Copy()); err != nil {
			return fmt.Errorf("map %s: %w", name, err)
		}
	}
	return nil
}

// pinShared pins the maps of the namespace that are new.
func (s *Space) pinShared() error {
	for _, name := range sharedMaps {
		path := filepath.Join(s.Pins(), name)
		if _, err := os.Stat(path); err == nil {
			continue
		}
		if err := s.maps[name].Pin(path); err != nil {
			return err
		}
		s.pins[name] = s.pin(name)
	}
	return nil
}

// live is the number of the live generation; 0: none.
func (s *Space) live() (uint32, error) {
	active, err := s.shared(abi.NetfilterMapActive)
	if err != nil || active == nil {
		return 0, err
	}
	if s.lock == nil { // else Claim has looked
		if foreign, err := s.foreign(); err != nil || foreign {
			return 0, err
		}
	}
	var gen uint32
	if err := active.Lookup(uint32(0), &gen); err != nil {
		return 0, fmt.Errorf("live generation: %w", err)
	}
	return gen, nil
}

// Enforced is the number of the generation that is enforced; 0: none.
func (s *Space) Enforced() (uint32, error) { return s.live() }

// Next is the number that the next generation must have.
func (s *Space) Next() (uint32, error) {
	live, err := s.live()
	return live + 1, err
}

// LostError says that rules are enforced of which not everything is there any more: somebody
// has removed files.
type LostError struct{ What string }

// Error says what is missing.
func (e *LostError) Error() string { return "rules are enforced whose files were removed: " + e.What }

// Current opens the live generation; nil when nothing of ours is enforced.
func (s *Space) Current() (*Generation, error) {
	live, err := s.live()
	if err != nil || live == 0 {
		return nil, err
	}
	g, err := s.Generation(live)
	if err == nil && g == nil {
		return nil, &LostError{s.genDir(live) + " is missing"}
	}
	return g, err
}

// OpenNotes is the number of locally made packets that the shim has not finished.
func (s *Space) OpenNotes() (int, error) {
	m, err := s.shared(abi.NetfilterMapOutNotes)
	if err != nil || m == nil {
		return 0, err
	}
	n := 0
	var key uint64
	var note abi.Note
	entries := m.Iterate()
	for entries.Next(&key, &note) {
		n++
	}
	return n, entries.Err()
}
