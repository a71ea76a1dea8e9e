package apply

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/bpftables/bpftables/bpf/failpoint"
	"github.com/bpftables/bpftables/codegen"
	"github.com/bpftables/bpftables/codegen/rows/edit"
	"github.com/bpftables/bpftables/codegen/rows/layout"
	"github.com/bpftables/bpftables/engine/datapath"
	"github.com/bpftables/bpftables/engine/state"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate"
	"github.com/bpftables/bpftables/translate/plan"
)

// wornRows is from how many dead rows on they are taken out of the lists.
const wornRows = 64

// inPlace makes a change where the rules are enforced, without a new generation: rows of
// classified chains are written beside those that packets meet, the journal of the state
// gets a batch, and one store makes packets see the new rows. False: only a new
// generation can have the change, and nothing was done.
func (e *Engine) inPlace(live *Live, req *Request) (done bool, err error) {
	if live == nil || !req.NoFlush || req.Test || req.Counters || req.Table != "" || req.Strict || !inPlaceWith(req.Classifier) {
		return false, nil
	}
	x, err := live.readExtra()
	if err != nil || len(x.Changeable) == 0 {
		return false, err
	}
	base, err := e.before(live, false)
	if err != nil {
		return false, err
	}
	for again := false; ; again = true {
		ed, err := e.newEditor(live, x)
		if err != nil || ed == nil {
			return false, err
		}
		o := iptables.Options{
			File: req.File, Family: e.family, Resolver: e.caller.Resolver(), NoFlush: true, Base: base, Output: io.Discard, Told: req.Told, Warn: req.Warn,
		}
		ed.check = iptables.NewLoader(o)
		if req.change(o, ed) && ed.err == nil {
			if e.extend(ed) != nil { // a new generation says why not
				return false, ed.abort()
			}
			return true, ed.commit()
		}
		if err := errors.Join(ed.abort(), ed.err); err != nil {
			return false, err
		}
		if ed.kinds != nil {
			if ed.live.gen.Widen(ed.kinds.Bases, ed.kinds.Ops) != nil {
				return false, nil // a new generation does, or says why not
			}
			ed.classes.Rows().Widen(ed.kinds)
			if x, err = live.readExtra(); err != nil {
				return false, err
			}
			again = false
			continue
		}
		if !ed.full || again || !ed.classes.Rows().Reclaimable() {
			return false, err
		}
		// What dead rows have makes room sooner than a new generation. It is free the
		// second time.
		if err := errors.Join(e.reclaim(ed.classes), e.reclaim(ed.classes)); err != nil {
			return false, err
		}
		if x, err = live.readExtra(); err != nil {
			return false, err
		}
	}
}

// inPlaceWith says whether changes in place keep to a way of looking rules up that was asked for.
func inPlaceWith(c translate.Classifier) bool {
	return c == translate.ClassifyAuto || c == translate.ClassifyRows
}

// change hands the changes to an editor. The text can be read again.
func (r *Request) change(o iptables.Options, ed iptables.Editor) bool {
	if r.Argv != nil {
		return r.Argv.Change(o, ed)
	}
	data, err := io.ReadAll(r.Text)
	r.Text = bytes.NewReader(data)
	if err != nil {
		r.Text = io.MultiReader(r.Text, failing{err})
		return false
	}
	return iptables.Change(bytes.NewReader(data), o, ed)
}

// failing gives an error to whoever reads.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// editor is an iptables.Editor of the live generation. Its error is one that no new
// generation mends; what it cannot do is errNotInPlace.
type editor struct {
	live     *Live
	check    *iptables.Loader // of what is stored
	extra    *extra
	classes  datapath.Classes
	rows     *edit.Batch
	state    *state.Edit
	tables   map[string]*translate.InPlace
	other    bool     // the extra part of the state has changed
	longer   int      // how much the bounds on notes have grown
	restarts []string // tables whose limits begin anew
	changed  bool
	full     bool            // the generation had no room for a change
	kinds    *edit.KindError // what the programs of a table do not run
	err      error
}

var errNotInPlace = errors.New("needs a new generation")

