package apply

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/bpftables/bpftables/bpf/attach"
	"github.com/bpftables/bpftables/bpf/failpoint"
	"github.com/bpftables/bpftables/bpf/probe"
	"github.com/bpftables/bpftables/codegen"
	"github.com/bpftables/bpftables/codegen/rows"
	"github.com/bpftables/bpftables/compat/shim"
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
	// Classifier says which chains are looked up.
	Classifier translate.Classifier
	// Emptied is asked before tables lose all that they hold, unless it is nil; an error
	// leaves everything as it is.
	Emptied func(tables []string) error
}

// change is a ruleset on its way to become live.
type change struct {
	live       *Live // what is enforced; nil: nothing
	before     *ruleset.Ruleset
	after      *ruleset.Ruleset
	report     iptables.Report
	filled     bool     // before has all rules
	flushed    []string // tables of which no rule stays
	strict     bool
	classifier translate.Classifier
	early      string    // mode of the early stage
	edits      []*Change // of other owners than iptables
	joined     bool      // before and after have the tables of all owners
}

// replaced says whether no rule of a table stays.
func (c *change) replaced(table string) bool { return slices.Contains(c.flushed, table) }

// Restore reads a text and enforces it.
func (e *Engine) Restore(req *Request) error {
	attach.Prepare()
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
	before, err := e.before(live, req.NoFlush)
	if err != nil {
		return err
	}
	after, report, err := req.read(iptables.Options{
		File: req.File, Family: e.family, Resolver: e.caller.Resolver(), Table: req.Table,
		Counters: req.Counters, NoFlush: req.NoFlush, Base: before, Output: req.Output,
	})
	if err != nil {
		return err
	}
	if len(report.Tables) == 0 {
		return nil // an empty text changes nothing
	}
	early, err := earlyMode(req.Early, live)
	if err != nil {
		return err
	}
	c := &change{
		live: live, before: before, after: after, report: report, filled: req.NoFlush,
		strict: req.Strict, classifier: req.Classifier, early: early,
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
	early, err := earlyMode("", live)
	if err != nil {
		return err
	}
	c := &change{live: live, before: before, after: &ruleset.Ruleset{Family: e.family}, early: early}
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

// build is a translated and verified change.
type build struct {
	res     *translate.Result
	image   *rows.Image // the chains that are looked up; nil: none
	progs   []codegen.Program
	early   *codegen.EarlyProgram // nil: none
	layouts []*shim.Layout
}

// generate makes the programs of what was translated.
func (b *build) generate() (err error) {
	p := b.res.Plan
	if b.image, err = codegen.Image(p, rows.Drawn()); err != nil {
		return err
	}
	if b.progs, err = codegen.Generate(p, b.image); err != nil {
		return err
	}
	b.early, err = codegen.GenerateEarly(p, b.image)
	return err
}

// check verifies a change without attaching anything. What only netfilter can judge, it is
// asked about.
func (e *Engine) check(c *change, locked func(func() error) error) error {
	b, err := e.build(c, 1, func(b *build) error { return e.space.Check(b.progs) })
	if err != nil {
		return err
	}
	if len(b.layouts) > 0 {
		if _, err := e.netfilter.tools.installed(); err != nil {
			return err
		}
	}
	return e.judge(c, b, 1, locked)
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
	*build
	number   uint32
	gen      *attach.Generation
	early    *attach.Early
	earlyOff string // why there is none
}

// Close releases what is held open. What was not installed is gone then.
func (p *prepared) Close() error { return errors.Join(p.gen.Close(), p.early.Close()) }

// prepare translates and loads a change.
func (e *Engine) prepare(c *change) (*prepared, error) {
	number, err := e.space.Next()
	if err != nil {
		return nil, err
	}
	p := &prepared{change: c, number: number}
	p.build, err = e.build(c, number, func(b *build) (err error) {
		p.gen, err = e.space.LoadWith(number, b.progs, b.early)
		return err
	})
	if err != nil {
		return nil, err
	}
	p.early, p.earlyOff = loadEarly(p.gen, p.build)
	if c.early != attach.EarlyOff && others(c.after) {
		p.earlyOff = "rules of other owners than iptables would not count what it drops"
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
	e.syncEarly(p.change.early)
	return nil
}

// enforce takes the steps up to the switch, and switches.
func (e *Engine) enforce(p *prepared) error {
	if err := e.stage(p); err != nil {
		return err
	}
	return p.gen.Activate()
}

// stage takes the steps up to the switch.
func (e *Engine) stage(p *prepared) error {
	p.image.Release()
	if err := e.writeState(p.change, p.build, p.number, p.earlyOff); err != nil {
		return err
	}
	failpoint.At("state")
	if err := p.gen.Install(programs(p.layouts)); err != nil {
		return err
	}
	if err := e.installEarly(p.early); err != nil {
		return err
	}
	failpoint.At("installed")
	if err := e.netfilter.add(p.layouts); err != nil {
		return errors.Join(e.judge(p.change, p.build, p.number, nil), err)
	}
	failpoint.At("shims")
	if err := e.hold(p); err != nil {
		return err
	}
	failpoint.At("held")
	if p.res.Plan.Conntrack {
		if err := e.netfilter.own.ConntrackOn(); err != nil {
			return err
		}
	}
	failpoint.At("conntrack")
	return nil
}

// finish removes what the new generation replaces.
func (e *Engine) finish() error {
	live, err := e.settle()
	if err != nil {
		return fmt.Errorf("the new rules are enforced, but the old ones are not all removed: %w", err)
	}
	return live.Close()
}

// build translates a change and lets load verify the programs. A table whose
// programs the kernel refuses is left to netfilter, with the reason.
func (e *Engine) build(c *change, number uint32, load func(*build) error) (*build, error) {
	if err := e.join(c); err != nil {
		return nil, err
	}
	refused, err := foreignOwners(c.after)
	if err != nil {
		return nil, err
	}
	for {
		b := &build{res: translate.Translate(c.after, translate.Options{Text: iptables.PrintRule, Netfilter: refused, Classifier: c.classifier, Can: shim.Can})}
		if err := strict(c, b.res.Plan); err != nil {
			return nil, err
		}
		if err := refuseOwned(c.after, b.res.Plan); err != nil {
			return nil, err
		}
		addEarly(c, b.res)
		if err := b.generate(); err != nil {
			return nil, err
		}
		b.progs = append(b.progs, wholes(b.res.Plain(), b.res.Plan)...)
		if b.layouts, err = e.layouts(b.res.Plain(), b.res.Plan, number); err != nil {
			return nil, err
		}
		err = load(b)
		if err != nil && c.classifier != translate.ClassifyCode && len(b.res.Plan.Classes) > 0 && !probe.Loops() {
			c.classifier = translate.ClassifyCode
			continue
		}
		var tooMuch *attach.RefusedError
		if errors.As(err, &tooMuch) && refused[tooMuch.Table] == "" {
			refused[tooMuch.Table] = "the kernel's verifier refuses its programs: " + tooMuch.Error()
			continue
		}
		return b, err
	}
}

// strict refuses a plan that leaves a filter, raw or security table to netfilter.
func strict(c *change, p *plan.Plan) error {
	if !c.strict {
		return nil
	}
	var errs []error
	for _, t := range p.Tables {
		for _, n := range t.Notes {
			errs = append(errs, fmt.Errorf("%s; the whole table would be left to netfilter: leave out --strict, or the rule", n))
		}
	}
	return errors.Join(errs...)
}

// layouts are the rules that netfilter gets.
func (e *Engine) layouts(rs *ruleset.Ruleset, p *plan.Plan, number uint32) ([]*shim.Layout, error) {
	var out []*shim.Layout
	pins := shim.PinDir(e.space.Pins(), number)
	for _, t := range p.Tables {
		if t.InBPF {
			if l := shim.Targets(rs.Family, t, number, pins); l != nil {
				out = append(out, l)
			}
			continue
		}
		l, err := shim.Whole(e.family, rs.Table(t.Name), number, pins, iptables.ExactLine)
		if err != nil {
			return nil, err
		}
		out = append(out, l)
	}
	return out, nil
}

// programs are the matches that the layouts use.
func programs(layouts []*shim.Layout) []attach.ShimProgram {
	var out []attach.ShimProgram
	for _, l := range layouts {
		for _, p := range l.Programs {
			out = append(out, attach.ShimProgram{Name: p.Name, Kind: string(p.Kind), Table: p.Table, Hook: p.Hook, Lo: p.Lo, Hi: p.Hi})
		}
	}
	return out
}

// textGuess is how many bytes the text of a rule has, about.
const textGuess = 64

// writeState stores the generation that a change makes.
func (e *Engine) writeState(c *change, b *build, number uint32, earlyOff string) error {
	head := state.Head{
		Family: e.family, Generation: number, Version: state.First, Conntrack: b.res.Plan.Conntrack, Carried: c.live == nil,
	}
	if c.live != nil {
		head.Previous, head.PreviousVersion = c.live.State.Generation, c.live.State.Version
	}
	out := state.NewBuilder(head)
	out.Grow(len(b.res.Rules), textGuess*len(b.res.Rules))
	o, check := newOrigins(c), iptables.NewLoader(iptables.Options{Family: e.family, Resolver: e.caller.Resolver()})
	x := extra{Notes: map[string][]plan.Note{}, Early: c.early, EarlyOff: earlyOff, Expects: b.res.Plan.Helpers,
		Held: e.netfilter.holds(b.layouts, b.res.Plan)}
	for i, t := range c.after.Tables {
		p := b.res.Plan.Tables[i]
		if err := e.addTable(out, t, p, b, o, check); err != nil {
			return fmt.Errorf("a rule cannot be stored: %w; write it in another way", err)
		}
		x.addOwned(t)
		if len(p.Notes) > 0 {
			x.Notes[t.Name] = p.Notes
		}
	}
	x.addPlaces(b.res.Plan)
	data, err := x.bytes()
	if err != nil {
		return err
	}
	out.SetExtra(data)
	return out.Write(e.space.Dir())
}
