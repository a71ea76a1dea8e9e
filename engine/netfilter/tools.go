package netfilter

import (
	"errors"
	"fmt"
	"slices"

	"github.com/bpftables/bpftables/bpf/failpoint"
	"github.com/bpftables/bpftables/compat/shim"
	"github.com/bpftables/bpftables/compat/tool"
	"github.com/bpftables/bpftables/ruleset/packet"
)

// tools are netfilter's own tools: the host's variant runs targets for BPF where our table in nf_tables
// cannot be, the exact one runs whole tables, the aside one targets that our table cannot hold. They may be the same.
type tools struct {
	family             packet.Family
	env                []string   // where the tools are looked for, and what they get
	host, exact, aside *tool.Tool // nil until asked for
}

func (t *tools) forTargets() (*tool.Tool, error) {
	if t.host != nil {
		return t.host, nil
	}
	found, err := tool.Find(t.family, t.env)
	t.host = found
	return found, err
}

func (t *tools) forTables() (*tool.Tool, error) {
	if t.exact != nil {
		return t.exact, nil
	}
	found, err := tool.FindExact(t.family, t.env)
	t.exact = found
	return found, err
}

// besideHost is the variant that the host's iptables is not, if it is there: what stands in its tables is
// neither printed nor flushed by the commands that the host's users and programs give.
func (t *tools) besideHost() (*tool.Tool, error) {
	if t.aside != nil {
		return t.aside, nil
	}
	found, err := tool.FindAside(t.family, t.env)
	t.aside = found
	return found, err
}

// installed are the different tools that the host has.
func (t *tools) installed() ([]*tool.Tool, error) {
	var out []*tool.Tool
	for _, find := range []func() (*tool.Tool, error){t.forTables, t.forTargets, t.besideHost} {
		found, err := find()
		switch {
		case errors.Is(err, tool.ErrMissing):
		case err != nil:
			return nil, err
		case !slices.ContainsFunc(out, func(have *tool.Tool) bool { return have.Path() == found.Path() }):
			out = append(out, found)
		}
	}
	return out, nil
}

// saveWhole is iptables-save text of a table left to netfilter.
func (t *tools) saveWhole(table string) (string, error) {
	found, err := t.forTables()
	if err != nil {
		return "", err
	}
	return found.Save(table)
}

// edit changes tables by the text that change gives for what is in them; "" leaves
// a table as it is.
func (t *tools) edit(tables []string, change func(table, saved string) string) error {
	if !tool.Any(t.family, tables...) {
		return nil
	}
	installed, err := t.installed()
	if err != nil {
		return err
	}
	for _, one := range installed {
		for _, table := range one.Present(tables...) {
			saved, err := one.Save(table)
			if err != nil {
				return err
			}
			if saved == "" {
				continue
			}
			if text := change(table, saved); text != "" {
				if err := one.Restore(text); err != nil {
					return fmt.Errorf("remove old rules from netfilter's %s table: %w", table, err)
				}
				failpoint.At("table edited")
			}
		}
	}
	return nil
}

// add adds layouts beside what is there.
func (t *tools) add(layouts []*shim.Layout) error {
	var exact, targets []*shim.Layout
	for _, l := range layouts {
		if l.Exact {
			exact = append(exact, l)
		} else {
			targets = append(targets, l)
		}
	}
	return errors.Join(restore(t.forTables, exact), restore(t.forTargets, targets))
}

// addAside adds layouts where the host's own tool does not look, or else where it does.
func (t *tools) addAside(layouts []*shim.Layout) error {
	var errs []error
	for _, l := range layouts {
		one := []*shim.Layout{l}
		if l.Exact || restore(t.besideHost, one) != nil {
			errs = append(errs, t.add(one))
		}
	}
	return errors.Join(errs...)
}

func restore(find func() (*tool.Tool, error), layouts []*shim.Layout) error {
	if len(layouts) == 0 {
		return nil
	}
	t, err := find()
	if err != nil {
		return err
	}
	if err := t.Restore(shim.Text(layouts)); err != nil {
		return fmt.Errorf("netfilter refuses its part: %w", err)
	}
	return nil
}
