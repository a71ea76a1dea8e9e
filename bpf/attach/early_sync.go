package attach

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/bpf/failpoint"
	"github.com/bpftables/bpftables/bpf/steady"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// The modes of the early stage.
const (
	EarlyAuto  = "auto"  // XDP, else tcx
	EarlyXDP   = "xdp"   // only XDP
	EarlyTCX   = "tcx"   // only tcx
	EarlyExact = "exact" // counters without exception: tcx, where merging is done
	EarlyOff   = "off"
)

// EarlyWish is what the early stage shall do, and what the caller knows about the rules.
type EarlyWish struct {
	Mode    string
	Off     string // a reason of the caller for leaving all to the hooks; "": none
	Expects bool   // rules give connections a helper
	// Last is the priority of the last table with rules at INPUT and FORWARD: what
	// stands behind it does not meet packets that are dropped.
	Last int32
	// Iptables says whether a base chain of a table is one that iptables-nft makes; nil: none.
	Iptables func(table, chain string) bool
}

// before says whether something at a hook meets packets before the early stage's rules
// have dropped them.
func (w EarlyWish) before(hook packet.Hook, priority int32) bool {
	return hook == packet.Prerouting || priority <= w.Last
}

// EarlyState is what the early stage does.
type EarlyState struct {
	Mode    string      `json:"mode"`
	Off     string      `json:"off,omitempty"`    // why all packets go up
	Routes  string      `json:"routes,omitempty"` // why only PREROUTING is judged early
	Expects string      `json:"expects,omitempty"`
	Dropped uint64      `json:"dropped"` // packets, since it was attached first
	Links   []EarlyLink `json:"links,omitempty"`
	// Stale says that it was made for what the namespace had before: SyncEarly is due.
	Stale bool `json:"stale,omitempty"`
}

// HasEarly says whether the family has an early stage in the namespace, at work or not.
func (s *Space) HasEarly() bool {
	_, err := os.Stat(s.earlyDir())
	return err == nil
}

// SyncEarly makes the early stage follow the namespace: its interfaces, addresses and
// what stands at the hooks. Called after each switch of generations, and by who watches the
// namespace whenever something of that changes.
func (s *Space) SyncEarly(w EarlyWish) (*EarlyState, error) {
	if !s.HasEarly() {
		return &EarlyState{Mode: w.Mode, Off: w.Off}, nil
	}
	if w.Mode == EarlyOff || w.Mode == "" {
		return &EarlyState{Mode: EarlyOff}, s.RemoveEarly()
	}
	if err := s.HaltEarly(); err != nil {
		return nil, err
	}
	maps, err := s.openEarlyMaps()
	if err != nil {
		return nil, err
	}
	defer closeMaps(maps)
	config, state, err := s.survey(w, maps[abi.EarlyXdpMapEarlyAddrs])
	if err != nil {
		return nil, err
	}
	failpoint.At("early surveyed")
	if state.Links, err = s.syncLinks(w.Mode); err != nil {
		return nil, err
	}
	failpoint.At("early linked")
	return state, maps[abi.EarlyXdpMapEarlyConfigs].Put(uint32(0), config)
}

// survey finds out what the early stage may do, and fills the set of addresses, if it is
// given. The namespace is looked at between two looks at what the kernel has.
func (s *Space) survey(w EarlyWish, addrs *ebpf.Map) (*abi.EarlyXdpEarlyConfig, *EarlyState, error) {
	config, state := &abi.EarlyXdpEarlyConfig{}, &EarlyState{Mode: w.Mode, Off: w.Off}
	view, err := s.look()
	if err != nil {
		return nil, nil, fmt.Errorf("early stage: %w", err)
	}
	if err := s.surveyHooks(w, view, state); err != nil {
		return nil, nil, err
	}
	if err := s.surveyRoutes(config, state, addrs); err != nil {
		return nil, nil, err
	}
	again, err := s.look()
	if err != nil {
		return nil, nil, fmt.Errorf("early stage: %w", err)
	}
	if again.World != view.World {
		state.Routes = "routes or hooks change"
	}
	config.World = view.World
	config.On = boolean(state.Off == "")
	config.Addrs = boolean(state.Routes == "")
	config.Tracks = boolean(tracks(view))
	config.Expects = boolean(state.Expects != "")
	return config, state, nil
}

