package netfilter

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/bpftables/bpftables/bpf/anchor"
	"github.com/bpftables/bpftables/bpf/attach"
	"github.com/bpftables/bpftables/bpf/failpoint"
	"github.com/bpftables/bpftables/bpf/probe"
	"github.com/bpftables/bpftables/codegen"
	"github.com/bpftables/bpftables/codegen/rows"
	"github.com/bpftables/bpftables/codegen/rows/edit"
	"github.com/bpftables/bpftables/compat/shim"
	"github.com/bpftables/bpftables/engine/datapath"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

// generation is a generation that was loaded, or that was opened again.
type generation struct {
	*attach.Generation
	d     *Datapath
	build *build // of one that was loaded
	early *attach.Early
	record
}

// record is what is stored of a generation.
type record struct {
	// Held is what netfilter was given.
	Held []held `json:"held,omitempty"`
	// Tracking is what the kernel keeps of connections for the rules.
	Tracking pred.Tracking `json:"tracking,omitempty"`
	staged
}

// staged is what is stored of a generation's early stage.
type staged struct {
	// Its mode, why the generation has none, whether rules give connections
	// a helper, and the priority of the last rules that a received packet meets.
	Early    string `json:"early,omitempty"`
	EarlyOff string `json:"earlyOff,omitempty"`
	Expects  bool   `json:"expects,omitempty"`
	Last     int32  `json:"last,omitempty"`
}

// recordOf is that of a generation that is enforced.
func recordOf(live *datapath.Live) (*record, error) {
	r := &record{}
	if live == nil || len(live.Record) == 0 {
		return r, nil
	}
	// What is held is most often nothing; see readExtra of package apply.
	var parts struct {
		Held     json.RawMessage `json:"held"`
		Tracking pred.Tracking   `json:"tracking"`
		staged
	}
	err := json.Unmarshal(live.Record, &parts)
	if err == nil && parts.Held != nil {
		err = json.Unmarshal(parts.Held, &r.Held)
	}
	if err != nil {
		return nil, fmt.Errorf("state of generation %d: %w", live.Number(), err)
	}
	r.staged, r.Tracking = parts.staged, parts.Tracking
	return r, nil
}

// wishes are what conntrack has to do for rules: to run at all, and to keep something.
func wishes(conntrack bool, keeps pred.Tracking) (all []anchor.Wish) {
	if conntrack {
		all = append(all, anchor.Tracking())
	}
	if keeps&pred.TracksCounters != 0 {
		all = append(all, anchor.Counting())
	}
	if keeps&pred.TracksLabels != 0 {
		all = append(all, anchor.Labelling())
	}
	return all
}

// build is a plan on its way into the kernel.
type build struct {
	*datapath.Input
	image   *rows.Image // the chains that are looked up; nil: none
	progs   []codegen.Program
	early   *codegen.EarlyProgram // nil: none
	mode    string                // of the early stage
	layouts []*shim.Layout
}

// build makes programs and layouts of a plan.
func (d *Datapath) build(in *datapath.Input) (*build, error) {
	b := &build{Input: in}
	var err error
	if b.mode, err = earlyMode(in); err != nil {
		return nil, err
	}
	addEarly(b)
	p := in.Result.Plan
	if b.image, err = codegen.Image(p, rows.Drawn()); err != nil {
		return nil, err
	}
	if b.progs, err = codegen.Generate(p, b.image); err != nil {
		return nil, err
	}
	if b.early, err = codegen.GenerateEarly(p, b.image); err != nil {
		return nil, err
	}
	b.progs = append(b.progs, wholes(in.Result.Plain(), p)...)
	if b.layouts, err = d.layouts(b); err != nil {
		return nil, err
	}
	return b, errors.Join(b.groups(), d.netfilter.place(b))
}

// layouts are the rules that netfilter gets.
func (d *Datapath) layouts(b *build) ([]*shim.Layout, error) {
	var out []*shim.Layout
	rs := b.Result.Plain()
	pins := shim.PinDir(d.space.Pins(), b.Number)
	for _, t := range b.Result.Plan.Tables {
		if t.InBPF {
			l := shim.Targets(rs.Family, t, b.Number, pins)
			if err := d.fits(l); err != nil {
				return nil, err
			}
			if l != nil {
				out = append(out, l)
			}
			continue
		}
		l, err := shim.Whole(d.family, rs.Table(t.Name), b.Number, pins, iptables.ExactLine)
		if err != nil {
			return nil, err
		}
		out = append(out, l)
	}
	return out, nil
}

// fits refuses what only the tools of iptables could run of a table of another owner: they have
// no such table.
func (d *Datapath) fits(l *shim.Layout) error {
	if l == nil || tables.Known(l.Table) {
		return nil
	}
	if _, err := shim.Own(l); err != nil {
		return fmt.Errorf("table %s: %w", l.Table, err)
	}
	return nil
}

