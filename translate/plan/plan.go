// Package plan is what the code generator gets: the tables of one family, split
// into what BPF runs and what netfilter keeps, as straight data.
//
// In: package translate builds it. Out: codegen turns its hooks into programs,
// the shim layout follows its actions, String is what `translate --plan` prints.
package plan

import (
	"fmt"
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
	Chunks  []pred.SCTPChunks
	// Conntrack says that a rule needs the kernel's conntrack in the namespace.
	Conntrack bool
	// Early is the early stage; nil: there is none.
	Early *Early
}

// Table is a table and where it runs.
type Table struct {
	Name    string
	InBPF   bool
	Notes   []Note   // why it is left to netfilter; empty for nat and mangle
	Hooks   []*Hook  // empty unless InBPF
	Actions []Action // what the shim behind the table can be told to do, by number
	Passes  int      // how often the shim must walk its actions
}

// Note says what was handed to netfilter: position, thing and reason.
type Note struct{ Pos, Thing, Reason string }

// String is "position: thing: reason".
func (n Note) String() string {
	s := n.Thing + ": " + n.Reason
	if n.Pos != "" {
		s = n.Pos + ": " + s
	}
	return s
}

// Action is a target that netfilter runs for us.
type Action struct {
	Args     []string // the target and its options
	Guard    []string // options that a rule with the target must have
	Terminal bool
}

// Hook is what one hook program runs.
type Hook struct {
	Hook  packet.Hook
	Funcs []*Func // Funcs[0] is the base chain
	Shim  bool    // the table has actions that this hook can note
}

// Func is a chain, or the part of a chain, that becomes a BPF function.
type Func struct {
	Symbol string // "chain" for the base chain
	Chain  string
	Policy *Policy // base chain only
	Rules  []*Rule
	Parts  []string // set instead of Rules: the functions of a chain too long for one
	Part   bool     // falling off the end goes on with the next part
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
	Inline []*Rule // Jump, Goto: the rules of the callee, in place
	Note   int     // Shim: number of the action
	Text   string  // the rule as iptables-save prints it, for messages
	Pos    string  // where it was written
}

// String is the plan as text.
func (p *Plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "plan %s counters=%d conntrack=%t\n", p.Family, p.Counters, p.Conntrack)
	for _, t := range p.Tables {
		where := "netfilter"
		if t.InBPF {
			where = "bpf"
		}
		fmt.Fprintf(&b, "table %s %s\n", t.Name, where)
		for _, n := range t.Notes {
			fmt.Fprintf(&b, "  left-to-netfilter %s\n", n)
		}
		for i, a := range t.Actions {
			fmt.Fprintf(&b, "  action %d terminal=%t %s\n", i, a.Terminal, strings.Join(a.Args, " "))
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

func (f *Func) write(b *strings.Builder) {
	fmt.Fprintf(b, "    func %s chain=%s\n", f.Symbol, f.Chain)
	for _, p := range f.Parts {
		fmt.Fprintf(b, "      part %s\n", p)
	}
	writeRules(b, f.Rules, "      ")
	if f.Policy != nil {
		verdict := "accept"
		if f.Policy.Drop {
			verdict = "drop"
		}
		fmt.Fprintf(b, "      policy %d %s\n", f.Policy.ID, verdict)
	}
}

func writeRules(b *strings.Builder, rules []*Rule, indent string) {
	for _, r := range rules {
		conds := make([]string, len(r.Conds))
		for i, c := range r.Conds {
			conds[i] = c.String()
		}
		to := r.Action.String()
		if r.Call != "" {
			to += " = " + r.Call
		}
		if r.Action.Op == pred.Shim {
			to = fmt.Sprintf("action %d: %s", r.Note, to)
		}
		fmt.Fprintf(b, "%srule %d %s: %s -> %s\n", indent, r.ID, r.Pos, strings.Join(conds, " and "), to)
		writeRules(b, r.Inline, indent+"  ")
	}
}
