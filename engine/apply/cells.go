package apply

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/bpftables/bpftables/engine/datapath"
	"github.com/bpftables/bpftables/engine/state"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
	"github.com/bpftables/bpftables/ruleset/pred"
	"github.com/bpftables/bpftables/translate/plan"
)

// origins finds where the rules of a new ruleset stood in the ruleset before.
type origins struct {
	at     map[*ruleset.Rule]state.Origin
	report iptables.Report
	base   *state.Store // nil: nothing was before
}

func newOrigins(c *change) *origins {
	o := &origins{at: map[*ruleset.Rule]state.Origin{}, report: c.report}
	if c.live == nil {
		return o
	}
	o.base = c.live.State
	for _, t := range c.before.Tables {
		if c.replaced(t.Name) {
			continue
		}
		for _, chain := range t.Chains {
			number := o.base.Table(t.Name).Chain(chain.Name).Number()
			for i, r := range chain.Rules {
				o.at[r] = state.Origin{Chain: number, Rule: uint32(i)}
			}
		}
	}
	return o
}

func (o *origins) rule(table string, r *ruleset.Rule) state.Origin {
	if tr := o.report.Table(table); tr != nil {
		if old, ok := tr.Moved[r]; ok {
			r = old
		}
	}
	if p, ok := o.at[r]; ok {
		return p
	}
	return state.NoOrigin
}

func (o *origins) policy(table string, c *ruleset.Chain) state.Origin {
	if !c.BuiltIn() || o.base == nil || o.base.Table(table) == nil {
		return state.NoOrigin
	}
	if tr := o.report.Table(table); tr != nil && !tr.KeptPolicy[c.Name] {
		return state.NoOrigin
	}
	old := o.base.Table(table).Chain(c.Name)
	if old == nil {
		return state.NoOrigin
	}
	return state.Origin{Chain: old.Number(), Rule: state.None}
}

// extra is what a state keeps for us beside the rules.
type extra struct {
	Reasons map[string][]plan.Reason // by table
	// Owned are the tables of other owners than iptables.
	Owned map[string]*owned
	// Sets are the sets that there are, without elements.
	Sets []*ruleset.Set
	// Datapath is what the datapath wants to know of the generation.
	Datapath json.RawMessage
	// What changes in place have to know, by table; those without classified chains are
	// not there.
	Changeable map[string]*changeable
	// Dying are slots of limits and nths whose rows may still be met by packets on their way.
	Dying *memory
	// Actions are those of the tables that have some, by table.
	Actions map[string]*plan.ActionList
	// Memory is where the rules of tables remember packets, by table; see memory.
	Memory map[string]*memory
}

// parts are the parts of a state in which it lies, as JSON; actions are parts of their own.
func (x *extra) parts() map[string]any {
	return map[string]any{
		"notes": &x.Reasons, "owned": &x.Owned, "sets": &x.Sets, "datapath": &x.Datapath, "changeable": &x.Changeable,
		"memory": &x.Memory, "dying": &x.Dying,
	}
}

// actionsPart begins the names of the parts with the actions of tables.
const actionsPart = "actions/"

// changeable is what a table offers to changes in place.
type changeable struct {
	Longest  int            `json:"longest,omitempty"` // how many actions the datapath was told that packets collect
	Template bool           `json:"template,omitempty"`
	Tracked  bool           `json:"tracked,omitempty"` // rules that were put in place need connection tracking
	Hidden   pred.Hidden    `json:"hidden,omitempty"`
	Asked    pred.Hidden    `json:"asked,omitempty"`
	Nths     map[int]uint32 `json:"nths,omitempty"` // what they begin with, by slot
	// Keepers are the counter slots of rules that keep a named set.
	Keepers []uint32 `json:"keepers,omitempty"`
}

