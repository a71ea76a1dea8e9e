package apply

import (
	"github.com/bpftables/bpftables/codegen/rows/edit"
	"github.com/bpftables/bpftables/engine/state"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate"
	"github.com/bpftables/bpftables/translate/flow"
	"github.com/bpftables/bpftables/translate/plan"
)

// verify looks whether the kernel takes a table as it is now, and whether it fits: where packets
// get, what may stand there, and how much they collect on the way.
func (ed *editor) verify(t *tableEditor) error {
	if !t.walk {
		return nil
	}
	t.walk = false
	for {
		w := ed.ways(t)
		reach, err := flow.Follow(w, w.bases())
		if err != nil || w.err != nil || reach.Depth > plan.ClassDepth {
			return errNotInPlace // a ring is for those who can word it
		}
		again, err := ed.settle(w, reach)
		if err != nil {
			return err
		}
		if !again {
			return ed.bound(w, reach)
		}
	}
}

// settle looks at the rules of chains that packets come to from hooks from which they did not come
// before; again: rules have got rows.
func (ed *editor) settle(w *ways, reach *flow.Reach) (again bool, err error) {
	rows, t := ed.classes.Rows(), w.t
	for n, hooks := range reach.Hooks {
		if n >= plan.MaxClasses {
			continue
		}
		rows.SetReached(n, rows.Reached(n)|hooks)
		if hooks&rows.Refused(n) == 0 && !rows.Bare(n) {
			continue
		}
		refused, done := t.settled[n]
		if !done {
			c := w.chain(n)
			if c == nil {
				return false, errNotInPlace // code at another hook
			}
			var made bool
			if refused, made, err = ed.ask(t, c, n); err != nil {
				return false, err
			}
			again = again || made
			t.settled[n] = refused
		}
		if hooks&refused != 0 {
			return false, errNotInPlace
		}
	}
	return again, nil
}

// ask asks the rules of a chain where packets must not come from, and gives rows to those that have none.
func (ed *editor) ask(t *tableEditor, c *state.Chain, number int) (refused uint8, made bool, err error) {
	for i := range c.Len() {
		stored := c.Rule(i)
		r, err := ed.read(t.state, &stored)
		if err != nil {
			return 0, false, err
		}
		refused |= t.in.Refused(r)
		if stored.Slot != state.None {
			continue
		}
		if err := ed.place(t, c, number, i, r, &stored); err != nil {
			return 0, false, err
		}
		ed.state.Replace(c, i, stored)
		made = true
	}
	return refused, made, nil
}

// read reads a stored rule of a table.
func (ed *editor) read(t *state.Table, r *state.Rule) (*ruleset.Rule, error) {
	out, err := ed.check.Read(t.Name, r.Text, r.Exact, func(name string) bool { return t.Chain(name) != nil })
	if err != nil {
		return nil, errNotInPlace // a new generation says more
	}
	return out, nil
}

// settledRefused makes what verify found out what the next change begins with, now that packets
// see the rules of which it is true.
func (ed *editor) settledRefused() {
	for _, t := range ed.tables {
		for n, refused := range t.settled {
			ed.classes.Rows().SetRefused(n, refused)
			ed.classes.Rows().SetBare(n, false)
		}
	}
}

// bound looks whether packets collect more effects than fit, or than the datapath was told.
func (ed *editor) bound(w *ways, reach *flow.Reach) error {
	t := w.t
	if t.in.Actions.Len() == 0 {
		return nil
	}
	longest, words := 0, 0
	all := flow.Longest(w, reach.Order)
	for base := range w.bases() {
		longest, words = max(longest, all[base].Effects), max(words, all[base].Words)
	}
	if words > plan.MaxNotes || longest > plan.MaxRuns || w.err != nil {
		return errNotInPlace
	}
	t.longest = max(t.longest, longest)
	return nil
}

// ways are those through a table: a flow.Table. Classified chains are numbered as they are, those
// that are code by their places behind all of these.
type ways struct {
	*edit.Walker
	ed    *editor
	t     *tableEditor
	code  map[int][]flow.Rule
	names map[int]*state.Chain // by number; nil: not asked for yet
	err   error
}

// mostCode is how many rules of chains that are code are read, at most: long chains are not.
const mostCode = 1 << 12

func (ed *editor) ways(t *tableEditor) *ways {
	return &ways{Walker: ed.rows.Walk(), ed: ed, t: t, code: map[int][]flow.Rule{}}
}

// number is that of a chain.
func (w *ways) number(c *state.Chain) int {
	if n, is := class(c); is {
		return n
	}
	return plan.MaxClasses + c.Place()
}

// bases are the base chains with their hooks.
func (w *ways) bases() map[int]uint8 {
	out := map[int]uint8{}
	for _, c := range w.t.state.Chains() {
		if b := tables.Base(w.t.state.Name, c.Name, c.Policy); b != nil {
			out[w.number(c)] = 1 << b.Hook
		}
	}
	return out
}

// chain finds a classified chain by its number.
func (w *ways) chain(number int) *state.Chain {
	if w.names == nil {
		w.names = map[int]*state.Chain{}
		for _, c := range w.t.state.Chains() {
			if n, is := class(c); is {
				w.names[n] = c
			}
		}
	}
	return w.names[number]
}

// Rules are those of a chain.
func (w *ways) Rules(number int) []flow.Rule {
	if number < plan.MaxClasses {
		return w.Walker.Rules(number)
	}
	if known, ok := w.code[number]; ok {
		return known
	}
	c := w.t.state.Chains()[number-plan.MaxClasses]
	out := make([]flow.Rule, 0, c.Len())
	for i := range c.Len() {
		r, err := w.rule(c, i)
		if err != nil {
			w.err = err
			return nil
		}
		out = append(out, r)
	}
	w.code[number] = out
	return out
}

// rule reads a rule of a chain that is code.
func (w *ways) rule(c *state.Chain, i int) (out flow.Rule, err error) {
	if i >= mostCode {
		return out, errNotInPlace
	}
	stored := c.Rule(i)
	r, err := w.ed.read(w.t.state, &stored)
	if err != nil {
		return out, err
	}
	place := &ruleset.Place{Family: w.t.in.Family, Bases: w.t.in.Bases, Rule: r}
	a := place.Action()
	out = flow.Rule{Op: a.Op, Ends: r.Ends(), Always: len(r.Matches) == 0}
	switch a.Op {
	case pred.Jump, pred.Goto:
		to := w.t.state.Chain(a.Chain)
		if to == nil {
			return out, errNotInPlace
		}
		out.To = w.number(to)
	case pred.Do:
		number, known := w.t.in.Actions.Number(a.Effect)
		if !known {
			return out, errNotInPlace
		}
		out.Note = translate.NoteOf(a.Effect, number)
	}
	return out, nil
}

// Implied says of rules that are code no more than that it is not known.
func (w *ways) Implied(chain, by, rule int) bool {
	return chain < plan.MaxClasses && w.Walker.Implied(chain, by, rule)
}
