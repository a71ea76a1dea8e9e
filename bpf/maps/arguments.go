package maps

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/bpf/cgroup"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// argument is what a map holds for a predicate that has its arguments there.
func (s *States) argument(p pred.Pred) (mapName string, slot int, value any, err error) {
	switch p := p.(type) {
	case pred.SCTPChunks:
		value, err = chunksConfig(p)
		return abi.NetfilterMapSctpChunkConfigs, p.Slot, value, err
	case pred.Groups:
		return abi.NetfilterMapGroupConfigs, p.Slot, &abi.NetfilterGroupConfig{Lo: p.Lo, Hi: p.Hi}, nil
	case pred.ControlGroup:
		return abi.NetfilterMapControlGroupConfigs, p.Slot, &abi.NetfilterControlGroupConfig{Id: s.ControlGroup(p.Path)}, nil
	case pred.ConnCount:
		return abi.NetfilterMapConnCountConfigs, p.Slot, &abi.NetfilterConnCountConfig{From: p.From, To: p.To, Of: uint32(p.Of), Dir: uint32(p.Dir)}, nil
	case pred.Policy:
		return abi.NetfilterMapPolicyConfigs, p.Slot, policyConfig(p), nil
	case pred.Options6:
		return abi.NetfilterMapOptions6Configs, p.Slot, options6Config(p), nil
	case pred.Hops6:
		return abi.NetfilterMapHops6Configs, p.Slot, hops6Config(p), nil
	case pred.Time:
		return abi.NetfilterMapTimeConfigs, p.Slot, timeConfig(p), nil
	case pred.Search:
		return abi.NetfilterMapTextConfigs, p.Slot, textConfig(p), nil
	}
	return "", 0, nil, fmt.Errorf("predicate %s has no arguments in a map", p)
}

// arguments makes the maps that tell the slots' arguments. Programs that have none of a kind
// have no map of it, either.
func (s *States) arguments(specs map[string]*ebpf.MapSpec, out Set) error {
	sizes := map[string]int{}
	args := slices.DeleteFunc(slices.Clone(s.Args), pred.Keeps) // they have maps of their own
	for _, p := range args {
		name, slot, _, err := s.argument(p)
		if err != nil {
			return err
		}
		sizes[name] = max(sizes[name], slot+1)
	}
	for name, n := range sizes {
		m, err := sized(specs[name], n)
		if err != nil {
			return fmt.Errorf("map %s: %w", name, err)
		}
		out[name] = m
	}
	for _, p := range args {
		name, slot, value, _ := s.argument(p)
		if err := out[name].Put(uint32(slot), value); err != nil {
			return fmt.Errorf("map %s: %w", name, err)
		}
	}
	return nil
}

func chunksConfig(p pred.SCTPChunks) (*abi.NetfilterSctpConfig, error) {
	config := &abi.NetfilterSctpConfig{Map: p.Map, Mode: uint32(p.Mode), Nflags: uint32(len(p.Flags))}
	if len(p.Flags) > len(config.Flags) {
		return nil, fmt.Errorf("%d chunk types with flags, at most %d allowed", len(p.Flags), len(config.Flags))
	}
	for i, f := range p.Flags {
		config.Flags[i].Chunk, config.Flags[i].Mask, config.Flags[i].Value = f.Chunk, f.Mask, f.Value
	}
	return config, nil
}

func textConfig(p pred.Search) *abi.NetfilterTextConfig {
	config := &abi.NetfilterTextConfig{From: uint32(p.From), To: uint32(p.To), Length: uint32(len(p.Text)), Apart: bit(p.Apart)}
	for state, next := range p.Next() {
		copy(config.Next[256*state:], next[:])
	}
	return config
}

func timeConfig(p pred.Time) *abi.NetfilterTimeConfig {
	return &abi.NetfilterTimeConfig{
		DateStart: p.DateStart, DateStop: p.DateStop, DayStart: p.DayStart, DayStop: p.DayStop,
		Monthdays: p.Monthdays, Weekdays: p.Weekdays, Contiguous: bit(p.Contiguous),
	}
}

// controlGroup is the number of a control group of this host. One that is gone has none: the rules that name it were
// there before, or they would have been refused.
func controlGroup(path string) uint64 {
	id, err := cgroup.ID(path)
	if err != nil {
		return 0
	}
	return id
}

func policyConfig(p pred.Policy) *abi.NetfilterPolicyConfig {
	config := &abi.NetfilterPolicyConfig{Out: bit(p.Out), None: bit(p.None), Strict: bit(p.Strict), Len: uint32(len(p.Elems))}
	for i := range p.Elems {
		e, to := &p.Elems[i], &config.Elems[i]
		to.Match, to.Invert = uint32(e.Match), uint32(e.Invert)
		to.Is.Src, to.Is.Dst, to.Is.Reqid = words(e.Src), words(e.Dst), e.ReqID
		to.Is.Proto, to.Is.Mode = uint32(e.Proto), uint32(e.Mode)
		to.Is.Spi = binary.NativeEndian.Uint32(binary.BigEndian.AppendUint32(nil, e.SPI))
		to.SrcMask, to.DstMask = words(e.SrcMask), words(e.DstMask)
	}
	return config
}

func options6Config(p pred.Options6) *abi.NetfilterOptions6Config {
	config := &abi.NetfilterOptions6Config{Header: uint32(p.Header), N: uint32(len(p.Opts))}
	for i, o := range p.Opts {
		config.Opts[i].Kind, config.Opts[i].Len = uint16(o.Kind), uint16(o.Len)
		if o.Any {
			config.Opts[i].Len = math.MaxUint8 + 1
		}
	}
	return config
}

func hops6Config(p pred.Hops6) *abi.NetfilterHops6Config {
	config := &abi.NetfilterHops6Config{Loose: bit(p.Loose), N: uint32(len(p.Addrs))}
	for i, a := range p.Addrs {
		config.Addrs[i] = words(a.As16())
	}
	return config
}

func words(b [16]byte) (out [4]uint32) {
	for i := range out {
		out[i] = binary.NativeEndian.Uint32(b[4*i:])
	}
	return out
}
