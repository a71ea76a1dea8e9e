package iptables

import (
	"io"
	"slices"

	"github.com/bpftables/bpftables/ruleset"
)

// Print writes a Ruleset as iptables-legacy-save 1.8.9 does: the table that the
// kernel created last comes first, as in /proc/net/ip_tables_names. A table that is
// asked for and not there yet is as the kernel would make it.
func Print(w io.Writer, r *ruleset.Ruleset, o PrintOptions) error {
	out := NewSaveWriter(w, r.Family, o)
	if o.Table != "" && r.Table(o.Table) == nil {
		t, err := AbsentTable(o.Table)
		if err != nil {
			return err
		}
		printTable(out, t)
	}
	for _, t := range slices.Backward(r.Tables) {
		if o.Table == "" || o.Table == t.Name {
			printTable(out, t)
		}
	}
	return out.Flush()
}

// AbsentTable is a table that is not there yet, as the kernel would make it.
func AbsentTable(name string) (*ruleset.Table, error) {
	if ruleset.BuiltIns[name] == nil {
		return nil, &ruleset.Error{Thing: name, What: "no such table", Fix: tablesFix}
	}
	return ruleset.NewTable(name), nil
}

func printTable(out *SaveWriter, t *ruleset.Table) {
	out.Begin(t.Name)
	for _, c := range t.Chains {
		out.Chain(c.Name, c.Policy, c.Counters)
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
	return string(appendTarget(appendMatches(nil, r, chain), r))
}

// AppendSpec appends what the line of a rule has after the name of its chain:
// "-p tcp -j DROP". It is empty for a rule that only counts all packets.
func AppendSpec(buf []byte, r *ruleset.Rule) []byte {
	start := len(buf)
	for _, m := range r.Matches {
		if text := ruleset.TextOf(m); text != "" {
			if len(buf) > start {
				buf = append(buf, ' ')
			}
			buf = append(buf, text...)
		}
	}
	if r.Target == nil {
		return buf
	}
	if len(buf) > start {
		buf = append(buf, ' ')
	}
	return append(append(buf, jumpOption(r)...), ruleset.TextOf(r.Target)...)
}

func appendMatches(buf []byte, r *ruleset.Rule, chain string) []byte {
	buf = append(append(buf, "-A "...), chain...)
	for _, m := range r.Matches {
		if text := ruleset.TextOf(m); text != "" {
			buf = append(append(buf, ' '), text...)
		}
	}
	return buf
}

func appendTarget(buf []byte, r *ruleset.Rule) []byte {
	if r.Target == nil {
		return buf
	}
	return append(append(append(buf, ' '), jumpOption(r)...), ruleset.TextOf(r.Target)...)
}

func jumpOption(r *ruleset.Rule) string {
	if r.Goto {
		return "-g "
	}
	return "-j "
}
