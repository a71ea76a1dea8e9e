package apply

import (
	"github.com/bpftables/bpftables/engine/datapath"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/translate/plan"
)

// memory is where the rules of one table remember packets.
type memory struct {
	Limits []plan.Slot `json:"limits,omitempty"`
	Nths   []plan.Slot `json:"nths,omitempty"`
	// Recents are questions to lists, which remember for themselves.
	Recents []plan.Slot `json:"recents,omitempty"`
}

// addMemory describes the tables of a plan.
func (x *extra) addMemory(p *plan.Plan) {
	x.Memory = map[string]*memory{}
	for _, t := range p.Tables {
		if t.InBPF && len(t.Limits)+len(t.Nths)+len(t.Recents) > 0 {
			x.Memory[t.Name] = &memory{t.Limits, t.Nths, t.Recents}
		}
	}
}

// goesOn says where the limits of a new generation go on from, in tables that the change leaves
// as they are: netfilter makes the rules of a table anew with each change of it, and no others
// (do_replace(), net/ipv4/netfilter/ip_tables.c).
func (p *prepared) goesOn(o *origins) error {
	p.memory = datapath.Memory{Limits: map[int]int{}, Nths: map[int]int{}}
	if p.live == nil {
		return nil
	}
	old, err := p.live.readExtra()
	if err != nil {
		return err
	}
	for i, planned := range p.res.Plan.Tables {
		before := old.Memory[planned.Name]
		if r := p.report.Table(planned.Name); before == nil || !planned.InBPF || r != nil && len(r.KeptPolicy) == 0 {
			continue
		}
		from := p.slotsBefore(p.after.Tables[i], o)
		match(p.memory.Limits, planned.Limits, before.Limits, from)
		match(p.memory.Nths, planned.Nths, before.Nths, from)
	}
	return nil
}

// slotsBefore are the counter slots that rules of a table had, by those that they have.
func (p *prepared) slotsBefore(t *ruleset.Table, o *origins) map[uint32]uint32 {
	out := map[uint32]uint32{}
	for _, c := range t.Chains {
		for _, r := range c.Rules {
			if id, ok := p.res.Rules[r]; ok {
				if at := o.rule(t.Name, r); !at.None() {
					out[id] = p.live.State.ChainAt(at.Chain).Rule(int(at.Rule)).Slot
				}
			}
		}
	}
	return out
}

// match adds, for each limit of rules that go on, the limit before, both by slot. A rule may
// have several.
func match(into map[int]int, after, before []plan.Slot, from map[uint32]uint32) {
	left := map[uint32][]int{}
	for _, b := range before {
		left[b.Rule] = append(left[b.Rule], b.Slot)
	}
	for _, a := range after {
		if old, ok := from[a.Rule]; ok && len(left[old]) > 0 {
			into[a.Slot], left[old] = left[old][0], left[old][1:]
		}
	}
}

// activate makes what is staged live; its limits go on from what they are just then.
func (p *prepared) activate() error {
	if p.live != nil {
		if err := p.gen.GoOn(p.live.gen, p.memory); err != nil {
			return err
		}
	}
	return p.gen.Activate()
}
