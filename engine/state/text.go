package state

import (
	"bytes"
	"io"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
)

// Cell is the counters of one rule, or with None as Rule those of a policy.
type Cell struct {
	Chain  *Chain
	Rule   int
	Slot   uint32
	Origin Origin
}

// Live gives what was counted in a cell since the counters that the state has.
type Live func(Cell) ruleset.Counters

// TextOptions say how WriteText prints.
type TextOptions struct {
	iptables.PrintOptions
	Live Live // nil: nothing was counted
}

// WriteText writes the state as iptables-save does: what iptables.Print would write
// for its rules.
func (s *Store) WriteText(w io.Writer, o TextOptions) error {
	if err := s.checkTexts(); err != nil {
		return err
	}
	out := iptables.NewSaveWriter(w, s.Family, o.PrintOptions)
	if o.Table != "" && s.Table(o.Table) == nil {
		absent, err := iptables.AbsentTable(o.Table, s.Family)
		if err != nil {
			return err
		}
		out.Begin(absent.Name)
		for _, c := range absent.Chains {
			out.Chain(c.Name, tables.PolicyOf(c), c.Counters)
		}
		out.End()
	}
	var names []string
	for _, t := range s.tables {
		if tables.Known(t.Name) {
			names = append(names, t.Name)
		}
	}
	for _, name := range o.Ordered(names) {
		s.Table(name).write(out, o)
	}
	return out.Flush()
}

func (t *Table) write(out *iptables.SaveWriter, o TextOptions) {
	out.Begin(t.Name)
	for _, c := range t.chains {
		out.Chain(c.Name, c.Policy, o.Live.Add(c.Counters, c.Cell()))
	}
	for _, c := range t.chains {
		for i := range c.Len() {
			r := c.Rule(i)
			if o.Counters {
				r.Counters = o.Live.Add(r.Counters, Cell{c, i, r.Slot, r.Origin})
			}
			out.Rule(c.Name, r.Text, r.Counters)
		}
	}
	out.End()
}

// Cell is that of the policy.
func (c *Chain) Cell() Cell { return Cell{c, None, c.Slot, c.Origin} }

// Add gives counters with what was counted since.
func (l Live) Add(n ruleset.Counters, cell Cell) ruleset.Counters {
	if l == nil {
		return n
	}
	live := l(cell)
	return ruleset.Counters{Packets: n.Packets + live.Packets, Bytes: n.Bytes + live.Bytes}
}

// References is the number of rules of the table that jump to a chain.
func (t *Table) References(chain string) (int, error) {
	n := 0
	err := t.jumps(chain, func(*Chain, int, Rule) { n++ })
	return n, err
}

// Jumps is how many rules end as a jump to a name does, by name.
func (t *Table) Jumps() (map[string]int, error) {
	out := map[string]int{}
	if err := t.store.checkTexts(); err != nil {
		return nil, err
	}
	for _, c := range t.chains {
		for i := range c.Len() {
			r := c.Rule(i)
			if to := r.Jump(); to != "" {
				out[to]++
			}
		}
	}
	return out, nil
}

// Jump is the name that a rule ends with as one does that jumps there; "": it does not.
func (r *Rule) Jump() string {
	text, mark := r.Text, byte(' ')
	if r.Exact != nil {
		text, mark = r.Exact, 0
	}
	if to := string(text[bytes.LastIndexByte(text, mark)+1:]); r.jumpsTo(to) {
		return to
	}
	return ""
}

// jumps visits the rules that jump to a chain.
func (t *Table) jumps(name string, visit func(c *Chain, i int, r Rule)) error {
	if err := t.store.checkTexts(); err != nil {
		return err
	}
	for _, c := range t.chains {
		for i := range c.Len() {
			if r := c.Rule(i); r.jumpsTo(name) {
				visit(c, i, r)
			}
		}
	}
	return nil
}

// jumpsTo says whether a rule jumps to a chain.
func (r *Rule) jumpsTo(name string) bool {
	if r.Exact == nil {
		return jumpsTo(r.Text, name)
	}
	words := bytes.Split(r.Exact, []byte{0})
	n := len(words)
	if n < 2 || len(words[0]) == 0 || string(words[n-1]) != name {
		return false
	}
	option := string(words[n-2])
	return option == "-j" || option == "-g"
}

// lastWord is that of a rule: the name of the chain that it jumps to, if it jumps to any.
func (r *Rule) lastWord() string {
	words, between := r.Text, byte(' ')
	if r.Exact != nil {
		words, between = r.Exact, 0
	}
	return string(words[bytes.LastIndexByte(words, between)+1:])
}

// jumpsTo says whether the text of a rule ends with a jump to a chain: nothing stands
// behind the name of a chain.
func jumpsTo(text []byte, name string) bool {
	const option = len("-j ")
	at := len(text) - len(name) - option
	if at < 0 || string(text[at+option:]) != name || text[at] != '-' || text[at+1] != 'j' && text[at+1] != 'g' || text[at+2] != ' ' {
		return false
	}
	if at > 0 && text[at-1] != ' ' {
		return false
	}
	return bytes.IndexByte(text, '"') < 0 || !quoted(text[:at])
}

// quoted says whether a quote is open at the end of a text.
func quoted(text []byte) bool {
	open := false
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '"':
			open = !open
		case open && text[i] == '\\':
			i++
		}
	}
	return open
}