// addChangeable describes the tables of a plan that have classified chains.
func (x *extra) addChangeable(p *plan.Plan) {
	x.Changeable = map[string]*changeable{}
	for _, c := range p.Classes {
		if x.Changeable[c.Table] == nil {
			x.Changeable[c.Table] = &changeable{}
		}
	}
	for _, t := range p.Tables {
		if have := x.Changeable[t.Name]; have != nil {
			have.Longest, have.Template = t.Longest, t.Template
			have.Hidden, have.Asked = t.Hidden, t.Asked
			have.Nths, have.Keepers = map[int]uint32{}, t.Keepers
			for _, n := range t.Nths {
				have.Nths[n.Slot] = p.Nths[n.Slot].First()
			}
		}
	}
}

// addActions lists those of the tables of a plan.
func (x *extra) addActions(p *plan.Plan) error {
	x.Actions = map[string]*plan.ActionList{}
	for _, t := range p.Tables {
		if len(t.Actions) == 0 {
			continue
		}
		list, err := plan.NewActionList(t.Actions)
		if err != nil {
			return fmt.Errorf("state: table %s: %w", t.Name, err)
		}
		x.Actions[t.Name] = list
	}
	return nil
}

// write gives the parts of a state to set; those without anything in them as nothing.
func (x *extra) write(set func(name string, data []byte)) error {
	for name, part := range x.parts() {
		data, err := json.Marshal(part)
		if err != nil {
			return fmt.Errorf("state: %w", err)
		}
		if string(data) == "null" {
			data = nil
		}
		set(name, data)
	}
	for table, list := range x.Actions {
		set(actionsPart+table, list.Text())
	}
	return nil
}

// readExtra gives what the state keeps for us.
func (l *Live) readExtra() (*extra, error) {
	if l.extra != nil {
		return l.extra, nil
	}
	x, err := readExtra(l.State)
	if err == nil {
		l.extra = x
	}
	return x, err
}

// readExtra gives what a state keeps for us. Package json looks at all types that something to be
// read may hold, at first: a part that is not there is not asked for.
func readExtra(st *state.Store) (*extra, error) {
	x := &extra{Actions: map[string]*plan.ActionList{}}
	for name, part := range x.parts() {
		if data := st.Part(name); len(data) > 0 {
			if err := json.Unmarshal(data, part); err != nil {
				return nil, fmt.Errorf("state of generation %d: %s: %w", st.Generation, name, err)
			}
		}
	}
	for _, t := range st.Tables() {
		if text := st.Part(actionsPart + t.Name); len(text) > 0 {
			x.Actions[t.Name] = plan.ReadActionList(bytes.Clone(text)) // the state may be written anew
		}
	}
	return x, nil
}

// describer makes the state of a generation.
type describer struct {
	*prepared
	row     func(slot uint32) uint32 // the first row of a rule
	origins *origins
	check   *iptables.Loader
	numbers map[string]map[string]uint32 // of classified chains that can be changed, by table and chain
}

// numbers are those of the classified chains of a plan that can be changed.
func numbers(p *plan.Plan) map[string]map[string]uint32 {
	out, rows := map[string]map[string]uint32{}, map[string]bool{}
	for _, t := range p.Tables {
		rows[t.Name] = t.Rows
	}
	for _, c := range p.Classes {
		if c.Coded && !rows[c.Table] {
			continue
		}
		if out[c.Table] == nil {
			out[c.Table] = map[string]uint32{}
		}
		out[c.Table][c.Chain] = uint32(c.Number)
	}
	return out
}

func numberOf(numbers map[string]uint32, chain string) uint32 {
	if n, is := numbers[chain]; is {
		return n
	}
	return state.None
}

