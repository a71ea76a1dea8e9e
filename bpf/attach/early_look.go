package attach

import (
	"fmt"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// earlyHooks are the hooks that a received packet passes, as struct early_view has them.
var earlyHooks = []packet.Hook{packet.Prerouting, packet.Input, packet.Forward}

// look asks the kernel what the namespace has at its hooks.
func (s *Space) look() (*abi.EarlyXdpEarlyView, error) {
	spec, prog, err := earlySubset(earlyXDP, abi.EarlyXdpProgLook)
	if err != nil {
		return nil, err
	}
	views, err := ebpf.NewMap(spec.Maps[abi.EarlyXdpMapEarlyViews].Copy())
	if err != nil {
		return nil, err
	}
	defer views.Close()
	if err := set(spec, map[string]uint32{abi.EarlyXdpVarFamily: uint32(s.family)}); err != nil {
		return nil, err
	}
	loaded, err := load(spec, prog, map[string]*ebpf.Map{abi.EarlyXdpMapEarlyViews: views})
	if err != nil {
		return nil, err
	}
	defer loaded.Close()
	ret, err := loaded.Run(&ebpf.RunOptions{})
	if err != nil {
		return nil, err
	}
	if ret != 1 {
		return nil, fmt.Errorf("the look at the namespace ended with %d", ret)
	}
	view := &abi.EarlyXdpEarlyView{}
	return view, views.Lookup(uint32(0), view)
}

// The kinds of hooks of enum nf_hook_ops_type (include/linux/netfilter.h).
const (
	hookKernel = iota
	hookNFT
	hookBPF
)

// known are the priorities of the hooks that the kernel itself registers for us:
// defragmentation, conntrack, the tables of iptables, NAT
// (enum nf_ip_hook_priorities).
var knownPriorities = map[int32]bool{
	-400: true, -300: true, -200: true, -150: true, -100: true, 0: true, 50: true, 100: true, 1<<31 - 1: true,
}

// foreignHook names the first hook that is neither ours nor the kernel's own; "" when
// there is none. chains is how many base chains of nft that we know stand at each hook.
func (s *Space) foreignHook(w EarlyWish, view *abi.EarlyXdpEarlyView, chains map[packet.Hook]int) string {
	if view.World.More != 0 {
		return "more tables and chains of NAT stand at the hooks than can be watched"
	}
	for i, hook := range earlyHooks {
		count := int(view.World.Counts[i])
		if count > len(view.Hooks[i]) {
			return fmt.Sprintf("there are %d hooks at %s", count, hook)
		}
		nft := 0
		for _, h := range view.Hooks[i][:count] {
			if h.Type == hookNFT {
				nft++
			}
			if !w.before(hook, h.Priority) {
				continue
			}
			switch h.Type {
			case hookBPF:
				if !s.ownPriority(hook, h.Priority) {
					return fmt.Sprintf("a BPF program of another owner is linked at %s, priority %d", hook, h.Priority)
				}
			case hookNFT: // counted above
			case hookKernel:
				if !knownPriorities[h.Priority] {
					return fmt.Sprintf("something else stands at %s, priority %d", hook, h.Priority)
				}
			default:
				return fmt.Sprintf("something unknown stands at %s, priority %d", hook, h.Priority)
			}
		}
		if nft > chains[hook] {
			return fmt.Sprintf("nft chains stand at %s that cannot be listed", hook)
		}
	}
	return ""
}

// ownPriority says whether one of our links has a priority at a hook: two BPF links
// cannot have the same.
func (s *Space) ownPriority(hook packet.Hook, priority int32) bool {
	entries, guards, err := s.linked()
	if err != nil {
		return false
	}
	return slices.ContainsFunc(slices.Concat(entries, guards), func(p seat) bool {
		return p.hook == hook && p.priority == priority
	})
}

// tracks says whether conntrack sees received packets: its hook is there.
func tracks(view *abi.EarlyXdpEarlyView) bool {
	const conntrack = -200
	for _, h := range view.Hooks[0][:min(int(view.World.Counts[0]), len(view.Hooks[0]))] {
		if h.Type == hookKernel && h.Priority == conntrack {
			return true
		}
	}
	return false
}