func (e *Engine) newEditor(live *Live, x *extra) (*editor, error) {
	classes, err := live.open()
	if err != nil || classes == nil {
		return nil, err
	}
	if classes.Rows().Worn() >= wornRows {
		if err := e.reclaim(classes); err != nil {
			return nil, err
		}
	}
	ed := &editor{live: live, extra: x, classes: classes, tables: map[string]*translate.InPlace{}}
	for name, t := range x.Changeable {
		in := &translate.InPlace{
			Family: e.family, Conntrack: live.State.Conntrack, Bases: tables.Bases(name),
			Classes: map[string]*plan.Class{}, Actions: t.Actions, Template: t.Template, Hidden: t.Hidden,
		}
		for _, c := range t.Classes {
			if !c.Coded && c.Hooks != 0 {
				in.Classes[c.Chain] = c
			}
		}
		ed.tables[name] = in
	}
	can, err := e.data.Can(&ruleset.Ruleset{Family: e.family})
	if err != nil {
		return nil, err
	}
	for _, in := range ed.tables {
		in.Can = can.Effect
	}
	ed.rows = classes.Rows().Edit()
	ed.state = live.State.Edit(state.First + ed.rows.Version() - layout.FirstVersion)
	return ed, nil
}

// extend makes the datapath able to run the targets that are new to their tables. Should the change
// fail behind it, or the process be killed, netfilter has rules that no packet is told to: the next change
// finds that they are not those of the generation, and puts those back.
func (e *Engine) extend(ed *editor) error {
	for name, in := range ed.tables {
		table := ed.extra.Changeable[name]
		if len(in.Actions) == len(table.Actions) || !ed.changed {
			continue
		}
		live, err := e.enforced(ed.live)
		if err != nil {
			return err
		}
		effects := make([]pred.Effect, len(in.Actions))
		for i, a := range in.Actions {
			effects[i] = a.Effect
		}
		if ed.extra.Datapath, err = e.data.Extend(live, name, effects); err != nil {
			return err
		}
		table.Actions, ed.other = in.Actions, true
		failpoint.At("extended")
	}
	return nil
}

// reclaim takes dead rows out of all lists once no packet can want them any more.
func (e *Engine) reclaim(classes datapath.Classes) error {
	if err := e.data.Quiesce(); err != nil {
		return err
	}
	classes.Rows().Reclaim()
	return nil
}

func (ed *editor) chain(table, chain string) *state.Chain {
	t := ed.live.State.Table(table)
	if t == nil {
		return nil
	}
	return t.Chain(chain)
}

// Len is how many rules a chain has.
func (ed *editor) Len(table, chain string) int {
	if c := ed.chain(table, chain); c != nil {
		return c.Len()
	}
	return 0
}

// Find gives the place of the first rule that is the same as r, or -1.
func (ed *editor) Find(table, chain string, r *ruleset.Rule) int {
	c := ed.chain(table, chain)
	if c == nil {
		return -1
	}
	spec := iptables.AppendSpec(nil, r)
	return c.Find(spec, ed.exact(table, r, spec))
}

// exact gives the words of a rule that its text does not say; nil: none.
func (ed *editor) exact(table string, r *ruleset.Rule, spec []byte) []byte {
	return iptables.Exact(r, spec, func(name string) bool { return ed.chain(table, name) != nil })
}

// find gives the chain, and what its table offers; nil where it cannot be changed.
func (ed *editor) find(table, chain string) (*state.Chain, *translate.InPlace, *plan.Class) {
	c, in := ed.chain(table, chain), ed.tables[table]
	if c == nil || in == nil || in.Classes[chain] == nil || ed.err != nil {
		return nil, nil, nil
	}
	return c, in, in.Classes[chain]
}

// Insert puts a rule in front of rule i.
func (ed *editor) Insert(table, chain string, i int, r *ruleset.Rule) error {
	c, in, class := ed.find(table, chain)
	if c == nil {
		return errNotInPlace
	}
	spec := iptables.AppendSpec(nil, r)
	exact := ed.exact(table, r, spec)
	planned, ok := in.Rule(chain, r)
	if !ok || ed.check.Same(table, r, spec, exact) != nil {
		return errNotInPlace
	}
	if err := ed.classes.Rows().Unread(class.Number, codegen.Needs(in.Family, planned)); err != nil {
		return ed.fail(err)
	}
	if planned.Action.Op == pred.Do && !ed.lengthen(table) {
		return errNotInPlace
	}
	row, id, err := ed.rows.Insert(class.Number, before(c, i), planned)
	if err != nil {
		return ed.fail(err)
	}
	counters, err := ed.anew(id, r.Counters)
	if err != nil {
		ed.err = err
		return err
	}
	ed.state.Insert(c, i, state.Rule{Text: spec, Exact: exact, Slot: id, Row: row, Counters: counters, Origin: state.NoOrigin})
	ed.changed = true
	return nil
}

// before is the first row of the last rule in front of rule i that has one; 0: none.
func before(c *state.Chain, i int) uint32 {
	for i--; i >= 0; i-- {
		if row := c.Rule(i).Row; row != 0 {
			return row
		}
	}
	return 0
}

