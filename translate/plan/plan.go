// Package plan is what the code generator gets: the tables of one family, split
// into what BPF runs and what netfilter keeps, as straight data.
//
// In: package translate builds it. Out: codegen turns its hooks into programs,
// the shim layout follows its actions, String is what `translate --plan` prints.
package plan

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/bpftables/bpftables/ruleset/packet"
	"github.com/bpftables/bpftables/ruleset/pred"
)

// Plan is one family's tables, in creation order.
type Plan struct {
	Family packet.Family
	Tables []*Table
	// Counters is the number of counter slots: rule ids and policy ids are below it.
	Counters int
	// Stateful predicates by slot number.
	Limits  []pred.Limit
	Nths    []pred.Nth
	Recents []pred.Recent
	// Args are the predicates that have their arguments in a map, numbered by kind.
	Args []pred.Pred
	// SetUses are the questions to named sets, and their changes: InSet and SetUpdate.
	SetUses []pred.Pred
	// Sets are the named sets, those that rules keep among them.
	Sets []*Set
	// Classes are the classified chains by number: rows that are looked up.
	Classes []*Class
	// Conntrack says that a rule needs the kernel's conntrack in the namespace.
	Conntrack bool
	// Tracking is what else the kernel has to keep of connections for rules that run in BPF.
	Tracking pred.Tracking
	// Helpers says that a rule gives connections a conntrack helper.
	Helpers bool
	// Early is the early stage; nil: there is none. EarlyOff says why, where that is not plain.
	Early    *Early
	EarlyOff string
}

// Slot is where something of a rule stands.
type Slot struct {
	Rule uint32 `json:"rule"` // its counter slot
	Slot int    `json:"slot"`
}

// Table is a table and where it runs.
type Table struct {
	Name    string
	InBPF   bool
	Reasons []Reason // why it is left to netfilter; empty for nat
	Hooks   []*Hook  // empty unless InBPF
	Actions []Action // what the shim behind the table can be told to do, by number
	Longest int      // how many actions a packet can collect, at most
	Limits  []Slot   // of its rules, see Plan
	Nths    []Slot
	Recents []Slot
	Keepers []uint32 // rules that keep a named set: it ends with the last of them
	// Rows says that all chains are classified, whatever the hooks run: those that are code can be
	// changed in place, too.
	Rows bool
	// Template says that a target gives packets a conntrack entry that rules of the
	// table must not ask about.
	Template bool
	// Hidden is what effects of the table change and rules behind them must not ask.
	Hidden pred.Hidden
	// Asked is what rules of the table ask of that, whether something hides it or not.
	Asked pred.Hidden
}

// Alone says whether the base chains of the table, each with actions of its own to be done, are
// told apart: they translate addresses, or stand at several priorities.
func (t *Table) Alone() bool {
	return slices.ContainsFunc(t.Hooks, func(h *Hook) bool { return h.NAT || h.Priority != t.Hooks[0].Priority })
}

// Reason says why a table was left to netfilter: where, what of it, and why.
type Reason struct {
	Pos, Thing string
	Why        string `json:"Reason"`
}

// String is "position: thing: reason".
func (r Reason) String() string {
	s := r.Thing + ": " + r.Why
	if r.Pos != "" {
		s = r.Pos + ": " + s
	}
	return s
}

// Action is an effect that others run, told by the programs.
type Action struct{ Effect pred.Effect }

// Hook is what one hook program runs.
type Hook struct {
	Hook     packet.Hook
	Priority int32
	NAT      bool    // netfilter asks the chain for the first packet of a connection
	Route    bool    // netfilter routes a packet of this host again that the chain has changed
	Funcs    []*Func // Funcs[0] is the base chain
	Shim     bool    // the table has actions that this hook can note
	Class    *Class  // of the base chain, if it is classified, even where Funcs are code
	Met      []int   // of a chain with actions of its own that does not translate: their numbers
}

// Func is a chain, or the part of a chain, that becomes a BPF function.
type Func struct {
	Symbol string // "chain" for the base chain
	Chain  string
	Policy *Policy // base chain only
	Rules  []*Rule
	Parts  []string // set instead of Rules: the functions of a chain too long for one
	Class  *Class   // set instead of Rules: the chain is classified
	Part   bool     // falling off the end goes on with the next part
}

// MaxClasses is how many classified chains a plan has, those of the early stage included: a row
// holds two of their numbers (CHAIN_BITS in bpf/lookup/rows.h).
const MaxClasses = 1 << 18

// MaxActions is how many actions a table has.
const MaxActions = 1 << 18

// Leaf is how many actions are asked for one after the other, at most, where their numbers differ
// in the lowest bits alone: a power of two.
const Leaf = 4

