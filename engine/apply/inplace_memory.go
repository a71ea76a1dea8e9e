package apply

import (
	"slices"

	"github.com/bpftables/bpftables/codegen/rows/edit"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

// of is the list of slots of a kind of predicate.
func (m *memory) of(p pred.Pred) *[]plan.Slot {
	switch p.(type) {
	case pred.Nth:
		return &m.Nths
	case pred.Recent:
		return &m.Recents
	}
	return &m.Limits
}

// remembering are predicates of all kinds that have slots.
var remembering = []pred.Pred{pred.Limit{}, pred.Nth{}, pred.Recent{}}

// slotsOf are the numbers of slots.
func slotsOf(slots []plan.Slot) []int {
	out := make([]int, len(slots))
	for i, s := range slots {
		out[i] = s.Slot
	}
	return out
}

// slot finds a slot for a limit, an nth or a question to a list that no rule of the generation has, and none had that
// packets on their way have seen.
func (ed *editor) slot(of pred.Pred) (int, bool) {
	room, err := ed.classes.Room(of)
	if err != nil {
		ed.err = err
		return 0, false
	}
	taken := map[int]bool{}
	all := []*memory{ed.extra.Dying, ed.given}
	for _, m := range ed.extra.Memory {
		all = append(all, m)
	}
	for _, m := range all {
		if m != nil {
			for _, s := range *m.of(of) {
				taken[s.Slot] = true
			}
		}
	}
	for n := range room {
		if !taken[n] {
			given := ed.given.of(of)
			*given = append(*given, plan.Slot{Slot: n})
			return n, true
		}
	}
	ed.full = edit.ErrNoRoom
	return 0, false
}

// remember makes the slots of a rule's limits, nths and questions to lists theirs.
func (ed *editor) remember(t *tableEditor, rule uint32, slots []pred.Pred) error {
	for _, p := range slots {
		slot := 0
		switch p := p.(type) {
		case pred.Limit:
			slot = p.Slot
		case pred.Nth:
			slot = p.Slot
			if t.Nths == nil {
				t.Nths = map[int]uint32{}
			}
			t.Nths[slot] = p.First()
		case pred.Recent:
			slot = p.Slot
		}
		if err := ed.classes.Begin(slot, p); err != nil {
			return err
		}
		if ed.extra.Memory == nil {
			ed.extra.Memory = map[string]*memory{}
		}
		if ed.extra.Memory[t.state.Name] == nil {
			ed.extra.Memory[t.state.Name] = &memory{}
		}
		of := ed.extra.Memory[t.state.Name].of(p)
		*of = append(*of, plan.Slot{Rule: rule, Slot: slot})
		ed.other = true
	}
	return nil
}

// forget gives up what a rule remembers, once no packet sees it any more.
func (ed *editor) forget(t *tableEditor, rule uint32) {
	m := ed.extra.Memory[t.state.Name]
	if m == nil {
		return
	}
	for _, p := range remembering {
		of := m.of(p)
		for _, s := range *of {
			if s.Rule != rule {
				continue
			}
			if ed.extra.Dying == nil {
				ed.extra.Dying = &memory{}
			}
			dying := ed.extra.Dying.of(p)
			*dying = append(*dying, s)
			if _, is := p.(pred.Nth); is {
				delete(t.Nths, s.Slot)
			}
			ed.other = true
		}
		*of = slices.DeleteFunc(*of, func(s plan.Slot) bool { return s.Rule == rule })
	}
}
