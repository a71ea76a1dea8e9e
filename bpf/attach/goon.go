package attach

import (
	"errors"

	"github.com/cilium/ebpf"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/bpf/maps"
)

// GoOn makes limits and nths of an installed generation go on from those of another one, by
// slots. What packets take from the other after that is not seen.
func (g *Generation) GoOn(from *Generation, limits, nths map[int]int) error {
	return goOn(limits, nths, func(name string, use func(to, from *ebpf.Map) error) error {
		after, err := g.pinned(name)
		if err != nil {
			return err
		}
		defer after.Close()
		before, err := from.pinned(name)
		if err != nil {
			return err
		}
		return errors.Join(use(after, before), before.Close())
	})
}

// GoOn makes limits and nths go on from those of another runner.
func (r *Runner) GoOn(from *Runner, limits, nths map[int]int) error {
	return goOn(limits, nths, func(name string, use func(to, from *ebpf.Map) error) error {
		return use(r.maps[name], from.maps[name])
	})
}

// goOn copies what there is to copy, between maps that with opens.
func goOn(limits, nths map[int]int, with func(name string, use func(to, from *ebpf.Map) error) error) error {
	var errs []error
	if len(limits) > 0 {
		errs = append(errs, with(abi.NetfilterMapLimits, func(to, from *ebpf.Map) error { return maps.GoOnLimits(to, from, limits) }))
	}
	if len(nths) > 0 {
		errs = append(errs, with(abi.NetfilterMapNths, func(to, from *ebpf.Map) error { return maps.GoOnNths(to, from, nths) }))
	}
	return errors.Join(errs...)
}