// Class is a chain whose rules are looked up instead of run as code, as those of all chains
// that it calls are.
type Class struct {
	Number int
	Table  string
	Chain  string
	Policy *Policy // base chain only
	Rules  []*Rule `json:"-"` // of tests and of the early stage; the others come from Source
	// Source gives the rules one after the other, Size of them; each is valid until the next
	// only. A long chain is never there as a whole.
	Source iter.Seq[*Rule] `json:"-"`
	Size   int             `json:"-"`
	Reads  pred.Reads      `json:"-"` // what the rules from Source read of a packet
	Forced bool            // looked up by tuples even if it is short
	Trees  bool            // by decision trees alone
	NoLead bool            // no code is made of its first rules
	Hooks  uint8           // 1 << packet.Hook: where packets meet it
	Coded  bool            // some hook runs it as code, too
	Shadow bool            // nothing else than programs of rows alone looks it up
	// Unmet says that it has jumps behind a rule that always ends it, which lead nowhere: that
	// rule cannot be deleted in place.
	Unmet bool
	// Bare says that it has rules that are not among these: no packet meets the chain.
	Bare bool
}

// All gives the rules in order; each is valid until the next only.
func (c *Class) All() iter.Seq[*Rule] {
	if c.Source != nil {
		return c.Source
	}
	return slices.Values(c.Rules)
}

// Len is how many rules there are.
func (c *Class) Len() int {
	if c.Source != nil {
		return c.Size
	}
	return len(c.Rules)
}

// Policy is the end of a base chain.
type Policy struct {
	ID   uint32
	Drop bool
}

// Rule is one rule: conditions in the order in which they are asked, then the
// action. ID is its counter slot.
type Rule struct {
	ID     uint32
	Conds  []pred.Pred
	Action pred.Action
	Call   string  // Jump, Goto: the function; empty if Inline
	Class  *Class  // Jump, Goto: the callee, if it is classified
	Inline []*Rule // Jump, Goto: the rules of the callee, in place
	Number int     // Do: number of the action
	Ends   bool    // no packet meets the rules behind it (ruleset.Rule.Ends)
	Text   string  // the rule as iptables-save prints it, for messages
	Pos    string  // where it was written
}

// NoteOnce is added to the number of an action that a packet need not note twice in a row.
const NoteOnce = 1 << 30

// Noted is what the datapath is told to note for a packet that the rule matches (note() in
// bpf/netfilter/notes.h).
func (r *Rule) Noted() uint32 {
	n := uint32(r.Number)
	if pred.Idempotent(r.Action.Effect) {
		n |= NoteOnce
	}
	return n
}

// String is the plan as text.
func (p *Plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "plan %s counters=%d conntrack=%t\n", p.Family, p.Counters, p.Conntrack)
	for _, s := range p.Sets {
		s.write(&b)
	}
	for _, c := range p.Classes {
		c.write(&b)
	}
	for _, t := range p.Tables {
		where := "netfilter"
		if t.InBPF {
			where = "bpf"
		}
		fmt.Fprintf(&b, "table %s %s\n", t.Name, where)
		for _, n := range t.Reasons {
			fmt.Fprintf(&b, "  left-to-netfilter %s\n", n)
		}
		for i, a := range t.Actions {
			fmt.Fprintf(&b, "  action %d terminal=%t %s\n", i, pred.Ends(a.Effect), a.Effect)
		}
		for _, h := range t.Hooks {
			fmt.Fprintf(&b, "  hook %s shim=%t\n", h.Hook, h.Shim)
			for _, f := range h.Funcs {
				f.write(&b)
			}
		}
	}
	if p.Early != nil {
		p.Early.write(&b)
	}
	return b.String()
}

func (c *Class) write(b *strings.Builder) {
	fmt.Fprintf(b, "class %d table=%s chain=%s\n", c.Number, c.Table, c.Chain)
	writeRules(b, c.All(), "  ")
	c.Policy.write(b, "  ")
}

func (f *Func) write(b *strings.Builder) {
	fmt.Fprintf(b, "    func %s chain=%s\n", f.Symbol, f.Chain)
	for _, p := range f.Parts {
		fmt.Fprintf(b, "      part %s\n", p)
	}
	if f.Class != nil {
		fmt.Fprintf(b, "      class %d\n", f.Class.Number)
	}
	writeRules(b, slices.Values(f.Rules), "      ")
	f.Policy.write(b, "      ")
}

func (p *Policy) write(b *strings.Builder, indent string) {
	if p == nil {
		return
	}
	verdict := "accept"
	if p.Drop {
		verdict = "drop"
	}
	fmt.Fprintf(b, "%spolicy %d %s\n", indent, p.ID, verdict)
}

func writeRules(b *strings.Builder, rules iter.Seq[*Rule], indent string) {
	for r := range rules {
		conds := make([]string, len(r.Conds))
		for i, c := range r.Conds {
			conds[i] = c.String()
		}
		to := r.Action.String()
		if r.Call != "" {
			to += " = " + r.Call
		}
		if r.Class != nil {
			to += fmt.Sprintf(" = class %d", r.Class.Number)
		}
		if r.Action.Op == pred.Do {
			to = fmt.Sprintf("action %d: %s", r.Number, to)
		}
		fmt.Fprintf(b, "%srule %d %s: %s -> %s\n", indent, r.ID, r.Pos, strings.Join(conds, " and "), to)
		writeRules(b, slices.Values(r.Inline), indent+"  ")
	}
}
