package apply

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/bpftables/bpftables/bpf/failpoint"
	"github.com/bpftables/bpftables/codegen/rows/edit"
	"github.com/bpftables/bpftables/codegen/rows/layout"
	"github.com/bpftables/bpftables/engine/datapath"
	"github.com/bpftables/bpftables/engine/state"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/translate"
	"github.com/bpftables/bpftables/translate/plan"
)

// wornRows is from how many dead rows on they are taken out of the lists.
const wornRows = 64

// attempts is how often a change is tried: each may find that programs have to be made wider for one of its rules.
const attempts = 8

// inPlace makes a change where the rules are enforced, without a new generation: rows of
// classified chains are written beside those that packets meet, the journal of the state
// gets a batch, and one store makes packets see the new rows. False: only a new
// generation can have the change, and nothing was done.
func (e *Engine) inPlace(live *Live, req *Request) (done bool, err error) {
	if live == nil || !req.NoFlush || req.Test || req.Strict || !inPlaceWith(req.Classifier) {
		return false, nil
	}
	x, err := live.readExtra()
	if err != nil || len(x.Changeable) == 0 {
		return false, err
	}
	base, err := e.around(live, req.Argv)
	if err != nil {
		return false, err
	}
	reclaimed := false
	for range attempts {
		ed, err := e.newEditor(live, x)
		if err != nil || ed == nil {
			return false, err
		}
		o := iptables.Options{
			File: req.File, Family: e.family, Resolver: e.caller.Resolver(), NoFlush: true, Base: base, Output: io.Discard, Told: req.Told,
			Counters: req.Counters, Table: req.Table, Verbose: req.Verbose,
		}
		ed.check = iptables.NewLoader(o)
		var warnings []string // those of an attempt that comes to nothing come again
		o.Warn = func(text string) { warnings = append(warnings, text) }
		done, fault := req.change(o, ed)
		if done && ed.err == nil && ed.full == nil && ed.endTracking() == nil && e.extend(ed) == nil { // else a new generation says why not
			err := ed.hold()
			if err == nil {
				req.warn(warnings)
				return true, ed.commit()
			}
			var refused *ruleset.Error
			if errors.As(err, &refused) {
				fault = err
			}
		}
		if err := errors.Join(ed.abort(), ed.err, fault); err != nil {
			req.warn(warnings)
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
			continue
		}
		if ed.full == nil || reclaimed || !ed.classes.Rows().Reclaimable() {
			return false, nil
		}
		// What dead rows have makes room sooner than a new generation. It is free the
		// second time.
		if err := errors.Join(e.reclaim(ed.classes), e.reclaim(ed.classes)); err != nil {
			return false, err
		}
		reclaimed = true
		if x, err = live.readExtra(); err != nil {
			return false, err
		}
	}
	return false, nil
}

// inPlaceWith says whether changes in place keep to a way of looking rules up that was asked for.
func inPlaceWith(c translate.Classifier) bool {
	return c == translate.ClassifyAuto || c == translate.ClassifyRows
}

// change hands the changes to an editor. The text can be read again.
func (r *Request) change(o iptables.Options, ed iptables.Editor) (done bool, err error) {
	if r.Argv != nil {
		return r.Argv.Change(o, ed)
	}
	data, err := io.ReadAll(r.Text)
	r.Text = bytes.NewReader(data)
	if err != nil {
		r.Text = io.MultiReader(r.Text, failing{err})
		return false, nil
	}
	return iptables.Change(bytes.NewReader(data), o, ed), nil
}

// warn tells what a change has warned of.
func (r *Request) warn(warnings []string) {
	for _, text := range warnings {
		if r.Warn != nil {
			r.Warn(text)
		}
	}
}

