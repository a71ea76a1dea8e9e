package shim

import (
	"fmt"
	"strings"

	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// Text is the restore text of several layouts, one table after the other, for rules in
// netfilter's own tables.
func Text(layouts []*Layout) string {
	var b strings.Builder
	for _, l := range layouts {
		fmt.Fprintf(&b, "*%s\n", l.Table)
		for _, c := range l.Chains {
			fmt.Fprintf(&b, ":%s - [0:0]\n", c.Name)
		}
		for _, e := range l.Entries {
			writeRules(&b, l.Family, e.Chain, e.Rules)
		}
		for _, c := range l.Chains {
			writeRules(&b, l.Family, c.Name, c.Rules)
		}
		b.WriteString("COMMIT\n")
	}
	return b.String()
}

func writeRules(b *strings.Builder, family packet.Family, chain string, rules []Rule) {
	for i := range rules {
		r := &rules[i]
		if r.Rule != nil {
			fmt.Fprintln(b, r.Text)
			continue
		}
		words := []string{"-A", chain}
		if r.Effect != nil {
			words = append(words, guard(r.Effect)...)
		}
		if r.Ask != "" {
			words = append(words, "-m", "bpf", "--object-pinned", r.Ask)
		}
		words = append(words, "-"+jumpOption(r))
		switch {
		case r.Goto != "":
			words = append(words, r.Goto)
		case r.Effect != nil:
			words = append(words, Words(family, r.Effect)...)
		case r.Jump != "":
			words = append(words, r.Jump)
		default:
			words = append(words, r.Policy)
		}
		fmt.Fprintln(b, quoteAll(words))
	}
}

// jumpOption is the option that names where a rule goes.
func jumpOption(r *Rule) string {
	if r.Goto != "" {
		return "g"
	}
	return "j"
}

func quoteAll(args []string) string {
	out := make([]string, len(args))
	for i, a := range args {
		out[i] = a
		if !plain(a) {
			out[i] = ruleset.Quoted(a)
		}
	}
	return strings.Join(out, " ")
}

// plain says whether an argument needs no quotes in restore text.
func plain(a string) bool {
	return a != "" && !strings.ContainsAny(a, " \t\n\"'\\#")
}
