package apply

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/bpftables/bpftables/bpf/failpoint"
	"github.com/bpftables/bpftables/engine/datapath"
	"github.com/bpftables/bpftables/engine/state"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/translate"
	"github.com/bpftables/bpftables/translate/plan"
)

// Request is one restore, or one command line of iptables.
type Request struct {
	Text     io.Reader
	Argv     *iptables.Argv // instead of Text
	File     string
	Table    string // only this table
	NoFlush  bool   // keep what is not named
	Counters bool   // use the counters of the text
	Test     bool   // verify, attach nothing
	// Locked runs, with Test, what needs the xtables lock under it; nil: it is held.
	Locked func(func() error) error
	Strict bool      // refuse what would be left to netfilter
	Early  string    // mode of the early stage; "": as before, at first off
	Output io.Writer // what -L and -S in the text print
	// Told, Verbose and Warn are what iptables.Options has.
	Told    io.Writer
	Verbose bool
	Warn    func(text string)
	// Classifier says which chains are looked up.
	Classifier translate.Classifier
	// Emptied is asked before tables lose all that they hold, unless it is nil; an error
	// leaves everything as it is.
	Emptied func(tables []string) error
}

// change is a ruleset on its way to become live.
type change struct {
	live       *Live           // what is enforced; nil: nothing
	was        json.RawMessage // without live: what the datapath recorded of what should be
	before     *ruleset.Ruleset
	after      *ruleset.Ruleset
	report     iptables.Report
	filled     bool     // before has all rules
	flushed    []string // tables of which no rule stays
	strict     bool
	classifier translate.Classifier
	rest       bool      // ClassifyRows may become ClassifyAuto
	early      string    // mode of the early stage; "": as before
	edits      []*Change // of other owners than iptables
	sets       []*Change // of the sets of owners
	setEdits   []SetEdit // of sets that are there
	joined     bool      // before and after have the tables of all owners
}

// replaced says whether no rule of a table stays.
func (c *change) replaced(table string) bool { return slices.Contains(c.flushed, table) }

// Restore reads a text and enforces it.
func (e *Engine) Restore(req *Request) error {
	if !req.NoFlush || req.Test {
		e.data.Prepare() // no change in place will do
	}
	if req.Test {
		return e.restore(req)
	}
	return e.claimed(func() error { return e.restore(req) })
}

func (e *Engine) restore(req *Request) error {
	look := e.settle
	if req.Test {
		look = e.Live // changes nothing
	}
	live, err := look()
	if err != nil {
		return err
	}
	defer live.Close()
	if e.gone != nil && req.NoFlush {
		return e.gone
	}
	if done, err := e.inPlace(live, req); done || err != nil {
		return err
	}
	if req.Argv == nil {
		e.data.Prepare() // a single command is soon found to be one that fails, or changes nothing
	}
	before, err := e.before(live, req.NoFlush)
	if err != nil {
		return err
	}
	after, report, err := req.read(iptables.Options{
		File: req.File, Family: e.family, Resolver: e.caller.Resolver(), Table: req.Table,
		Counters: req.Counters, NoFlush: req.NoFlush, Base: before, Output: req.Output, Told: req.Told, Verbose: req.Verbose, Warn: req.Warn,
	})
	if err != nil {
		return err
	}
	if len(report.Tables) == 0 {
		return nil // an empty text changes nothing
	}
	e.data.Prepare()
	c := &change{
		live: live, before: before, after: after, report: report, filled: req.NoFlush,
		strict: req.Strict, classifier: req.Classifier, early: req.Early,
	}
	// Rules that are changed one by one will be changed again.
	if c.rest = req.NoFlush && c.classifier == translate.ClassifyAuto; c.rest {
		c.classifier = translate.ClassifyRows
	}
	for _, t := range report.Tables {
		if !req.NoFlush {
			c.flushed = append(c.flushed, t.Name)
		}
	}
	if err := e.fill(c); err != nil {
		return err
	}
	if req.Test {
		return e.check(c, req.Locked)
	}
	if err := req.empties(c); err != nil {
		return err
	}
	return e.apply(c)
}

func (req *Request) read(o iptables.Options) (*ruleset.Ruleset, iptables.Report, error) {
	if req.Argv != nil {
		return req.Argv.Run(o)
	}
	return iptables.Read(req.Text, o)
}