// addTable describes one table of a new generation, if its rules can be read again.
func (e *Engine) addTable(from *describer, t *ruleset.Table, number int) error {
	out, res, planned := from.state, from.res, from.res.Plan.Tables[number]
	var d Dialect
	if t.Owner != tables.Owner {
		var err error
		if d, err = e.dialect(t.Owner); err != nil {
			return err
		}
	}
	isChain := func(name string) bool { return t.Chain(name) != nil }
	out.Table(state.TableSpec{Name: t.Name, InBPF: planned.InBPF, Shims: len(planned.Actions)})
	slot := func(id uint32, ok bool) uint32 {
		if !ok { // one that netfilter runs may have a slot for what the early stage drops
			return state.None
		}
		return id
	}
	words := func(spec []byte, r *ruleset.Rule) ([]byte, []byte) {
		if d != nil {
			return d.Append(spec, r), nil
		}
		spec = iptables.AppendSpec(spec, r)
		return spec, iptables.Exact(r, spec, isChain)
	}
	record := func(r *ruleset.Rule, spec, exact []byte) (state.Rule, bool) {
		id, ok := res.Rules[r]
		row := uint32(0)
		if ok {
			row = from.row(id)
		}
		return state.Rule{
			Text: spec, Exact: exact, Slot: slot(id, ok), Row: row, Counters: r.Counters, Origin: from.origins.rule(t.Name, r),
		}, d != nil || iptables.Unchanged(r, spec, exact)
	}
	print := printer{words: words, record: record}
	numbers := from.numbers[t.Name]
	for _, c := range t.Chains {
		id, ok := res.Policies[c]
		out.Chain(state.ChainSpec{
			Name: c.Name, Policy: tables.PolicyOf(c), Counters: c.Counters, Slot: slot(id, ok), Origin: from.origins.policy(t.Name, c), Class: numberOf(numbers, c.Name),
		})
		if err := print.each(c.Rules, func(r *ruleset.Rule, one *printed) error {
			if !one.known {
				if err := from.check.Same(t.Name, r, one.Text, one.Exact); err != nil {
					return err
				}
			}
			out.Hashed(&one.Hashed)
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// meters are the live counters of a generation.
type meters struct {
	slots []datapath.Counter
	left  map[*state.Chain]datapath.ChainCounters // of the tables left to others
}

// newMeters reads the live counters of a generation with its state.
func newMeters(s *state.Store, gen datapath.Generation) (*meters, error) {
	var left []datapath.Left
	for _, t := range s.Tables() {
		if t.InBPF {
			continue
		}
		one := datapath.Left{Table: t.Name}
		for _, c := range t.Chains() {
			one.Chains = append(one.Chains, c.Name)
		}
		left = append(left, one)
	}
	counted, err := gen.Counters(left)
	if err != nil {
		return nil, err
	}
	m := &meters{slots: counted.Slots, left: map[*state.Chain]datapath.ChainCounters{}}
	for table, chains := range counted.Left {
		for i, n := range chains {
			m.left[s.Table(table).Chains()[i]] = n
		}
	}
	return m, nil
}

// count is what was counted in a cell of the generation; for a table of netfilter's
// also what the early stage dropped.
func (m *meters) count(c state.Cell) ruleset.Counters {
	var n ruleset.Counters
	if uint64(c.Slot) < uint64(len(m.slots)) { // not None
		slot := m.slots[c.Slot]
		n = ruleset.Counters{Packets: slot.Packets, Bytes: slot.Bytes}
	}
	if c.Chain.Table().InBPF {
		return n
	}
	var own ruleset.Counters
	switch left := m.left[c.Chain]; {
	case c.Rule == state.None:
		own = left.Policy
	case c.Rule < len(left.Rules):
		own = left.Rules[c.Rule]
	}
	return ruleset.Counters{Packets: n.Packets + own.Packets, Bytes: n.Bytes + own.Bytes}
}

// carried is what was counted in the cell that a cell of the next generation goes on
// from; m and s are those of the generation before.
func (m *meters) carried(s *state.Store) state.Live {
	return func(c state.Cell) ruleset.Counters {
		if c.Origin.None() {
			return ruleset.Counters{}
		}
		old := s.ChainAt(c.Origin.Chain)
		from := state.Cell{Chain: old, Rule: int(c.Origin.Rule), Slot: old.Slot}
		if c.Origin.Rule != state.None {
			from.Slot = old.Rule(from.Rule).Slot
		}
		return m.count(from)
	}
}
