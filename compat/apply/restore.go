package apply

import (
	"errors"
	"fmt"
	"io"

	"github.com/bpftables/bpftables/bpf/attach"
	"github.com/bpftables/bpftables/codegen"
	"github.com/bpftables/bpftables/compat/shim"
	"github.com/bpftables/bpftables/compat/state"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/translate"
	"github.com/bpftables/bpftables/translate/plan"
)

// Request is one restore.
type Request struct {
	Text     io.Reader
	File     string
	Table    string    // only this table
	NoFlush  bool      // keep what is not named
	Counters bool      // use the counters of the text
	Test     bool      // verify, attach nothing
	Strict   bool      // refuse what would be left to netfilter
	Early    string    // mode of the early stage; "": as before, at first auto
	Output   io.Writer // what -L and -S in the text print
}

// change is a ruleset on its way to become live.
type change struct {
	before  *ruleset.Ruleset
	after   *ruleset.Ruleset
	report  iptables.Report
	flushed []string // tables whose rules of other owners are replaced
	strict  bool
	early   string // mode of the early stage
}

// Restore reads a text and enforces it.
func (e *Engine) Restore(req *Request) error {
	look := e.settle
	if req.Test {
		look = e.peek
	}
	live, err := look()
	if err != nil {
		return err
	}
	before := e.before(live)
	after, report, err := iptables.Read(req.Text, iptables.Options{
		File: req.File, Family: e.family, Resolver: iptables.NewResolver(), Table: req.Table,
		Counters: req.Counters, NoFlush: req.NoFlush, Base: before, Output: req.Output,
	})
	if err != nil {
		return err
	}
	if len(report.Tables) == 0 {
		return nil // an empty text changes nothing
	}
	c := &change{before: before, after: after, report: report, strict: req.Strict, early: earlyMode(req.Early, live)}
	for _, t := range report.Tables {
		if !req.NoFlush {
			c.flushed = append(c.flushed, t.Name)
		}
	}
	if req.Test {
		return e.check(c)
	}
	return e.apply(c)
}

// peek gives the live generation, closed, and changes nothing.
func (e *Engine) peek() (*Live, error) {
	live, err := e.Live()
	if err != nil || live == nil {
		return nil, err
	}
	return live, live.gen.Close()
}

// before is the enforced ruleset; without one, an empty ruleset.
func (e *Engine) before(live *Live) *ruleset.Ruleset {
	if live == nil {
		return &ruleset.Ruleset{Family: e.family}
	}
	return live.Ruleset
}

// Flush empties tables ("" for all): rules and user chains go, policies stay.
func (e *Engine) Flush(table string) error {
	live, err := e.settle()
	if err != nil {
		return err
	}
	before := e.before(live)
	c := &change{before: before, after: &ruleset.Ruleset{Family: e.family}, early: earlyMode("", live)}
	for _, t := range before.Tables {
		if table != "" && t.Name != table {
			c.after.Tables = append(c.after.Tables, t)
			continue
		}
		empty := &ruleset.Table{Name: t.Name}
		kept := map[string]bool{}
		for _, chain := range t.Chains {
			if chain.BuiltIn() {
				empty.AddChain(&ruleset.Chain{Name: chain.Name, Policy: chain.Policy, Counters: chain.Counters})
				kept[chain.Name] = true
			}
		}
		c.after.Tables = append(c.after.Tables, empty)
		c.report.Tables = append(c.report.Tables, &iptables.TableReport{Name: t.Name, KeptPolicy: kept})
	}
	if len(c.report.Tables) == 0 {
		return nil
	}
	return e.apply(c)
}

// FlushAll removes everything of ours in this family.
func (e *Engine) FlushAll() error {
	if err := e.tools.edit(shim.Tables(), func(table, saved string) string {
		return shim.Removal(table, saved, e.space.Pins(), 0)
	}); err != nil {
		return err
	}
	return errors.Join(e.space.ConntrackOff(), e.space.RemoveEarly(), e.space.RemoveAll())
}

// build is a translated and verified change.
type build struct {
	res     *translate.Result
	progs   []codegen.Program
	early   *codegen.EarlyProgram // nil: none
	layouts []*shim.Layout
}

// check verifies a change without attaching anything.
func (e *Engine) check(c *change) error {
	b, err := e.build(c, 1, func(b *build) error { return e.space.Check(b.progs) })
	if err != nil || len(b.layouts) == 0 {
		return err
	}
	_, err = e.tools.installed()
	return err
}