// Flush empties tables ("" for all): rules and user chains go, policies stay.
func (e *Engine) Flush(table string) error {
	return e.claimed(func() error { return e.flush(table) })
}

func (e *Engine) flush(table string) error {
	live, err := e.settle()
	if err == nil {
		err = e.gone
	}
	if err != nil {
		return err
	}
	defer live.Close()
	before, err := e.before(live, false)
	if err != nil {
		return err
	}
	c := &change{live: live, before: before, after: &ruleset.Ruleset{Family: e.family}}
	for _, t := range before.Tables {
		if table != "" && t.Name != table {
			c.after.Tables = append(c.after.Tables, t)
			continue
		}
		empty := &ruleset.Table{Family: t.Family, Name: t.Name, Owner: t.Owner}
		kept := map[string]bool{}
		for _, chain := range t.Chains {
			if chain.BuiltIn() {
				empty.AddChain(&ruleset.Chain{Name: chain.Name, Base: chain.Base, Counters: chain.Counters})
				kept[chain.Name] = true
			}
		}
		c.after.Tables = append(c.after.Tables, empty)
		c.report.Tables = append(c.report.Tables, &iptables.TableReport{Name: t.Name, KeptPolicy: kept})
	}
	if len(c.report.Tables) == 0 {
		return nil
	}
	if err := e.fill(c); err != nil {
		return err
	}
	return e.apply(c)
}

// check verifies a change without attaching anything.
func (e *Engine) check(c *change, locked func(func() error) error) error {
	_, err := e.translated(c, 1, func(in *datapath.Input) error { return e.data.Check(in, locked) })
	return err
}

// apply makes a change live.
func (e *Engine) apply(c *change) error {
	p, err := e.prepare(c)
	if err != nil {
		return err
	}
	defer p.Close()
	return e.install(p)
}

// prepared is a change that is loaded into the kernel and verified. Nothing is attached.
type prepared struct {
	*change
	number uint32
	res    *translate.Result
	gen    datapath.Generation
	memory datapath.Memory // see goesOn
	state  *state.Builder  // without what the datapath records; nil: not made yet
	extra  *extra
	failed error // why it could not be made
}

// Close releases what is held open. What was not installed is gone then.
func (p *prepared) Close() error { return p.gen.Close() }

// prepare translates and loads a change.
func (e *Engine) prepare(c *change) (*prepared, error) {
	number, err := e.next()
	if err != nil {
		return nil, err
	}
	p := &prepared{change: c, number: number}
	p.res, err = e.translated(c, number, func(in *datapath.Input) (err error) {
		p.res, p.state = in.Result, nil // what was made of a plan that was refused is of no use
		in.Meanwhile = func(row func(uint32) uint32) { p.failed = e.describe(p, row) }
		p.gen, err = e.data.Load(in)
		return err
	})
	if err != nil {
		return nil, err
	}
	failpoint.At("loaded")
	return p, nil
}

// install makes what is prepared live.
func (e *Engine) install(p *prepared) error {
	if err := e.enforce(p); err != nil {
		live, settled := e.settle()
		return errors.Join(err, settled, live.Close())
	}
	failpoint.At("activated")
	if err := e.finish(); err != nil {
		return err
	}
	_ = e.follow()
	return nil
}

// enforce takes the steps up to the switch, and switches.
func (e *Engine) enforce(p *prepared) error {
	if err := e.stage(p); err != nil {
		return err
	}
	return p.activate()
}

// stage takes the steps up to the switch.
func (e *Engine) stage(p *prepared) error {
	if err := e.writeState(p); err != nil {
		return err
	}
	if err := e.noteSets(p); err != nil {
		return err
	}
	failpoint.At("state")
	return p.gen.Install()
}

// finish removes what the new generation replaces.
func (e *Engine) finish() error {
	live, err := e.settle()
	if err != nil {
		return fmt.Errorf("the new rules are enforced, but not everything that belongs to them is done: %w", err)
	}
	return live.Close()
}

