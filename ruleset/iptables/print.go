package iptables

import (
	"cmp"
	"io"
	"slices"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables/tables"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// Print writes a Ruleset as iptables-legacy-save 1.8.9 does: the table that the
// kernel created last comes first, as in /proc/net/ip_tables_names. A table that is
// asked for and not there yet is as the kernel would make it.
func Print(w io.Writer, r *ruleset.Ruleset, o PrintOptions) error {
	out := NewSaveWriter(w, r.Family, o)
	if o.Table != "" && r.Table(o.Table) == nil {
		t, err := AbsentTable(o.Table, r.Family)
		if err != nil {
			return err
		}
		printTable(out, t)
	}
	names := make([]string, len(r.Tables))
	for i, t := range r.Tables {
		names[i] = t.Name
	}
	for _, name := range o.Ordered(names) {
		printTable(out, r.Table(name))
	}
	return out.Flush()
}

// Ordered gives those of the tables, named as they were made, that are printed, in the order of
// the print.
func (o *PrintOptions) Ordered(made []string) (out []string) {
	for _, name := range slices.Backward(made) {
		if o.Table == "" || o.Table == name {
			out = append(out, name)
		}
	}
	if o.Order != nil {
		slices.SortStableFunc(out, func(a, b string) int {
			return cmp.Compare(slices.Index(o.Order, a), slices.Index(o.Order, b))
		})
	}
	return out
}

// AbsentTable is a table that is not there yet, as the kernel would make it.
func AbsentTable(name string, family packet.Family) (*ruleset.Table, error) {
	if !tables.Known(name) {
		return nil, &ruleset.Error{Thing: name, What: "no such table", Fix: tablesFix}
	}
	return tables.New(name, family), nil
}

func printTable(out *SaveWriter, t *ruleset.Table) {
	out.Begin(t.Name)
	for _, c := range t.Chains {
		out.Chain(c.Name, tables.PolicyOf(c), c.Counters)
	}
	var spec []byte
	for _, c := range t.Chains {
		for _, r := range c.Rules {
			spec = AppendSpec(spec[:0], r)
			out.Rule(c.Name, spec, r.Counters)
		}
	}
	out.End()
}

// PrintRule gives the line of a rule: "-A INPUT ...".
func PrintRule(r *ruleset.Rule, chain string) string {
	var room [256]byte
	return string(AppendRule(room[:0], r, chain))
}

// AppendRule appends the line of a rule, without its newline, to buf.
func AppendRule(buf []byte, r *ruleset.Rule, chain string) []byte {
	return appendTarget(appendMatches(buf, r, chain), r)
}

// AppendSpec appends what the line of a rule has after the name of its chain:
// "-p tcp -j DROP". It is empty for a rule that only counts all packets.
func AppendSpec(buf []byte, r *ruleset.Rule) []byte {
	start := len(buf)
	buf = appendTarget(appendSpaced(buf, r), r)
	if len(buf) > start {
		buf = slices.Delete(buf, start, start+1) // the space before the first word
	}
	return buf
}

func appendMatches(buf []byte, r *ruleset.Rule, chain string) []byte {
	return appendSpaced(append(append(buf, "-A "...), chain...), r)
}

// appendSpaced appends the matches, with a space before each.
func appendSpaced(buf []byte, r *ruleset.Rule) []byte {
	for _, m := range r.Matches {
		before := len(buf)
		if buf = ruleset.AppendTextOf(append(buf, ' '), m); len(buf) == before+1 {
			buf = buf[:before] // it prints nothing
		}
	}
	return buf
}

func appendTarget(buf []byte, r *ruleset.Rule) []byte {
	if r.Target == nil {
		return buf
	}
	return ruleset.AppendTextOf(append(append(buf, ' '), jumpOption(r)...), r.Target)
}

func jumpOption(r *ruleset.Rule) string {
	if r.Goto {
		return "-g "
	}
	return "-j "
}