// failing gives an error to whoever reads.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// editor is an iptables.Editor of the live generation. Its error is one that no new
// generation mends; what it cannot do is errNotInPlace.
type editor struct {
	live      *Live
	engine    *Engine
	check     *iptables.Loader // of what is stored
	extra     *extra
	classes   datapath.Classes
	rows      *edit.Batch
	state     *state.Edit
	can       datapath.Can
	tables    map[string]*tableEditor
	other     bool     // the extra part of the state has changed
	restarts  []string // tables whose limits begin anew
	changed   bool
	untracks  bool    // a rule went that needed connection tracking
	tracksNot bool    // it was the last one
	given     *memory // slots that were found for rules of the change
	lists     lists
	unmet     unmet
	full      error           // the generation had no room for a change
	kinds     *edit.KindError // what the programs of a table do not run
	err       error
}

// tableEditor is what an editor knows of a table.
type tableEditor struct {
	*changeable
	state *state.Table
	in    *translate.InPlace
	// walk says that packets may get where they did not before, or collect more.
	walk     bool
	jumps    map[string]int                    // see state.Table.Jumps; nil: not counted yet
	policies map[*state.Chain]ruleset.Counters // that were given
	settled  map[int]uint8                     // what ask found out, by number of the chain
	refills  map[*state.Chain]*refill
	came     map[uint32]bool // slots of rules that were flushed and came again
	told     int             // how many actions the datapath knows
	longest  int             // how many effects packets collect, at most
}

// lastVersion is the last one that a generation has: a new one begins anew. The next is that of rows that do not die.
const lastVersion = layout.Forever - 1

var errNotInPlace = errors.New("needs a new generation")

func (e *Engine) newEditor(live *Live, x *extra) (*editor, error) {
	classes, err := live.open()
	if err != nil || classes == nil || classes.Rows().Version() >= lastVersion {
		return nil, err
	}
	if classes.Rows().Worn() >= wornRows {
		if err := e.reclaim(classes); err != nil {
			return nil, err
		}
	}
	can, err := e.data.Can(&ruleset.Ruleset{Family: e.family})
	if err != nil {
		return nil, err
	}
	ed := &editor{live: live, engine: e, extra: x, classes: classes, given: &memory{}, can: can, tables: map[string]*tableEditor{}}
	for name, t := range x.Changeable {
		if s := live.State.Table(name); s != nil && s.InBPF {
			ed.tables[name] = ed.tableEditor(e.family, s, t)
		}
	}
	if classes.Rows().Worn() == 0 {
		x.Dying = nil // no packet is on its way that has seen the rows
	}
	ed.track() // a killed process may have come no further
	ed.rows = classes.Rows().Edit()
	ed.state = live.State.Edit(state.First + ed.rows.Version() - layout.FirstVersion)
	return ed, nil
}