// translated translates a change and lets load verify it. A table that the datapath refuses
// is left to others, with the reason.
func (e *Engine) translated(c *change, number uint32, load func(*datapath.Input) error) (*translate.Result, error) {
	if err := e.join(c); err != nil {
		return nil, err
	}
	can, err := e.data.Can(c.after)
	if err != nil {
		return nil, err
	}
	// With an early stage, which is made of code as well, each change makes both anew.
	rows := can.Rows && (c.early == "" || c.early == datapath.EarlyOff)
	if c.rest && !rows {
		c.classifier, c.rest = translate.ClassifyAuto, false
	}
	not := maps.Clone(can.Not)
	if not == nil {
		not = map[string]string{}
	}
	before, err := e.enforced(c.live)
	if err != nil {
		return nil, err
	}
	if before == nil && len(c.was) > 0 {
		before = &datapath.Live{Record: c.was}
	}
	for {
		res := translate.Translate(c.after, translate.Options{
			Text: iptables.PrintRule, Netfilter: not, Classifier: c.classifier, Can: can.Effect, Runs: can.Base,
			Shadows: rows && c.classifier == translate.ClassifyAuto,
		})
		if err := errors.Join(strict(c, res.Plan), refuseOwned(c.after, res.Plan, can)); err != nil {
			return nil, err
		}
		err := load(&datapath.Input{
			Number: number, Rules: c.after, Result: res, Classifier: c.classifier, Early: c.early, Before: before,
			Named: func(table string) bool { return c.report.Table(table) != nil },
		})
		var no *datapath.Refusal
		switch {
		case errors.Is(err, datapath.ErrNoLookups) && c.classifier != translate.ClassifyCode:
			c.classifier = translate.ClassifyCode
		case errors.As(err, &no) && c.rest:
			c.classifier, c.rest = translate.ClassifyAuto, false
		case errors.As(err, &no) && not[no.Table] == "":
			not[no.Table] = no.Reason
		default:
			return res, err
		}
	}
}

// strict refuses a plan that leaves a table to netfilter.
func strict(c *change, p *plan.Plan) error {
	if !c.strict {
		return nil
	}
	var errs []error
	for _, t := range p.Tables {
		for _, n := range t.Reasons {
			errs = append(errs, fmt.Errorf("%s; the whole table would be left to netfilter: leave out --strict, or the rule", n))
		}
	}
	return errors.Join(errs...)
}

// textGuess is how many bytes the text of a rule has, about.
const textGuess = 64

// writeState stores the generation that a change makes.
func (e *Engine) writeState(p *prepared) error {
	if p.state == nil {
		p.failed = e.describe(p, p.gen.Row)
	}
	if p.failed != nil {
		return p.failed
	}
	var err error
	if p.extra.Datapath, err = p.gen.Record(); err != nil {
		return fmt.Errorf("state: %w", err)
	}
	if err := p.extra.write(p.state.SetPart); err != nil {
		return err
	}
	return p.state.Write(e.data.Dir())
}

// describe makes the state of the generation that a change makes, of which row gives the rows.
func (e *Engine) describe(p *prepared, row func(slot uint32) uint32) error {
	c, res := p.change, p.res
	head := state.Head{
		Family: e.family, Generation: p.number, Version: state.First, Conntrack: res.Plan.Conntrack, Carried: c.live == nil,
	}
	if c.live != nil {
		head.Previous, head.PreviousVersion = c.live.State.Generation, c.live.State.Version
	}
	p.state, p.extra = state.NewBuilder(head), &extra{Reasons: map[string][]plan.Reason{}}
	p.state.Grow(len(res.Rules), textGuess*len(res.Rules))
	d := &describer{
		prepared: p, row: row, origins: newOrigins(c), numbers: numbers(res.Plan),
		check: iptables.NewLoader(iptables.Options{Family: e.family, Resolver: e.caller.Resolver()}),
	}
	for i, t := range c.after.Tables {
		if err := e.addTable(d, t, i); err != nil {
			return fmt.Errorf("a rule cannot be stored: %w; write it in another way", err)
		}
		p.extra.addOwned(t)
		if reasons := res.Plan.Tables[i].Reasons; len(reasons) > 0 {
			p.extra.Reasons[t.Name] = reasons
		}
	}
	p.extra.addChangeable(res.Plan)
	if err := p.extra.addActions(res.Plan); err != nil {
		return err
	}
	p.extra.addMemory(res.Plan)
	p.extra.addSets(c.after, res.Plan)
	return p.goesOn(d.origins)
}