// apply makes a change live.
func (e *Engine) apply(c *change) error {
	number, err := e.space.Next()
	if err != nil {
		return err
	}
	var gen *attach.Generation
	b, err := e.build(c, number, func(b *build) (err error) {
		gen, err = e.space.LoadCounting(number, b.progs, b.res.Plan.Counters)
		return err
	})
	if err != nil {
		return err
	}
	defer gen.Close()
	early, earlyOff := loadEarly(gen, b)
	defer early.Close()
	failPoint("loaded")
	undo := func(err error) error {
		_, settled := e.settle()
		return errors.Join(err, settled)
	}
	st := e.newState(c, b, number)
	st.EarlyOff = earlyOff
	if _, err := e.readState(st); err != nil {
		return undo(fmt.Errorf("a rule cannot be stored, as iptables prints it in a form that cannot be read: %w; write it in another way", err))
	}
	if err := state.Write(e.space.Dir(), st); err != nil {
		return undo(err)
	}
	failPoint("state")
	if err := gen.Install(programs(b.layouts)); err != nil {
		return undo(err)
	}
	if err := early.Install(); err != nil {
		return undo(err)
	}
	failPoint("installed")
	if err := e.tools.add(b.layouts); err != nil {
		return undo(err)
	}
	failPoint("shims")
	if b.res.Plan.Conntrack {
		if err := e.space.ConntrackOn(); err != nil {
			return undo(err)
		}
	}
	failPoint("conntrack")
	if err := gen.Activate(); err != nil {
		return undo(err)
	}
	failPoint("activated")
	if err := e.finish(c, number); err != nil {
		return err
	}
	e.syncEarly(st, c.after)
	return nil
}

// finish removes what the new generation replaces.
func (e *Engine) finish(c *change, number uint32) error {
	if _, err := e.settle(); err != nil {
		return fmt.Errorf("the new rules are enforced, but the old ones are not all removed: %w", err)
	}
	pins := e.space.Pins()
	return e.tools.edit(c.flushed, func(table, saved string) string {
		if !shim.Foreign(saved, pins) {
			return ""
		}
		return shim.RemoveForeign(table, saved, pins)
	})
}

// build translates a change and lets load verify the programs. A table whose
// programs the kernel refuses is left to netfilter, with the reason.
func (e *Engine) build(c *change, number uint32, load func(*build) error) (*build, error) {
	refused, err := foreignOwners(c.after)
	if err != nil {
		return nil, err
	}
	for {
		b := &build{res: translate.Translate(c.after, translate.Options{Text: iptables.PrintRule, Netfilter: refused})}
		if err := strict(c, b.res.Plan); err != nil {
			return nil, err
		}
		addEarly(c, b.res)
		if b.progs, err = codegen.Generate(b.res.Plan); err != nil {
			return nil, err
		}
		if b.early, err = codegen.GenerateEarly(b.res.Plan); err != nil {
			return nil, err
		}
		b.layouts = e.layouts(c.after, b.res.Plan, number)
		err = load(b)
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
func (e *Engine) layouts(rs *ruleset.Ruleset, p *plan.Plan, number uint32) []*shim.Layout {
	var out []*shim.Layout
	pins := shim.PinDir(e.space.Pins(), number)
	for _, t := range p.Tables {
		if t.InBPF {
			if l := shim.Targets(t, number, pins); l != nil {
				out = append(out, l)
			}
			continue
		}
		out = append(out, shim.Whole(rs.Table(t.Name), number, pins, iptables.PrintRule))
	}
	return out
}

// programs are the matches that the layouts use.
func programs(layouts []*shim.Layout) []attach.ShimProgram {
	var out []attach.ShimProgram
	for _, l := range layouts {
		for _, p := range l.Programs {
			out = append(out, attach.ShimProgram{Name: p.Name, Kind: string(p.Kind), Table: p.Table, Lo: p.Lo, Hi: p.Hi})
		}
	}
	return out
}

// newState describes the generation that a change makes.
func (e *Engine) newState(c *change, b *build, number uint32) *state.State {
	s := &state.State{
		Family: e.family, Generation: number, Text: text(c.after), Conntrack: b.res.Plan.Conntrack, Early: c.early,
	}
	if live, err := e.space.Current(); err == nil && live != nil {
		s.Previous = live.Number()
		live.Close()
	}
	s.Carried = s.Previous == 0
	o := newOrigins(c.before, c.report)
	for i, t := range c.after.Tables {
		s.Tables = append(s.Tables, tableState(t, b.res.Plan.Tables[i], b.res, o))
	}
	return s
}