// extend makes the datapath able to run the targets that are new to their tables, and as many as a packet
// may collect. Should the change fail behind it, or the process be killed, netfilter has rules that no
// packet is told to: the next change finds that they are not those of the generation, and puts those back.
func (e *Engine) extend(ed *editor) error {
	for name, t := range ed.tables {
		if t.in.Actions.Len() == t.told && t.longest == t.Longest {
			continue
		}
		live, err := e.enforced(ed.live)
		if err != nil {
			return err
		}
		if ed.extra.Datapath, err = e.data.Extend(live, name, t.bases(), t.in.Actions, t.told, t.longest); err != nil {
			return err
		}
		t.told, t.Longest, ed.other = t.in.Actions.Len(), t.longest, true
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

// fail remembers errors that are not only about room, and what a table cannot run yet.
func (ed *editor) fail(err error) error {
	switch {
	case errors.As(err, &ed.kinds):
	case errors.Is(err, edit.ErrNoRoom):
		ed.full = err
	default:
		ed.err = err
	}
	return errNotInPlace
}

// Commit starts the counters of the policies anew, as libiptc does with every change of
// a table, and looks whether the kernel takes the table as it is now; limits follow when packets see the change.
func (ed *editor) Commit(table string) error {
	t := ed.tables[table]
	if t == nil || ed.settleRefills(t) != nil {
		return errNotInPlace
	}
	for _, c := range t.state.Chains() {
		if c.Policy == "" || c.Slot == state.None {
			continue
		}
		n, err := ed.anew(c.Slot, t.policies[c])
		if err != nil {
			ed.err = err
			return err
		}
		ed.state.SetCounters(c, state.None, n)
	}
	clear(t.policies)
	if t.in.Hidden != t.Hidden || t.in.Asked != t.Asked {
		t.Hidden, t.Asked, ed.other = t.in.Hidden, t.in.Asked, true
	}
	if err := ed.verify(t); err != nil {
		return err
	}
	ed.restarts = append(ed.restarts, table)
	ed.changed = true
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
		if err := ed.classes.Restart(slotsOf(m.Limits), ed.extra.Changeable[table].Nths); err != nil {
			return err
		}
	}
	return nil
}

// abort takes everything back; no packet has seen it.
func (ed *editor) abort() error {
	ed.rows.Abort()
	ed.state.Abort()
	ed.live.extra = nil // it may have been changed
	var begun []*ruleset.Set
	for name := range ed.lists.begun {
		begun = append(begun, &ruleset.Set{Name: name, Flags: ruleset.SetStamps})
	}
	return ed.forgetLists(begun)
}

// commit writes the journal and makes packets see the changes.
func (ed *editor) commit() error {
	if !ed.changed {
		return ed.abort()
	}
	if err := ed.end(); err != nil {
		return errors.Join(err, ed.abort())
	}
	if ed.other {
		if err := ed.extra.write(ed.state.SetPart); err != nil {
			return errors.Join(err, ed.abort())
		}
	}
	if err := ed.state.Commit(); err != nil {
		return errors.Join(err, ed.abort())
	}
	failpoint.At("journal")
	ed.rows.Publish()
	failpoint.At("published")
	ed.track()
	ed.settledRefused()
	if err := ed.forgetLists(ed.lists.ended); err != nil {
		return fmt.Errorf("the new rules are enforced, but not all that belongs to the old ones is gone: %w", err)
	}
	if err := errors.Join(ed.letGo(), ed.noTracking()); err != nil {
		return err
	}
	if err := ed.restart(); err != nil {
		return fmt.Errorf("the new rules are enforced, but their limits do not begin anew: %w", err)
	}
	if !ed.live.State.Worn() {
		return nil
	}
	// What the command was to do is done. On a full disk the journal stays long, and the next one tries again.
	_ = ed.live.State.Compact()
	return nil
}

// tableEditor is what is known of a table before anything has changed.
func (ed *editor) tableEditor(family packet.Family, s *state.Table, c *changeable) *tableEditor {
	t := &tableEditor{changeable: c, state: s, policies: map[*state.Chain]ruleset.Counters{}, settled: map[int]uint8{}, refills: map[*state.Chain]*refill{}, came: map[uint32]bool{}, longest: c.Longest}
	if ed.extra.Actions[s.Name] == nil {
		ed.extra.Actions[s.Name] = &plan.ActionList{}
	}
	t.told = ed.extra.Actions[s.Name].Len()
	t.in = &translate.InPlace{
		Family: family, Bases: tables.Bases(s.Name), Actions: ed.extra.Actions[s.Name], Can: ed.can.Effect, Template: c.Template, Hidden: c.Hidden, Asked: c.Asked,
		Slot: ed.slot,
		Class: func(chain string) (int, bool) {
			to := s.Chain(chain)
			return class(to)
		},
	}
	return t
}

// bases are the base chains of the table.
func (t *tableEditor) bases() (out []datapath.Base) {
	for _, c := range t.state.Chains() {
		if b := tables.Base(t.state.Name, c.Name, c.Policy); b != nil {
			out = append(out, datapath.Base{Base: b, Class: int(c.Class), Slot: c.Slot})
		}
	}
	return out
}

// class is the number of a chain where its rules can be changed; false: they cannot.
func class(c *state.Chain) (number int, is bool) {
	if c == nil || c.Class == state.None {
		return 0, false
	}
	return int(c.Class), true
}
