package apply

import (
	"fmt"
	"slices"

	"github.com/bpftables/bpftables/engine/datapath"
	"github.com/bpftables/bpftables/engine/state"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/translate"
)

// Scripts find out what the kernel can do with rules in a chain that nothing jumps to. Such a rule needs no rows, no target and no
// map: it has words, and netfilter holds what it names. It gets rows when packets come to its chain (ask).

// unmet are the rules without rows that come and go with a change, and name something.
type unmet struct{ came, gone []datapath.Unmet }

// lay translates a rule for its chain. unmet: no packet comes to the chain, and the rule is worth more than rows.
func (ed *editor) lay(t *tableEditor, c *state.Chain, number int, r *ruleset.Rule) (placed *translate.Placed, unmet bool) {
	actions, given, hidden, asked := t.in.Actions.Len(), *ed.given, t.in.Hidden, t.in.Asked
	placed = t.in.Rule(r)
	if placed != nil && t.in.Actions.Len() == actions || !ed.waits(t, c, number, r) {
		return placed, false
	}
	t.in.Actions.Cut(actions)
	*ed.given, t.in.Hidden, t.in.Asked = given, hidden, asked
	return nil, true
}

// waits says whether a rule can do without rows until packets come to its chain.
func (ed *editor) waits(t *tableEditor, c *state.Chain, number int, r *ruleset.Rule) bool {
	return ed.full == nil && ed.err == nil && c.Policy == "" && ed.classes.Rows().Reached(number) == 0 && !ed.keeps(r) && t.in.Unmet(r)
}

// keeps says whether a rule asks a table of limits that is there.
func (ed *editor) keeps(r *ruleset.Rule) bool {
	return slices.ContainsFunc(r.Matches, func(m ruleset.Match) bool {
		kept := ruleset.KeptSet(m)
		return kept != nil && slices.ContainsFunc(ed.extra.Sets, func(s *ruleset.Set) bool { return s.Title() == kept.Title() })
	})
}

// putUnmet makes a rule one that has no rows.
func (ed *editor) putUnmet(t *tableEditor, c *state.Chain, number int, r *ruleset.Rule, to *state.Rule) error {
	if tracked(r) {
		if err := ed.needTracking(t); err != nil {
			return err
		}
	}
	ed.classes.Rows().SetBare(number, true)
	delete(t.settled, number)
	to.Row, to.Slot = 0, state.None
	if in := t.unmet(c, r); ed.engine.data.Names(&in.Place) {
		in.New = true
		ed.unmet.came = append(ed.unmet.came, in)
	}
	return nil
}

// unmet is a rule of a chain that no packet meets.
func (t *tableEditor) unmet(c *state.Chain, r *ruleset.Rule) datapath.Unmet {
	return datapath.Unmet{Place: ruleset.Place{Family: t.in.Family, Bases: t.in.Bases, Rule: r}, Table: t.state.Name, Chain: c.Name}
}

// takeUnmet takes a rule away that has no rows.
func (ed *editor) takeUnmet(t *tableEditor, c *state.Chain, r *ruleset.Rule) error {
	in := t.unmet(c, r)
	if ed.engine.data.Names(&in.Place) {
		ed.unmet.gone = append(ed.unmet.gone, in)
	}
	if ed.keeps(r) {
		return ed.release(r)
	}
	return nil
}

// hold has netfilter hold what rules name that no packet meets, those that go among them: until
// the change is committed they are there.
func (ed *editor) hold() error {
	if len(ed.unmet.came) == 0 {
		return nil
	}
	return ed.holdAll(slices.Concat(ed.unmet.came, ed.unmet.gone), nil)
}

// letGo has it let go of what the rules that went have named.
func (ed *editor) letGo() error {
	if len(ed.unmet.gone) == 0 {
		return nil
	}
	if err := ed.holdAll(nil, ed.unmet.gone); err != nil {
		return fmt.Errorf("the new rules are enforced, but netfilter holds what the old ones have named: %w", err)
	}
	return nil
}

func (ed *editor) holdAll(more, went []datapath.Unmet) error {
	all, err := ed.allUnmet()
	if err != nil {
		return err
	}
	live, err := ed.engine.enforced(ed.live)
	if err != nil {
		return err
	}
	return ed.engine.data.Hold(live, append(more, all...), went)
}

// allUnmet are the rules of all tables that no packet meets.
func (ed *editor) allUnmet() (out []datapath.Unmet, err error) {
	for _, s := range ed.live.State.Tables() {
		t := ed.tables[s.Name]
		switch {
		case !s.InBPF:
			continue
		case t == nil:
			return nil, errNotInPlace
		}
		for _, c := range s.Chains() {
			number, is := class(c)
			if c.Policy != "" || is && !ed.classes.Rows().Bare(number) {
				continue
			}
			if out, err = ed.unmetOf(t, c, out); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// unmetOf adds the rules of a chain that have no rows.
func (ed *editor) unmetOf(t *tableEditor, c *state.Chain, to []datapath.Unmet) ([]datapath.Unmet, error) {
	for i := range c.Len() {
		stored := c.Rule(i)
		if stored.Slot != state.None {
			continue
		}
		r, err := ed.read(t.state, &stored)
		if err != nil {
			return nil, err
		}
		to = append(to, t.unmet(c, r))
	}
	return to, nil
}