// lengthen counts one more action on the longest way of a packet. Actions that are put in
// place end the way: no packet meets two of them.
func (ed *editor) lengthen(table string) bool {
	p := ed.extra.Changeable[table]
	if p.Ending {
		return true
	}
	if p.Longest >= plan.MaxNotes {
		return false
	}
	p.Longest, p.Ending = p.Longest+1, true
	ed.longer++
	return true
}

// fail remembers errors that are not only about room.
func (ed *editor) fail(err error) error {
	if errors.As(err, &ed.kinds) {
		return errNotInPlace
	}
	if ed.full = errors.Is(err, edit.ErrNoRoom); !ed.full {
		ed.err = err
	}
	return errNotInPlace
}

// Delete takes rule i away.
func (ed *editor) Delete(table, chain string, i int) error {
	c, in, class := ed.find(table, chain)
	// A named set ends with the last rule that keeps it: a new generation knows.
	if c == nil || !in.MayDelete(chain) || slices.Contains(ed.extra.Changeable[table].Keepers, c.Rule(i).Slot) {
		return errNotInPlace
	}
	if err := ed.rows.Delete(class.Number, c.Rule(i).Row); err != nil {
		return ed.fail(err)
	}
	ed.state.Delete(c, i)
	ed.changed = true
	return nil
}

// SetPolicy sets the policy of a built-in chain.
func (ed *editor) SetPolicy(table, chain, policy string) error {
	c, _, class := ed.find(table, chain)
	if c == nil || c.Policy == "" {
		return errNotInPlace
	}
	if err := ed.rows.SetPolicy(class.Number, policy == "DROP"); err != nil {
		return ed.fail(err)
	}
	ed.state.SetPolicy(c, policy)
	ed.changed = true
	return nil
}

// Commit starts the counters of the policies anew, as libiptc does with every change of
// a table; limits follow when packets see the change.
func (ed *editor) Commit(table string) error {
	for _, c := range ed.live.State.Table(table).Chains() {
		if c.Policy == "" || c.Slot == state.None {
			continue
		}
		n, err := ed.anew(c.Slot, ruleset.Counters{})
		if err != nil {
			ed.err = err
			return err
		}
		ed.state.SetCounters(c, state.None, n)
	}
	ed.restarts = append(ed.restarts, table)
	return nil
}

// restart makes the limits of changed tables begin anew, as netfilter does: with every
// change of a table, it makes all of its rules anew (limit_mt_check(), net/netfilter/xt_limit.c).
func (ed *editor) restart() error {
	for _, table := range ed.restarts {
		m := ed.extra.Memory[table]
		if m == nil {
			continue
		}
		limits := make([]int, len(m.Limits))
		for i, l := range m.Limits {
			limits[i] = l.Slot
		}
		if err := ed.classes.Restart(limits, ed.extra.Changeable[table].Nths); err != nil {
			return err
		}
	}
	return nil
}

// anew is what the state must hold beside a counter slot, so that the two together begin
// with some counters. A slot holds what it has counted for rules before this one: to clear
// it would take away what packets add meanwhile to the others of its block.
func (ed *editor) anew(slot uint32, begin ruleset.Counters) (ruleset.Counters, error) {
	n, err := ed.classes.Counter(slot)
	return ruleset.Counters{Packets: begin.Packets - n.Packets, Bytes: begin.Bytes - n.Bytes}, err
}

// abort takes everything back; no packet has seen it.
func (ed *editor) abort() error {
	ed.rows.Abort()
	ed.state.Abort()
	ed.live.extra = nil // its bounds may have been raised
	return nil
}

// commit writes the journal and makes packets see the changes.
func (ed *editor) commit() error {
	if !ed.changed {
		return ed.abort()
	}
	if ed.longer > 0 || ed.other {
		data, err := ed.extra.bytes()
		if err != nil {
			return errors.Join(err, ed.abort())
		}
		ed.state.SetExtra(data)
	}
	if err := ed.state.Commit(); err != nil {
		return errors.Join(err, ed.abort())
	}
	failpoint.At("journal")
	ed.rows.Publish()
	failpoint.At("published")
	if err := ed.restart(); err != nil {
		return fmt.Errorf("the new rules are enforced, but their limits do not begin anew: %w", err)
	}
	if !ed.live.State.Worn() {
		return nil
	}
	if err := ed.live.State.Compact(); err != nil {
		return fmt.Errorf("the new rules are enforced, but their journal could not be shortened: %w", err)
	}
	return nil
}