// programs are the matches that the layouts use.
func (g *generation) programs(layouts []*shim.Layout) []attach.ShimProgram {
	var out []attach.ShimProgram
	for _, l := range layouts {
		for _, p := range l.Programs {
			out = append(out, attach.ShimProgram{
				Name: p.Name, Kind: string(p.Kind), Notes: g.NotesOf(p.Table, !p.Base, p.Hook, p.Priority), Bits: p.Bits, Leaf: p.Leaf, LeafBits: p.LeafBits, Late: p.Late,
			})
		}
	}
	return out
}

// Load loads and verifies the programs of a plan.
func (d *Datapath) Load(in *datapath.Input) (datapath.Generation, error) {
	b, err := d.build(in)
	if err != nil {
		return nil, err
	}
	g := &generation{d: d, build: b}
	meanwhile := func() {
		if in.Meanwhile != nil {
			in.Meanwhile(g.Row)
		}
	}
	if g.Generation, err = d.space.LoadWith(in.Number, b.progs, b.early, meanwhile); err != nil {
		return nil, refusal(in.Result.Plan, err)
	}
	g.record = record{
		Held: d.netfilter.holds(b.layouts, in.Result.Plan), Tracking: in.Result.Plan.Tracking,
		staged: staged{Early: b.mode, Expects: in.Result.Plan.Helpers, Last: lastPriority(in)},
	}
	g.early, g.EarlyOff = loadEarly(g.Generation, b)
	return g, nil
}

// Check verifies the programs of a plan. What only netfilter can judge, it is asked about.
func (d *Datapath) Check(in *datapath.Input, locked func(func() error) error) error {
	b, err := d.build(in)
	if err != nil {
		return err
	}
	if err := d.space.Check(b.progs); err != nil {
		return refusal(in.Result.Plan, err)
	}
	if len(b.layouts) > 0 {
		if _, err := d.netfilter.tools.installed(); err != nil {
			return err
		}
	}
	return d.netfilter.judge(b, locked)
}

// refusal says of what the kernel does not take which table it is that has to run elsewhere.
func refusal(p *plan.Plan, err error) error {
	if len(p.Classes) > 0 && !probe.Loops() {
		return fmt.Errorf("%w (%w)", datapath.ErrNoLookups, err)
	}
	var tooMuch *attach.RefusedError
	if errors.As(err, &tooMuch) {
		return &datapath.Refusal{Table: tooMuch.Table, Reason: "the kernel's verifier refuses its programs: " + tooMuch.Error(), Err: err}
	}
	return err
}

// Widen makes programs of base chains able to run conditions of new kinds.
func (g *generation) Widen(bases []int, ops uint64) error { return g.Generation.Widen(bases, ops) }

// Close releases what is held open.
func (g *generation) Close() error { return errors.Join(g.Generation.Close(), g.early.Close()) }

// Record is what Status and Mend need.
func (g *generation) Record() (json.RawMessage, error) { return json.Marshal(g.record) }

// Row is the first row of a rule.
func (g *generation) Row(slot uint32) uint32 {
	if g.build.image == nil {
		return 0
	}
	return g.build.image.First[slot]
}

// Install puts programs beside those that are enforced, and gives netfilter its part.
func (g *generation) Install() error {
	n := &g.d.netfilter
	if err := g.Generation.Install(g.programs(g.build.layouts)); err != nil {
		return err
	}
	if err := g.installEarly(); err != nil {
		return err
	}
	failpoint.At("installed")
	if err := n.add(g.build.layouts, false); err != nil {
		return errors.Join(n.judge(g.build, nil), err)
	}
	failpoint.At("shims")
	if err := n.hold(g.build); err != nil {
		return err
	}
	failpoint.At("held")
	if err := n.own.ConntrackOn(wishes(g.build.Result.Plan.Conntrack, g.build.Result.Plan.Tracking)...); err != nil {
		return err
	}
	failpoint.At("conntrack")
	return nil
}

// GoOn copies what limits and nths remember.
func (g *generation) GoOn(from datapath.Generation, m datapath.Memory) error {
	return g.Generation.GoOn(from.(*generation).Generation, m.Limits, m.Nths)
}

// Counters reads what programs have counted, and netfilter for tables that are left to it.
func (g *generation) Counters(left []datapath.Left) (*datapath.Counters, error) {
	slots, err := g.Generation.Counters()
	if err != nil {
		return nil, err
	}
	out := &datapath.Counters{Slots: slots, Left: map[string][]datapath.ChainCounters{}}
	for _, t := range left {
		counted, err := g.d.netfilter.counters(g.Number(), t.Table, t.Chains)
		if err != nil {
			return nil, err
		}
		for _, c := range counted {
			out.Left[t.Table] = append(out.Left[t.Table], datapath.ChainCounters(c))
		}
	}
	return out, nil
}

// Classes opens the classified chains.
func (g *generation) Classes() (datapath.Classes, error) {
	c, err := g.Generation.Classes()
	if err != nil || c == nil {
		return nil, err
	}
	return classes{c}, nil
}

// classes are classified chains.
type classes struct{ *attach.Classes }

// Rows is the memory that packets look rules up in.
func (c classes) Rows() *edit.Chains { return c.Chains }
