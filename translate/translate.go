package translate

import (
	"slices"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

// AtHooks says why a base chain cannot run in a program at a hook of netfilter; "": it
// can. Options.Runs is this where nothing else is given.
func AtHooks(b *ruleset.Base) string {
	if len(b.Devices) > 0 {
		return "the hooks of netfilter are for all interfaces"
	}
	return ""
}

// runs says whether all base chains of a table can run where the datapath runs them.
func (o *Options) runs(t *ruleset.Table) bool {
	can := o.Runs
	if can == nil {
		can = AtHooks
	}
	for _, b := range t.Bases() {
		if can(b) != "" {
			return false
		}
	}
	return true
}

// Options steer the translation.
type Options struct {
	// Text renders a rule for messages; nil leaves the text empty.
	Text func(r *ruleset.Rule, chain string) string
	// Netfilter names tables to leave to netfilter whatever they hold, with the
	// reason; the loader uses it when the verifier refuses a table.
	Netfilter map[string]string
	// Runs says why the datapath cannot run a base chain; nil is AtHooks.
	Runs func(*ruleset.Base) string
	// Classifier says which chains are looked up instead of run as code.
	Classifier Classifier
	// Shadows makes rows of chains that are code, too, for programs of rows alone.
	Shadows bool
	// Can says which effects the datapath runs; nil: none.
	Can Can
}

// Result is the plan and the counter slot of every rule and policy in BPF.
type Result struct {
	Plan     *plan.Plan
	Rules    map[*ruleset.Rule]uint32
	Policies map[*ruleset.Chain]uint32
	Unmet    map[*ruleset.Chain]bool // chains that no packet meets, of Plain
	unfolded *unfolded
}

// Translate makes the plan of a ruleset.
func Translate(rs *ruleset.Ruleset, o Options) *Result {
	u := unfold(rs)
	rs = u.rules
	res := &Result{
		unfolded: u,
		Plan:     &plan.Plan{Family: rs.Family, Sets: plannedSets(rs)},
		Rules:    map[*ruleset.Rule]uint32{},
		Policies: map[*ruleset.Chain]uint32{},
		Unmet:    map[*ruleset.Chain]bool{},
	}
	if n := rules(rs, &o); n > 0 {
		res.Rules = make(map[*ruleset.Rule]uint32, n)
	}
	slots := newSlots(rs, res.Plan)
	for _, t := range rs.Tables {
		res.Plan.Tables = append(res.Plan.Tables, newTable(rs.Family, t, o, res, slots).plan())
	}
	shareLists(rs, o, res, slots)
	forgetLeft(res.Plan)
	res.Plan.Sets = append(res.Plan.Sets, keptSets(rs, res)...)
	forgetUnkept(res.Plan)
	u.credit(res)
	return res
}

// rules is the number of rules in tables that can run in BPF.
func rules(rs *ruleset.Ruleset, o *Options) (n int) {
	for _, t := range rs.Tables {
		if o.runs(t) {
			n += ruleCount(t)
		}
	}
	return n
}

func ruleCount(t *ruleset.Table) (n int) {
	for _, c := range t.Chains {
		n += len(c.Rules)
	}
	return n
}

// table is the work on one table.
type table struct {
	family    packet.Family
	src       *ruleset.Table
	o         Options
	res       *Result
	slots     *slots
	out       *plan.Table
	hooks     map[*ruleset.Chain]uint8
	at        map[*ruleset.Chain]int // where in the table
	lines     map[*ruleset.Rule]*lowered
	reads     map[*ruleset.Chain]pred.Reads // of all rules of a chain
	asks      map[*ruleset.Chain]bool       // a condition of the chain calls a function of the C part
	shims     bool                          // a rule has a target that netfilter runs
	numbers   map[pred.Effect]int           // action numbers
	classes   map[*ruleset.Chain]*plan.Class
	shadowing bool                    // classes that are made now are shadows
	coded     map[*ruleset.Chain]bool // in a function of a hook
	callGraph
}

// lowered is a rule after the first pass.
type lowered struct {
	conds  []pred.Pred
	action *pred.Action // shared by rules with the same plain verdict
}

func newTable(family packet.Family, src *ruleset.Table, o Options, res *Result, s *slots) *table {
	t := &table{
		family: family, src: src, o: o, res: res, slots: s,
		out:   &plan.Table{Name: src.Name},
		hooks: src.Hooks(family), asks: map[*ruleset.Chain]bool{}, reads: map[*ruleset.Chain]pred.Reads{},
		at: make(map[*ruleset.Chain]int, len(src.Chains)), lines: map[*ruleset.Rule]*lowered{}, classes: map[*ruleset.Chain]*plan.Class{}, coded: map[*ruleset.Chain]bool{},
	}
	for i, c := range src.Chains {
		t.at[c] = i
		if t.hooks[c] == 0 {
			res.Unmet[c] = true
		}
	}
	t.follow()
	return t
}

func (t *table) plan() *plan.Table {
	t.conntrack()
	if !t.o.runs(t.src) {
		return t.out
	}
	if why, ok := t.o.Netfilter[t.src.Name]; ok {
		t.out.Reasons = append(t.out.Reasons, plan.Reason{Thing: "table " + t.src.Name, Why: why})
		return t.out
	}
	t.lower()
	if t.nested() {
		t.leave(nil, "table "+t.src.Name, tooNested)
	}
	if t.shims {
		t.templates()
		t.foreseen()
	}
	if t.shims && len(t.out.Reasons) == 0 {
		t.number()
	}
	if len(t.out.Reasons) == 0 {
		t.functions()
		t.shadow()
	}
	t.out.InBPF = len(t.out.Reasons) == 0
	if !t.out.InBPF {
		t.out.Hooks, t.out.Actions = nil, nil
	}
	return t.out
}

// conntrack records what rules need of the kernel's conntrack, wherever they run.
func (t *table) conntrack() {
	for _, c := range t.src.Chains {
		for _, r := range c.Rules {
			for _, m := range r.Matches {
				t.needs(m)
			}
			t.needs(r.Target)
		}
	}
}

func (t *table) needs(word any) {
	p := t.res.Plan
	p.Conntrack = p.Conntrack || ruleset.NeedsConntrack(word)
	p.Tracking |= ruleset.TrackingKept(word)
	p.Helpers = p.Helpers || ruleset.GivesHelper(word)
}

// templates leaves a table to netfilter in which a CT target gives packets a
// template entry that another rule may then ask about: its state and mark are not
// simulated.
func (t *table) templates() {
	var template *ruleset.Rule
	asked := false
	for r, l := range t.lines {
		if pred.Attaches(l.action.Effect) && (template == nil || r.Pos.Line < template.Pos.Line) {
			template = r
		}
		m, marks := pred.MarkChange(l.action.Effect)
		asked = asked || marks && (m.NeedConn || m.Dst == pred.FieldCtMark || m.Src == pred.FieldCtMark)
		for _, p := range l.conds {
			asked = asked || pred.AsksConntrack(p)
		}
	}
	t.out.Template = template != nil
	if template != nil && asked {
		t.leave(template, template.Target.Word(), "another rule of the table asks about the conntrack entry that this target attaches (xt_ct_target(), net/netfilter/xt_CT.c)")
	}
}

func (t *table) leave(r *ruleset.Rule, thing, why string) {
	t.out.Reasons = append(t.out.Reasons, reason(r, thing, why))
}

// reason is one why a thing cannot run in BPF: a part of a rule, or of the table.
func reason(r *ruleset.Rule, thing, why string) plan.Reason {
	n := plan.Reason{Thing: thing, Why: why}
	if r != nil {
		n.Pos = r.Pos.String()
	}
	return n
}

// lower turns matches and targets into predicates and actions, and collects the reasons why BPF
// cannot run them. Rules of long chains are not kept if they can be lowered again when they are needed.
func (t *table) lower() {
	for _, c := range t.src.Chains {
		if t.hooks[c] == 0 {
			continue // no packet meets it
		}
		if !t.passing(c) {
			t.keep(c)
		}
		t.scan(c)
	}
	for _, c := range t.src.Chains {
		if t.shims {
			t.keep(c)
		}
	}
}

// inMemory says whether all conditions can be answered without a call.
func (l *lowered) inMemory() bool {
	for _, p := range l.conds {
		if !pred.InMemory(p) {
			return false
		}
	}
	return true
}

// passing says whether a chain is so long that it is looked up, unless another chain
// prevents it.
func (t *table) passing(c *ruleset.Chain) bool {
	return t.o.Classifier == ClassifyAuto && t.long(c)
}

// keep holds the lowered rules of a chain.
func (t *table) keep(c *ruleset.Chain) {
	if t.hooks[c] == 0 || len(c.Rules) == 0 || t.lines[c.Rules[0]] != nil {
		return
	}
	place := t.src.Place(t.family, t.hooks[c])
	all := make([]lowered, len(c.Rules))
	for i, r := range c.Rules {
		t.lowerRule(&all[i], r, place)
		t.lines[r] = &all[i]
	}
}

// lower fills l for a rule; the conditions go where those of the rule before were.
func (l *lowered) lower(r *ruleset.Rule, place *ruleset.Place) {
	place.Rule = r
	l.action = verdicts[pred.Continue]
	l.conds = slices.Grow(l.conds[:0], len(r.Matches))
	for _, m := range r.Matches {
		l.conds = append(l.conds, m.Lower(place))
	}
	if r.Target != nil {
		l.action = shared(r.Target.Lower(place))
	}
}

// reads is what a rule reads of a packet.
func (l *lowered) reads(family packet.Family) pred.Reads {
	r := l.action.Reads(family)
	for _, p := range l.conds {
		r |= pred.ReadsOf(family, p)
	}
	return r
}

// numbered says whether a condition has a slot.
func (l *lowered) numbered() bool {
	for _, p := range l.conds {
		if pred.Any(p, numbered) {
			return true
		}
	}
	return false
}

// verdicts are the actions that are nothing but their kind.
var verdicts = [...]*pred.Action{
	pred.Continue: {Op: pred.Continue}, pred.Accept: {Op: pred.Accept}, pred.Drop: {Op: pred.Drop}, pred.Return: {Op: pred.Return},
}

// shared keeps an action; most rules have one of the verdicts, which is there already.
func shared(a pred.Action) *pred.Action {
	if int(a.Op) < len(verdicts) {
		return verdicts[a.Op]
	}
	kept := a
	return &kept
}

func (t *table) text(r *ruleset.Rule, chain string) string {
	if t.o.Text == nil {
		return ""
	}
	return t.o.Text(r, chain)
}
