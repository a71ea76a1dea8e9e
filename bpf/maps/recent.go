package maps

import (
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

// recentList is the layout of a list.
type recentList = abi.NetfilterRecentList

// What a list in BPF can hold: addresses, and time stamps for each of them.
const (
	recentTotal  = len(recentList{}.Entries) - 1
	recentStamps = len(recentList{}.Stamps) / len(recentList{}.Entries)
)

// parameter reads a parameter of the kernel module xt_recent; without the module
// nobody changed it.
func parameter(name string, otherwise uint32) uint32 {
	text, err := os.ReadFile("/sys/module/xt_recent/parameters/" + name)
	if err != nil {
		return otherwise
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 32)
	if err != nil {
		return otherwise
	}
	return uint32(n)
}

// CheckStamps says whether BPF can keep a list as netfilter does.
func CheckStamps(s *plan.Set) error {
	if total := parameter("ip_list_tot", 100); int(total) != recentTotal {
		return fmt.Errorf("recent: xt_recent keeps %d addresses for each list (ip_list_tot), BPF keeps %d", total, recentTotal)
	}
	if n := stamps(s); int(n) > recentStamps {
		return fmt.Errorf("recent: list %s needs %d time stamps for each address, BPF keeps %d", s.Name, n, recentStamps)
	}
	return nil
}

// stamps is how many time stamps the rule wants that wants most.
func stamps(s *plan.Set) (n uint32) {
	for _, hits := range s.Stamps.Hits {
		n = max(n, pred.RecentStamps(hits, parameter("ip_pkt_list_tot", 0)))
	}
	return n
}

// NewStamps makes a list.
func NewStamps(spec *ebpf.MapSpec, s *plan.Set) (*ebpf.Map, error) {
	m, err := ebpf.NewMap(spec.Copy())
	if err != nil {
		return nil, fmt.Errorf("recent list %s: %w", s.Name, err)
	}
	list := &recentList{StampMask: stamps(s) - 1}
	for i := range list.Mask {
		list.Mask[i] = binary.NativeEndian.Uint32(s.Stamps.Mask[4*i:])
	}
	if err := m.Update(uint32(0), list, ebpf.UpdateLock); err != nil {
		m.Close()
		return nil, fmt.Errorf("recent list %s: %w", s.Name, err)
	}
	return m, nil
}

// GrowStamps makes a list fit for the rules that name it now. When it must keep more stamps
// than before, it is emptied, as recent_mt_check() does.
func GrowStamps(m *ebpf.Map, s *plan.Set) error {
	list := new(recentList)
	if err := m.LookupWithFlags(uint32(0), list, ebpf.LookupLock); err != nil {
		return fmt.Errorf("recent list %s: %w", s.Name, err)
	}
	want := stamps(s) - 1
	if want <= list.StampMask {
		return nil
	}
	*list = recentList{StampMask: want, Mask: list.Mask}
	if err := m.Update(uint32(0), list, ebpf.UpdateLock); err != nil {
		return fmt.Errorf("recent list %s: %w", s.Name, err)
	}
	return nil
}

// recents makes the maps that tell the slots' rules and lists.
func (s *States) recents(specs map[string]*ebpf.MapSpec, out Set) error {
	n := s.room(size(s.Recents))
	if n == 0 {
		return nil
	}
	configs, err := sized(specs[abi.NetfilterMapRecentConfigs], n)
	if err != nil {
		return fmt.Errorf("map %s: %w", abi.NetfilterMapRecentConfigs, err)
	}
	out[abi.NetfilterMapRecentConfigs] = configs
	lists, err := sized(specs[abi.NetfilterMapRecentLists], n)
	if err != nil {
		return fmt.Errorf("map %s: %w", abi.NetfilterMapRecentLists, err)
	}
	out[abi.NetfilterMapRecentLists] = lists
	for slot, r := range s.Recents {
		if err := PutRecent(configs, lists, slot, r, s.Named[ListPin(r.List)]); err != nil {
			return err
		}
	}
	return nil
}

// PutRecent makes a slot that of a rule, which asks a list.
func PutRecent(configs, lists *ebpf.Map, slot int, r pred.Recent, list *ebpf.Map) error {
	err := lists.Put(uint32(slot), list)
	if err == nil {
		err = configs.Put(uint32(slot), recentConfig(r))
	}
	if err != nil {
		return fmt.Errorf("recent list %s: %w", r.List, err)
	}
	return nil
}

func recentConfig(r pred.Recent) abi.NetfilterRecentConfig {
	return abi.NetfilterRecentConfig{
		Op: uint32(r.Op), Dst: bit(r.Dst), Seconds: r.Seconds, Hits: r.Hits,
		Ttl: bit(r.TTL), Reap: bit(r.Reap), Negate: bit(r.Negate),
	}
}

func bit(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}
