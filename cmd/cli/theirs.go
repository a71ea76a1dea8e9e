package cli

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/bpftables/bpftables/compat/theirs"
	"github.com/bpftables/bpftables/compat/tool"
	"github.com/bpftables/bpftables/engine/apply"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// A table in which bpftables holds nothing, and a tool of netfilter's does, is that tool's
// until it is taken over: commands for it are run by the tool, and readers show what it
// prints. Where both hold something, both are enforced: readers show ours, and all that
// changes or shows it warns.

// beside is what netfilter's tools hold beside us.
type beside struct {
	*theirs.Netfilter
	ours map[string]bool // tables in which we hold something
	held []*theirs.Held
}

// beside looks at one table, or at all for "".
func (s *streams) beside(e *apply.Engine, table string) (*beside, error) {
	b := &beside{Netfilter: theirs.Open(e.Family(), e.Pins(), s.caller.Env)}
	var err error
	if table == "" {
		b.held, err = b.All()
	} else {
		b.held, err = b.Holding(table)
	}
	if err == nil && len(b.held) > 0 {
		b.ours, err = e.Held()
	}
	return b, err
}

// alone are the tables that only netfilter's tools hold, and can print and change.
func (b *beside) alone() []*theirs.Held {
	var out []*theirs.Held
	for _, h := range b.held {
		if !b.ours[h.Table] && len(h.Odd) == 0 {
			out = append(out, h)
		}
	}
	return out
}

// warnBoth tells of the tables that both hold.
func (b *beside) warnBoth(w io.Writer) {
	for _, h := range b.held {
		if b.ours[h.Table] {
			fmt.Fprintf(w, "bpftables: warning: %s; they go on being enforced beside the rules of bpftables, and a packet must pass both; see 'bpftables takeover'\n", h)
		}
	}
}

// runner is the tool that runs commands for a table which only netfilter's tools hold, nil
// if there is no such; if both hold it, the one that the host's iptables stands for.
func (b *beside) runner(w io.Writer) (*tool.Tool, error) {
	alone := b.alone()
	if len(alone) == 0 {
		return nil, nil
	}
	first := alone[0]
	for _, h := range alone[1:] {
		host, err := b.Host()
		if err != nil {
			return nil, err
		}
		other := h
		if host.Variant() == h.Variant {
			first, other = h, first
		}
		fmt.Fprintf(w, "bpftables: warning: %s; the command is one of %s\n", other, first.Tool())
	}
	t, err := b.Tool(first.Variant)
	if err != nil {
		return nil, fmt.Errorf("%s: its rules are enforced, and only it can list and change them: %w", first, err)
	}
	return t, nil
}

// tables are the tables that only netfilter's tools hold, as these print them. What they
// cannot print is told.
func (b *beside) tables(s *streams, e *apply.Engine) []*ruleset.Table {
	var out []*ruleset.Table
	for _, h := range b.alone() {
		text, err := b.Text(h)
		if err != nil {
			fmt.Fprintf(s.err, "bpftables: warning: %v\n", err)
			continue
		}
		rs, _, err := iptables.Read(strings.NewReader(text), iptables.Options{
			File: h.Tool() + "-save", Family: e.Family(), Resolver: s.caller.Resolver(), Counters: true,
		})
		if err != nil || rs.Table(h.Table) == nil {
			fmt.Fprintf(s.err, "bpftables: warning: %s: %v\n", h, err)
			continue
		}
		out = append(out, rs.Table(h.Table))
	}
	return out
}

// view is our ruleset with the tables that only netfilter's tools hold.
func (s *streams) view(e *apply.Engine) (*ruleset.Ruleset, error) {
	rs := &ruleset.Ruleset{Family: e.Family()}
	live, err := e.Current()
	if err != nil {
		return nil, err
	}
	if live != nil {
		rs.Tables = live.Tables
	}
	return rs, s.addTheirs(e, rs)
}

// addTheirs puts the tables that only netfilter's tools hold into a ruleset.
func (s *streams) addTheirs(e *apply.Engine, rs *ruleset.Ruleset) error {
	b, err := s.beside(e, "")
	if err != nil {
		return err
	}
	b.warnBoth(s.err)
	for _, t := range b.tables(s, e) {
		rs.Tables = append(without(rs.Tables, t.Name), t)
	}
	return nil
}

// everyone is the rules of all owners, with the tables that only netfilter's tools hold.
func (s *streams) everyone(family packet.Family) (all *apply.All, err error) {
	err = s.withEngine(family, func(e *apply.Engine) error {
		if all, err = e.All(); err != nil {
			return err
		}
		return s.addTheirs(e, all.Rules)
	})
	return all, err
}

func without(tables []*ruleset.Table, name string) []*ruleset.Table {
	var out []*ruleset.Table
	for _, t := range tables {
		if t.Name != name {
			out = append(out, t)
		}
	}
	return out
}

// split parts a restore text: what is for tables of one tool's alone, by its name, and the
// rest. Lines that are elsewhere are empty, so that they keep their numbers.
func split(text []byte, of func(table string) string) (parts map[string][]byte, rest []byte) {
	all := map[string]*bytes.Buffer{}
	var others bytes.Buffer
	owner := ""
	lines := bufio.NewReader(bytes.NewReader(text))
	for n := 0; ; n++ {
		line, err := lines.ReadString('\n')
		if line == "" && err != nil {
			break
		}
		if table, ok := strings.CutPrefix(line, "*"); ok {
			owner = of(strings.TrimSpace(table))
		}
		if owner != "" && all[owner] == nil {
			all[owner] = bytes.NewBuffer(bytes.Repeat([]byte("\n"), n))
		}
		for name, part := range all {
			if name == owner {
				part.WriteString(line)
			} else {
				part.WriteString("\n")
			}
		}
		if owner == "" {
			others.WriteString(line)
		} else {
			others.WriteString("\n")
		}
		if strings.TrimSpace(line) == "COMMIT" {
			owner = ""
		}
	}
	parts = map[string][]byte{}
	for name, part := range all {
		parts[name] = part.Bytes()
	}
	return parts, others.Bytes()
}
