// Package beside tells what netfilter's tools hold beside us in a network namespace, and lets
// them do what is theirs.
//
// In: an engine, and who calls. Out: the tables that only the tools hold, which their commands
// change, and those that both hold, which a packet must pass in both. A table in which bpftables
// holds nothing, and a tool of netfilter's does, is that tool's until it is taken over.
package beside

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/bpftables/bpftables/compat/caller"
	"github.com/bpftables/bpftables/compat/theirs"
	"github.com/bpftables/bpftables/compat/tool"
	"github.com/bpftables/bpftables/engine/apply"
	"github.com/bpftables/bpftables/ruleset"
	"github.com/bpftables/bpftables/ruleset/iptables"
)

// Beside is what netfilter's tools hold beside us.
type Beside struct {
	*theirs.Netfilter
	Held   []*theirs.Held
	ours   map[string]bool // tables in which we hold something
	engine *apply.Engine
	caller *caller.Caller
}

// Look looks at one table, or at all for "".
func Look(e *apply.Engine, c *caller.Caller, table string) (*Beside, error) {
	b := &Beside{Netfilter: theirs.Open(e.Family(), e.Pins(), c.Env), engine: e, caller: c}
	var err error
	if table == "" {
		b.Held, err = b.All()
	} else {
		b.Held, err = b.Holding(table)
	}
	if err == nil {
		err = b.again()
	}
	return b, err
}

// again looks once more in which tables we hold something.
func (b *Beside) again() (err error) {
	if len(b.Held) > 0 {
		b.ours, err = b.engine.Held()
	}
	return err
}

// Alone are the tables that only netfilter's tools hold, and can print and change.
func (b *Beside) Alone() []*theirs.Held {
	var out []*theirs.Held
	for _, h := range b.Held {
		if !b.ours[h.Table] && len(h.Odd) == 0 {
			out = append(out, h)
		}
	}
	return out
}

// Both reports whether both hold rules in a table.
func (b *Beside) Both(h *theirs.Held) bool { return b.ours[h.Table] }

// WarnBoth tells of the tables that both hold.
func (b *Beside) WarnBoth() {
	for _, h := range b.Held {
		if b.ours[h.Table] {
			fmt.Fprintf(b.caller.Err, "bpftables: warning: %s; they go on being enforced beside the rules of bpftables, and a packet must pass both; see 'bpftables takeover'\n", h)
		}
	}
}

// Runner is the tool that runs commands for a table which only netfilter's tools hold, nil
// if there is no such; if both hold it, the one that the host's iptables stands for.
func (b *Beside) Runner() (*tool.Tool, error) {
	alone := b.Alone()
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
		fmt.Fprintf(b.caller.Err, "bpftables: warning: %s; the command is one of %s\n", other, first.Tool())
	}
	t, err := b.Tool(first.Variant)
	if err != nil {
		return nil, fmt.Errorf("%s: its rules are enforced, and only it can list and change them: %w", first, err)
	}
	return t, nil
}

// Tables are the tables that only netfilter's tools hold, as these print them. What they
// cannot print is told.
func (b *Beside) Tables() []*ruleset.Table {
	var out []*ruleset.Table
	for _, h := range b.Alone() {
		text, err := b.Text(h)
		if err != nil {
			fmt.Fprintf(b.caller.Err, "bpftables: warning: %v\n", err)
			continue
		}
		rs, _, err := iptables.Read(strings.NewReader(text), iptables.Options{
			File: h.Tool() + "-save", Family: b.engine.Family(), Resolver: b.caller.Resolver(), Counters: true,
		})
		if err != nil || rs.Table(h.Table) == nil {
			fmt.Fprintf(b.caller.Err, "bpftables: warning: %s: %v\n", h, err)
			continue
		}
		out = append(out, rs.Table(h.Table))
	}
	return out
}

// Share takes what is for tables of netfilter's tools alone out of a restore text that keeps what
// it does not name, and makes sure that they take it. It gives what lets them; test: nothing does.
func (b *Beside) Share(req *apply.Request) (func() error, error) {
	nothing := func() error { return nil }
	if !req.NoFlush || len(b.Alone()) == 0 {
		return nothing, nil
	}
	text, err := io.ReadAll(req.Text)
	if err != nil {
		return nil, err
	}
	owner := map[string]string{}
	for _, h := range b.Alone() {
		if owner[h.Table] != "" {
			return nil, fmt.Errorf("table %s: %s and iptables-nft both hold rules; whose is to change is not clear", h.Table, owner[h.Table])
		}
		owner[h.Table] = h.Variant
	}
	parts, rest := split(text, func(table string) string { return owner[table] })
	req.Text = bytes.NewReader(rest)
	if err := b.restore(parts, req.Counters, "--test"); err != nil || req.Test {
		return nothing, err
	}
	return func() error { return b.restore(parts, req.Counters) }, nil
}

// ErrReported is the end of a tool that has said itself what is wrong.
var ErrReported = errors.New("reported")

// restore lets the tools, by variant, do what parts of a text say.
func (b *Beside) restore(parts map[string][]byte, counters bool, more ...string) error {
	args := append([]string{"-n"}, more...)
	if counters {
		args = append(args, "-c")
	}
	for variant, part := range parts {
		t, err := b.Tool(variant)
		if err != nil {
			return err
		}
		code, err := t.RunRestore(b.caller, bytes.NewReader(part), args)
		if err == nil && code != 0 {
			err = ErrReported
		}
		if err != nil {
			return err
		}
	}
	return nil
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
