package maps

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/bpftables/bpftables/bpf/abi"
	"github.com/bpftables/bpftables/codegen"
	"github.com/bpftables/bpftables/codegen/rows"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

// States are the contents of the maps of one generation: what the slots of its
// programs mean.
type States struct {
	Family  packet.Family
	Rules   int
	Limits  map[int]pred.Limit
	Nths    map[int]pred.Nth
	Recents map[int]pred.Recent
	Args    []pred.Pred // see plan.Plan
	SetUses map[int]codegen.SetUse
	Sets    []*plan.Set          // of the plan
	Named   map[string]*ebpf.Map // the named sets and the lists of Recents, by pin; they stay the caller's
	Image   *rows.Image          // the classified chains; nil: none
	Needs   uint32               // what all programs that look rows up fill of the facts
	HZ      uint32
	// ControlGroup gives the number of a control group by its path; 0: it is not there.
	ControlGroup func(path string) uint64
}

// NewStates gives empty states for a clock rate.
func NewStates(hz uint32) *States {
	return &States{
		Limits: map[int]pred.Limit{}, Nths: map[int]pred.Nth{},
		Recents: map[int]pred.Recent{},
		SetUses: map[int]codegen.SetUse{}, Named: map[string]*ebpf.Map{}, HZ: hz, Needs: ^uint32(0),
		ControlGroup: controlGroup,
	}
}

// Set is the maps of one generation by the names of the datapath.
type Set map[string]*ebpf.Map

// Close closes all maps.
func (s Set) Close() error {
	var errs []error
	for _, m := range s {
		errs = append(errs, m.Close())
	}
	return errors.Join(errs...)
}

// CreditsPerJiffy is the constant of net/netfilter/xt_limit.c for a clock rate.
func CreditsPerJiffy(hz uint32) uint32 { return pred.CreditsPerTick(uint64(hz)) }

// New makes the maps of a generation from their specs and fills them.
func New(specs map[string]*ebpf.MapSpec, states *States) (Set, error) {
	out := Set{}
	steps := []struct {
		name string
		size int
		fill func(*ebpf.Map) error
	}{
		{abi.NetfilterMapCounters, blocks(states.slots()), nil},
		{abi.NetfilterMapLimits, states.room(size(states.Limits)), states.fillLimits},
		{abi.NetfilterMapNths, states.room(size(states.Nths)), states.fillNths},
	}
	for _, s := range steps {
		m, err := sized(specs[s.name], s.size)
		if err == nil && s.fill != nil {
			err = s.fill(m)
		}
		if m != nil {
			out[s.name] = m
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("map %s: %w", s.name, err), out.Close())
		}
	}
	if err := states.recents(specs, out); err != nil {
		return nil, errors.Join(err, out.Close())
	}
	if err := states.arguments(specs, out); err != nil {
		return nil, errors.Join(err, out.Close())
	}
	if err := states.meters(specs, out); err != nil {
		return nil, errors.Join(err, out.Close())
	}
	if err := states.setUses(specs, out); err != nil {
		return nil, errors.Join(err, out.Close())
	}
	if err := states.classes(specs, out); err != nil {
		return nil, errors.Join(err, out.Close())
	}
	return out, nil
}

// slots is how many rules the counters have room for: where chains are classified, also
// for some that come later.
func (s *States) slots() int {
	if s.Image == nil {
		return s.Rules
	}
	return s.Rules + s.Rules/8 + 1024
}

// room is how many slots there are where rules have so many: where chains are classified, also
// some for rules that come later.
func (s *States) room(n int) int {
	if s.Image == nil {
		return n
	}
	return n + max(16, n/4)
}

// sized makes a map with another size than its spec says, at least 1.
func sized(spec *ebpf.MapSpec, size int) (*ebpf.Map, error) {
	spec = spec.Copy()
	spec.MaxEntries = uint32(max(size, 1))
	return ebpf.NewMap(spec)
}

// size is one more than the largest slot.
func size[T any](slots map[int]T) int {
	n := 0
	for slot := range slots {
		n = max(n, slot+1)
	}
	return n
}

func (s *States) fillLimits(m *ebpf.Map) error {
	for slot, l := range s.Limits {
		if err := PutLimit(m, slot, l, s.HZ); err != nil {
			return err
		}
	}
	return nil
}

// PutLimit begins a limit with full credit, as limit_mt_check(), at a clock rate.
func PutLimit(m *ebpf.Map, slot int, l pred.Limit, hz uint32) error {
	if l.Quota != nil {
		return m.Put(uint32(slot), abi.NetfilterLimitState{Cap: uint32(*l.Quota), Cost: uint32(*l.Quota >> 32)})
	}
	cost, most, _ := pred.LimitCredits(l.Avg, l.Burst, uint64(hz))
	return m.Put(uint32(slot), abi.NetfilterLimitState{Credit: most, Cap: most, Cost: cost})
}

func (s *States) fillNths(m *ebpf.Map) error {
	for slot, n := range s.Nths {
		if err := PutNth(m, slot, n); err != nil {
			return err
		}
	}
	return nil
}

// PutNth sets a counter so that the packet number Start, from 0, is the first match: the kernel
// counts to Every-1 and matches when it begins anew.
func PutNth(m *ebpf.Map, slot int, n pred.Nth) error {
	return m.Put(uint32(slot), abi.NetfilterNthState{Count: n.First(), Every: n.Every - 1})
}

// Refill gives the limit of a slot full credit, as a new rule has.
func Refill(m *ebpf.Map, slot int) error {
	var s abi.NetfilterLimitState
	err := m.Lookup(uint32(slot), &s)
	if err == nil {
		s.Prev, s.Credit = 0, s.Cap
		err = m.Put(uint32(slot), s)
	}
	if err != nil {
		return fmt.Errorf("refill limit %d: %w", slot, err)
	}
	return nil
}

// Recount makes the nth of a slot begin with a count.
func Recount(m *ebpf.Map, slot int, count uint32) error {
	var s abi.NetfilterNthState
	err := m.Lookup(uint32(slot), &s)
	if err == nil {
		s.Count = count
		err = m.Put(uint32(slot), s)
	}
	if err != nil {
		return fmt.Errorf("count nth %d anew: %w", slot, err)
	}
	return nil
}

// GoOnLimits gives limits the credit that those of another map have, by slots.
func GoOnLimits(to, from *ebpf.Map, slots map[int]int) error {
	return goOn(to, from, slots, func(n *abi.NetfilterLimitState, old abi.NetfilterLimitState) {
		n.Prev, n.Credit = old.Prev, old.Credit
	})
}

// GoOnNths gives nths the counts that those of another map have, by slots.
func GoOnNths(to, from *ebpf.Map, slots map[int]int) error {
	return goOn(to, from, slots, func(n *abi.NetfilterNthState, old abi.NetfilterNthState) { n.Count = old.Count })
}

// goOn takes over some of the values of another map.
func goOn[T any](to, from *ebpf.Map, slots map[int]int, take func(n *T, old T)) error {
	for slot, before := range slots {
		var n, old T
		err := errors.Join(to.Lookup(uint32(slot), &n), from.Lookup(uint32(before), &old))
		if err == nil {
			take(&n, old)
			err = to.Put(uint32(slot), n)
		}
		if err != nil {
			return fmt.Errorf("go on from slot %d in slot %d: %w", before, slot, err)
		}
	}
	return nil
}