// surveyHooks looks for what packets meet besides our rules.
func (s *Space) surveyHooks(w EarlyWish, view *abi.EarlyXdpEarlyView, state *EarlyState) error {
	reason, known, err := s.foreignChains(w)
	if err != nil {
		return err
	}
	if reason == "" {
		reason = s.foreignHook(w, view, known)
	}
	if state.Off == "" {
		state.Off = reason
	}
	if state.Expects, err = expected(); err != nil {
		return err
	}
	if w.Expects && state.Expects == "" {
		state.Expects = "rules give connections a helper"
	}
	return nil
}

// surveyRoutes finds out what is local, and what is never too long.
func (s *Space) surveyRoutes(config *abi.EarlyXdpEarlyConfig, state *EarlyState, addrs *ebpf.Map) error {
	list, why, err := s.localAddrs()
	if err != nil {
		return err
	}
	state.Routes = why
	nearAddrs(config, list)
	if addrs != nil {
		if err := fillAddrs(addrs, list); err != nil {
			return err
		}
	}
	config.Mtu, err = s.smallestMTU()
	return err
}

// smallestMTU is what every interface and path takes: a longer packet may be too long to
// be forwarded. A path can have as little as 552 (net.ipv4.route.min_pmtu), with IPv6 1280.
func (s *Space) smallestMTU() (uint32, error) {
	links, err := steady.Links()
	if err != nil {
		return 0, fmt.Errorf("list interfaces: %w", err)
	}
	least := 552
	if s.family == packet.IPv6 {
		least = 1280
	}
	for _, l := range links {
		least = min(least, l.Attrs().MTU)
	}
	return uint32(least), nil
}

// EarlyState tells what the early stage does now, and changes nothing.
func (s *Space) EarlyState(w EarlyWish) (*EarlyState, error) {
	m, err := ebpf.LoadPinnedMap(filepath.Join(s.earlyDir(), abi.EarlyXdpMapEarlyConfigs), nil)
	if errors.Is(err, os.ErrNotExist) {
		return &EarlyState{Mode: w.Mode, Off: w.Off}, nil
	}
	if err != nil {
		return nil, err
	}
	defer m.Close()
	var now abi.EarlyXdpEarlyConfig
	if err := m.Lookup(uint32(0), &now); err != nil {
		return nil, err
	}
	config, state, err := s.survey(w, nil)
	if err != nil {
		return nil, err
	}
	switch {
	case state.Off != "":
	case now.On == 0 || config.World.Hooks != now.World.Hooks || config.World.Words != now.World.Words:
		state.Off = "the hooks of netfilter have changed; any command that changes rules looks again"
	case state.Routes == "" && config.World.Routes != now.World.Routes:
		state.Routes = "routes or addresses have changed; any command that changes rules looks again"
	}
	if state.Dropped, err = s.earlyDropped(); err != nil {
		return nil, err
	}
	if state.Links, err = s.earlyLinks(); err != nil {
		return nil, err
	}
	state.Stale = stale(now, *config) || slices.ContainsFunc(state.Links, func(l EarlyLink) bool { return l.late })
	return state, nil
}

// stale says whether a configuration is not what would be made now. The order of the
// addresses has no meaning: the generation of the routes tells when they change.
func stale(now, next abi.EarlyXdpEarlyConfig) bool {
	next.Near, next.NearLocal = now.Near, now.NearLocal
	return now != next
}

// earlyDropped is the number of packets that all processors have dropped.
func (s *Space) earlyDropped() (uint64, error) {
	m, err := ebpf.LoadPinnedMap(filepath.Join(s.earlyDir(), abi.EarlyXdpMapEarlyPackets), nil)
	if err != nil {
		return 0, err
	}
	defer m.Close()
	var each []abi.EarlyPacket
	if err := m.Lookup(uint32(0), &each); err != nil {
		return 0, err
	}
	n := uint64(0)
	for _, e := range each {
		n += e.Dropped
	}
	return n, nil
}
